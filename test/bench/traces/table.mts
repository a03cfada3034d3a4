import { createColors } from "picocolors";
import { scalingHistory } from "../../../tools/history/entries.ts";
import { historyText } from "../../../tools/history/history.ts";
import type { Update } from "../../../tools/history/updates.ts";
import { autoscalePrefix } from "../../../tools/history/who.ts";
import { type Outcome, autoscalePool, dropscale, podAutoscaler, replay, type Scaling } from "./scalers.mts";
import type { Trace } from "./pool.mts";
import { dayTrace, randomFrom, traces } from "./traces.mts";

/** What three scalers make of a trace. */
export interface TraceRow {
    trace: Trace;
    ours: Outcome;
    autoscalePool: Outcome;
    podAutoscaler: Outcome;
}

/** Every trace by every scaler; the same each time. */
export function replayTraces(): TraceRow[] {
    return traces.map((trace) => ({
        trace,
        ours: replay(trace, dropscale(trace, randomFrom(11))),
        autoscalePool: replay(trace, autoscalePool(trace)),
        podAutoscaler: replay(trace, podAutoscaler(trace)),
    }));
}

const heads = ["trace", "s under capacity", "server-hours", "changes", "what it is"];

/** Each figure of ours, of DigitalOcean's autoscale pool, and of Kubernetes' HPA. */
export function tracesTable(rows: readonly TraceRow[]): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const cells = ({ trace, ...all }: TraceRow) => {
        const three = (show: (outcome: Outcome) => string) =>
            [all.ours, all.autoscalePool, all.podAutoscaler].map(show).join(" · ");
        return [
            trace.name,
            three(({ underSeconds }) => String(underSeconds)),
            three(({ serverHours }) => serverHours.toFixed(1)),
            three(({ changes }) => String(changes)),
            trace.remark,
        ];
    };
    return [line(heads), line(heads.map(() => "---")), ...rows.map((row) => line(cells(row)))].join("\n");
}

/** What `make history` says of a day on which the autoscaler runs alone, replayed. */
export function historyOfDay(): string {
    const updates: Update[] = [firstUp(dayTrace)];
    const random = randomFrom(11);
    replay(
        dayTrace,
        dropscale(dayTrace, random, (change) => {
            updates.unshift(updateOf(change));
        }),
    );
    return historyText("prod", scalingHistory(updates), createColors(false));
}

/** As Pulumi keeps it of an `up` of the autoscaler's. */
function updateOf({ atMs, from, to, reason, seconds }: Scaling): Update {
    return {
        ...{ version: 0, kind: "update", result: "succeeded" },
        message: `${autoscalePrefix}replicas ${from} → ${to}: ${reason}`,
        environment: { "pulumi.flag.message": "true" },
        config: { "dropscale:replicas": { value: String(to) } },
        startTime: new Date(atMs).toISOString(),
        endTime: new Date(atMs + seconds * 1000).toISOString(),
    };
}

/** Somebody's, the minute before. */
const firstUp = ({ startMs, replicas }: Trace): Update => ({
    ...updateOf({ atMs: startMs - 60_000, from: 0, to: replicas, reason: "", seconds: 45 }),
    message: "The site",
    environment: { "git.author": "Ann", "git.author.email": "ann@example.com" },
});
