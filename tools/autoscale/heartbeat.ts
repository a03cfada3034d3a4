import { hostname } from "node:os";
import type { PoolReading } from "../live/reading";
import { duration } from "../cli/words";
import type { Decision } from "./model";

/** What an autoscaler says of itself after each look. It stays on the load balancer, where all others find it. */
export interface Heartbeat {
    host: string;
    pid: number;
    /** `dry-run`: it only says what it would do. */
    hand: "up" | "commit" | "dry-run";
    /** How often it looks; with a timer, how often that runs. */
    everySeconds: number;
    action: Decision["action"];
    reason: string;
    alarming: boolean;
}

export const heartbeatOf = (
    hand: Heartbeat["hand"],
    everySeconds: number,
    { action, reason, alarming = false }: Decision,
): Heartbeat => ({ host: hostname(), pid: process.pid, hand, everySeconds, action, reason, alarming });

/** @returns `undefined` for what is none. */
export function parseHeartbeat(text: string): Heartbeat | undefined {
    try {
        const found = JSON.parse(text) as Partial<Heartbeat>;
        return typeof found.reason === "string" && typeof found.host === "string"
            ? (found as Heartbeat)
            : undefined;
    } catch {
        return undefined;
    }
}

/** One that was not heard for so many of its intervals, and longer than an `up` may hold a timer's next run, is dead. */
const missedIntervals = 3;

/** What a person is told of it, and whether it is dead; `undefined`: there has been none since the host was started. */
export function describeHeartbeat({
    heartbeat,
}: Pick<PoolReading, "heartbeat">): { text: string; isDead: boolean } | undefined {
    const found = heartbeat && parseHeartbeat(heartbeat.text);
    if (!found) return undefined;
    const isDead = heartbeat.ageSeconds > missedIntervals * Math.max(found.everySeconds, 20);
    const who = `${found.host}${found.hand === "dry-run" ? ", dry run" : `, --apply ${found.hand}`}`;
    return {
        text: isDead
            ? `the autoscaler (${who}) has not been heard of for ${duration(heartbeat.ageSeconds)}: nothing scales`
            : `autoscaler (${who}): ${found.reason}`,
        isDead,
    };
}

/** Why another one must not begin; `undefined`: it may. */
export function conflictWith(
    { heartbeat }: Pick<PoolReading, "heartbeat">,
    own: Pick<Heartbeat, "host" | "hand">,
): string | undefined {
    const found = heartbeat && parseHeartbeat(heartbeat.text);
    if (!found || found.hand === "dry-run" || heartbeat.ageSeconds > takeOverSeconds) return undefined;
    if (found.host === own.host && found.hand === own.hand) return undefined;
    return (
        `another autoscaler works on this stack: ${found.host}, --apply ${found.hand}, heard of ${duration(heartbeat.ageSeconds)} ago. ` +
        `Stop that one, and start this one ${duration(takeOverSeconds)} after it`
    );
}

/** How long after the last word of another one the next may begin. */
const takeOverSeconds = 300;
