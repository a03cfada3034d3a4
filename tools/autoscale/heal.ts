import type { HealSettings } from "../../lib/autoscale-settings";
import type { ServerReading } from "../live/reading";
import { duration } from "../cli/words";

export interface Healing {
    /** The one to replace now; `undefined`: none. */
    slot?: number;
    /** `undefined`: nobody is sick. */
    reason?: string;
    /** Somebody is sick, and nothing is done about it. */
    alarming?: boolean;
}

const hourMs = 3_600_000;

/**
 * Which sick server is to be replaced. One at a time: the next look tells more. Where more than half of the pool is DOWN
 * it is the app, the user data or the network, and new servers would be as sick.
 *
 * @param healedAtMs When servers were replaced before.
 */
export function heal(
    servers: readonly ServerReading[],
    { downSeconds, perHour }: HealSettings,
    healedAtMs: readonly number[],
    nowMs: number,
): Healing {
    const down = servers.filter(({ isUp, status }) => !isUp && status !== "MAINT");
    const [sick] = down
        .filter(({ slot, statusSeconds }) => slot !== undefined && statusSeconds >= downSeconds)
        .sort((a, b) => b.statusSeconds - a.statusSeconds);
    if (sick === undefined) return {};
    const what = `${sick.name} has been DOWN for ${duration(sick.statusSeconds)} (${sick.check || "no check"})`;
    if (down.length * 2 > servers.length)
        return {
            reason: `${what}, as ${down.length} of ${servers.length} are: it is not the servers, and new ones would not help`,
            alarming: true,
        };
    const recent = healedAtMs.filter((atMs) => nowMs - atMs < hourMs).length;
    if (recent >= perHour)
        return {
            reason: `${what}, and ${recent} were replaced within an hour, as many as heal.perHour allows`,
            alarming: true,
        };
    return { slot: sick.slot, reason: `${what}: it is replaced` };
}
