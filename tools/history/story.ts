import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { type PoolEvent, withBlindness, withLook } from "../live/events";
import type { BlindLook } from "../live/follow";
import type { Situation } from "../live/headline";
import type { TimedReading } from "../live/reading";
import type { HistoryEntry } from "./entries";
import { mergeEvents, runEvent } from "./events";

/** How far back whole looks are kept, in seconds: failures are counted in them. */
const lookSeconds = 60;

/** What has happened to a pool, of what was seen of HAProxy and of what Pulumi's history has: told by both, in one list. */
export class Story {
    /** Newest last, as far back as {@link lookSeconds}. */
    looks: readonly TimedReading[] = [];
    /** Newest first; the same array until one of them changes. */
    events: readonly PoolEvent[] = [];
    /** Why the history can't be read just now; `undefined`: it can. */
    historyProblem: string | undefined;
    /** Of the newest look, also if it failed. */
    nowMs = Date.now();
    private seen: readonly PoolEvent[] = [];
    private runs: readonly HistoryEntry[] = [];

    look(look: TimedReading): void {
        this.nowMs = look.atMs;
        this.seen = withLook(this.seen, look, this.looks.at(-1));
        const since = look.atMs - lookSeconds * 1000;
        this.looks = [...this.looks, look].filter(({ atMs }) => atMs >= since);
        this.merge();
    }

    blind({ atMs, problem }: BlindLook): void {
        this.nowMs = atMs;
        this.seen = withBlindness(this.seen, atMs, problem);
        this.merge();
    }

    /** @param entries Newest first, with the run that is under way; or why they can't be read. */
    history(entries: readonly HistoryEntry[] | Error): void {
        this.historyProblem = entries instanceof Error ? entries.message : undefined;
        if (entries instanceof Error) return;
        this.runs = entries;
        this.merge();
    }

    /** How many servers the newest change asked for, also if it failed. @param made By the last `up` that ended well. */
    wanted(made: number): number {
        return this.runs[0]?.replicas.to ?? made;
    }

    /** @param made As {@link wanted} has it. */
    situation(stack: string, made: number, autoscale: AutoscaleSettings | undefined): Situation {
        const { looks, events, nowMs } = this;
        return { stack, nowMs, wanted: this.wanted(made), autoscale, looks, events };
    }

    private merge(): void {
        const merged = mergeEvents(this.runs.map(runEvent), this.seen);
        if (JSON.stringify(merged) !== JSON.stringify(this.events)) this.events = merged;
    }
}
