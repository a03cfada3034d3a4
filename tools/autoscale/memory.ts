import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";
import type { ConfigChange, Past, WholeConfig } from "./model";
import type { Wanted } from "./wanted";

/** What the autoscaler remembers of a stack. */
export interface Memory extends Past {
    /** What it last saw in the stack's config: when something differs, a person has changed it. */
    seen?: { replicas: number; config: string };
    /** A change that is being made. Who finds it at the start was killed in the middle of it. */
    begun?: { change: ConfigChange; before: WholeConfig };
    /** Since when the servers have not been those of the config. */
    apartSinceMs?: number;
    /** When sick servers were replaced, in the last hour. */
    healedAtMs: readonly number[];
    /** The same of load balancers. */
    frontsHealedAtMs: readonly number[];
}

/** No window reaches further back. */
const keptMs = 3_600_000;

/**
 * A dry run has its own: it may look at the same time as the one that acts, and knows nothing of what that one is doing.
 * https://specifications.freedesktop.org/basedir-spec/latest/
 */
export function memoryFile(project: string, stack: string, isDryRun: boolean): string {
    const state = process.env.XDG_STATE_HOME ?? path.join(homedir(), ".local/state");
    const name = `${project}-${stack.replaceAll("/", "-")}.${isDryRun ? "dry-run" : "autoscale"}`;
    return path.join(state, "dropscale", `${name}.json`);
}

/** What can't be read is forgotten: the next minutes tell it again. */
export function readMemory(file: string): Memory {
    const empty = { looks: [], recommendations: [], failures: 0, healedAtMs: [], frontsHealedAtMs: [] };
    try {
        return { ...empty, ...(JSON.parse(readFileSync(file, "utf8")) as Partial<Memory>) };
    } catch {
        return empty;
    }
}

/** An interruption leaves the old file or the new one. @throws Error where it can't be written */
export function writeMemory(file: string, memory: Memory): void {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(`${file}.new`, JSON.stringify(memory), { mode: 0o600 });
    renameSync(`${file}.new`, file);
}

/** What tells a person's edit: `seen` of {@link Memory}. */
export function seenIn({ replicas, settings, retired }: Wanted): NonNullable<Memory["seen"]> {
    return { replicas, config: JSON.stringify([settings, retired]) };
}

/**
 * Remembers a change that has been made.
 *
 * @param from `replicas` before it.
 * @param answered As in `changed` of {@link Past}.
 */
export function noteMade(
    memory: Memory,
    { replicas, retired, loadBalancerGeneration }: ConfigChange,
    from: number,
    atMs: number,
    answered?: number,
): void {
    if (replicas !== undefined) memory.changed = { atMs, from, to: replicas, answered };
    if (retired) memory.healedAtMs = [...memory.healedAtMs, atMs];
    if (loadBalancerGeneration !== undefined) memory.frontsHealedAtMs = [...memory.frontsHealedAtMs, atMs];
}

/** Forgets what no window reaches any more. @param windowSeconds Of the longest one for looks and recommendations. */
export function forget(memory: Memory, windowSeconds: number, nowMs: number): void {
    const since = nowMs - (windowSeconds + 60) * 1000;
    memory.looks = memory.looks.filter(({ atMs }) => atMs >= since);
    memory.recommendations = memory.recommendations.filter(({ atMs }) => atMs >= since);
    memory.healedAtMs = memory.healedAtMs.filter((atMs) => nowMs - atMs < keptMs);
    memory.frontsHealedAtMs = memory.frontsHealedAtMs.filter((atMs) => nowMs - atMs < keptMs);
}
