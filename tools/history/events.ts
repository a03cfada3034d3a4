import { newestFirst, type PoolEvent } from "../live/events";
import { arrow, count } from "../cli/words";
import type { HistoryEntry } from "./entries";
import { bareReason, notRecorded } from "./who";

/** A change of the stack as an event: `Scaled 3 → 4 servers`, by whom and why. */
export function runEvent(entry: HistoryEntry): PoolEvent {
    const { id, startedAtMs: atMs, endedAtMs, status, who, message, errorReason } = entry;
    const reason = [errorReason, bareReason(message)];
    const by = who === notRecorded ? "who did it is not recorded" : `by ${who}`;
    const why = [by, ...reason.filter(Boolean)].join(": ");
    return {
        ...{ id: `run ${id}`, kind: "run", atMs, what: whatOf(entry), why },
        ...(status !== "in_progress" && { endMs: endedAtMs ?? atMs }),
        ...(status === "error" && { hasFailed: true }),
    };
}

function whatOf({ kind, replicas: { from, to }, settings, status }: HistoryEntry): string {
    const servers = from === to ? [] : [`${arrow(from, to)} ${to === 1 ? "server" : "servers"}`];
    const hold = settings.find((setting) => setting.startsWith("hold "));
    const others = settings.filter((setting) => setting !== hold);
    const step = hold === undefined ? "" : stepOf(hold);
    const isGoingOn = status === "in_progress";
    if (status === "error") {
        const asked = [...servers, ...others].join(", ");
        return `\`pulumi ${kind === "destroy" ? "destroy" : "up"}\` failed${asked && `: ${asked}`}`;
    }
    if (kind === "destroy") return isGoingOn ? "destroying" : "destroyed";
    const all = [
        ...servers.map((text) => `${isGoingOn ? "scaling" : "scaled"} ${text}`),
        ...(others.length > 0 ? [`changed ${others.join(", ")}`] : []),
        ...(step ? [step] : []),
    ];
    if (all.length > 0) return all.join("; ");
    return isGoingOn ? "`pulumi up` is under way" : "`pulumi up`, the settings as before";
}

/** Of a roll-out in batches, or a canary: what `hold [] → [2,3]` means. */
function stepOf(hold: string): string {
    const [, now = ""] = hold.split(" → ");
    const held = now.match(/\d+/g)?.length ?? 0;
    return held === 0 ? "rolled out to the last servers" : `rolled out, ${count(held, "server")} held back`;
}

/** HAProxy's times are of whole seconds, and so are the history's. */
const slackMs = 2500;

/**
 * One list of what Pulumi's history has and of what was seen: what a run did to HAProxy is told with it, and so is the
 * decision of the autoscaler that made it.
 *
 * @returns Newest first.
 */
export function mergeEvents(runs: readonly PoolEvent[], seen: readonly PoolEvent[]): PoolEvent[] {
    const isOf = (event: PoolEvent, run: PoolEvent) =>
        event.atMs >= run.atMs - (event.kind === "autoscaler" ? decisionMs : slackMs) &&
        event.atMs <= (run.endMs ?? Infinity) + slackMs;
    const runOf = (event: PoolEvent) =>
        (event.kind === "apply" || (event.kind === "autoscaler" && !event.hasFailed)) &&
        runs.find((run) => isOf(event, run));
    const alone = seen.filter((event) => !runOf(event));
    const withDetails = runs.map((run) => {
        const own = seen.filter((event) => runOf(event) === run && event.kind === "apply").reverse();
        const details = own.map(({ atMs, what, why }) => ({ atMs, text: why ? `${what}: ${why}` : what }));
        return details.length > 0 ? { ...run, details } : run;
    });
    return newestFirst([...withDetails, ...alone]);
}

/** So long before its run begins an autoscaler may have said that it will, in milliseconds. */
const decisionMs = 15_000;

/** A line for a terminal: `scaled 3 → 4 servers, took 22 s; by autoscaler: busy 0.81`. */
export function eventLine({ what, why, atMs, endMs, hasFailed }: PoolEvent): string {
    const seconds = endMs === undefined ? 0 : Math.round((endMs - atMs) / 1000);
    const lasted = seconds > 0 ? ` after ${count(seconds, "second")}` : "";
    const end = endMs === undefined ? "" : hasFailed ? lasted : seconds > 0 ? `, over${lasted}` : "";
    return `${what}${end}${why && `; ${why}`}`;
}
