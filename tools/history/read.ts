import { compareTexts } from "../cli/words";
import { engineOf, isElsewhere, listProcesses, type Lock } from "../pulumi/runs";
import { readPulumi } from "../pulumi/run";
import { locksOf, projectName, readBackend } from "../pulumi/stack";
import { endedWell, type HistoryEntry, isChange, replicasOf, scalingHistory } from "./entries";
import type { Update } from "./updates";

/** A page of 100 is about 700 KB. */
const pageSize = 100;

/**
 * What changed a stack, newest first, by people, pipelines and the autoscaler.
 *
 * @param limit At most so many. @default all there are, which is a run of `pulumi` for every hundred
 * @throws Error in pulumi's own words, where there is no such stack among others.
 */
export async function readHistory(stack: string, limit = Infinity): Promise<HistoryEntry[]> {
    const updates = new Map<string, Update>();
    for (let page = 1; ; page++) {
        const options = ["--page-size", String(pageSize), "--page", String(page), "--stack", stack];
        const read = JSON.parse(await readPulumi("stack", "history", "--json", ...options)) as Update[];
        // A run that ends between two pages moves all by one: the last of a page is the next one's first.
        for (const update of read) updates.set(keyOf(update), update);
        const all = [...updates.values()];
        // The oldest one is compared to the one before it that ended well.
        const isEnough = all.filter(isChange).slice(limit).some(endedWell);
        if (read.length < pageSize || isEnough) return scalingHistory(all).slice(0, limit);
    }
}

/** What tells an update from the others: times are of whole seconds, and a version may be 0. */
const keyOf = ({ version, kind, startTime, endTime }: Update): string =>
    [version, kind, startTime, endTime].join(" ");

/** The same with the run that holds the stack just now, if one does, before all others. */
export async function readHistoryAndRun(stack: string, limit: number): Promise<HistoryEntry[]> {
    const ended = await readHistory(stack, limit);
    const applied = ended.find(({ status }) => status === "success")?.replicas.to ?? 0;
    const running = await readRunning(stack, applied);
    return (running ? [running, ...ended] : ended).slice(0, limit);
}

/**
 * The run that holds a stack, of a backend in files, which puts a run into its history only when it has ended.
 *
 * @param replicas How many servers the last change asked for.
 * @returns `undefined` where none does.
 */
async function readRunning(stack: string, replicas: number): Promise<HistoryEntry | undefined> {
    const locks = await locksOf({ name: stack, project: projectName(), backend: await readBackend() });
    const [lock] = locks.toSorted((a, b) => compareTexts(a.timestamp, b.timestamp));
    if (lock === undefined) return undefined;
    const [config, processes] = await Promise.all([
        readPulumi("config", "--json", "--stack", stack),
        listProcesses(),
    ]);
    const asked = replicasOf(JSON.parse(config) as Update["config"]) ?? replicas;
    return runningEntry(lock, { from: replicas, to: asked }, engineOf(lock, processes) !== undefined);
}

/**
 * A run that has not ended, or that never will.
 *
 * @param isSeen Its engine runs on this host.
 */
export function runningEntry(lock: Lock, replicas: HistoryEntry["replicas"], isSeen: boolean): HistoryEntry {
    const isAlive = isSeen || isElsewhere(lock);
    return {
        id: lock.timestamp,
        kind: "update",
        by: "person",
        who: `${lock.username}@${lock.hostname}`,
        replicas,
        settings: [],
        status: isAlive ? "in_progress" : "error",
        ...(!isAlive && { errorReason: "it was killed, or runs in a container: `make doctor`" }),
        startedAtMs: Date.parse(lock.timestamp),
        message: "",
    };
}
