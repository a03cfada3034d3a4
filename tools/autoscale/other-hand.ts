import type { HistoryEntry } from "../history/entries";
import { autoscalerItself } from "../history/who";
import type { Hand } from "./hands";

/** A pipeline that has applied something within so many days applies this stack. */
const pipelineDays = 7;
/** An autoscaler that has run `pulumi up` within so many minutes is at work. */
const upMinutes = 60;

/**
 * Why changes must not be made by this hand: the other one is at work. What `up` writes into a checkout, the pipeline's
 * next run puts back; and what it commits, the checkout of the other does not have.
 *
 * @param entries Newest first.
 */
export function otherHandAtWork(
    entries: readonly HistoryEntry[],
    hand: Hand["name"],
    nowMs: number,
): string | undefined {
    const since = (minutes: number) => (entry: HistoryEntry) => entry.startedAtMs > nowMs - minutes * 60_000;
    if (hand === "up") {
        const run = entries.filter(since(pipelineDays * 24 * 60)).find(({ who, by }) => isPipelines(by, who));
        return (
            run &&
            `a pipeline, or somebody else, applies what is committed (${run.who}, ${date(run.startedAtMs)}), and its next run would put replicas back: ` +
                "use --apply commit, or stop that and come back a week later"
        );
    }
    const run = entries.filter(since(upMinutes)).find(({ who }) => who === autoscalerItself);
    return (
        run &&
        `an autoscaler with --apply up has scaled this stack (${date(run.startedAtMs)}): stop it, and start this one ${upMinutes} min after that`
    );
}

/** What others applied for the autoscaler is theirs: a pipeline that Pulumi knows, or one that it does not. */
const isPipelines = (by: HistoryEntry["by"], who: string): boolean =>
    by === "pipeline" || (by === "autoscaler" && who !== autoscalerItself);

const date = (ms: number): string => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
