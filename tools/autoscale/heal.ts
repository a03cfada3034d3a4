import type { HealSettings } from "../../lib/autoscale-settings";
import { duration } from "../cli/words";
import type { ServerReading } from "../live/reading";
import { backOff } from "./decide";
import type { LiveLook } from "./looker";
import type { Memory } from "./memory";
import type { ConfigChange } from "./model";
import { failedLooks } from "./signals";
import type { Wanted } from "./wanted";

interface Healing {
    /** What replaces it; `undefined`: nothing is done. */
    change?: ConfigChange;
    /** `undefined`: nobody is sick. */
    reason?: string;
    /** A person should know. */
    alarming?: boolean;
}

const hourMs = 3_600_000;

/** Who is sick by what was just seen, and the change that replaces it. */
export function healing(look: LiveLook, { settings, retired }: Wanted, memory: Memory): Healing {
    const nowMs = look.atMs;
    if (!settings.heal || settings.paused || backOff(memory, nowMs)) return {};
    if ("reading" in look) {
        const { slot, ...said } = heal(look.reading.servers, settings.heal, memory.healedAtMs, nowMs);
        if (slot === undefined) return said;
        return { ...said, change: { retired: [...retired, slot].sort((a, b) => a - b) } };
    }
    return healLoadBalancer(memory, settings.heal, nowMs);
}

/**
 * Whether the load balancer is to be replaced: nobody can log in to it, and no visitor gets an answer. Where only the way
 * to it is broken, the site answers; where this machine has no network, the API does not, and no change can be made. One
 * an hour.
 */
function healLoadBalancer(memory: Memory, { downSeconds }: HealSettings, nowMs: number): Healing {
    const blind = failedLooks(memory.looks);
    const dead = blind.slice(blind.findLastIndex(({ siteAnswers }) => siteAnswers !== false) + 1);
    const seconds = Math.round((nowMs - (dead[0]?.atMs ?? nowMs)) / 1000);
    if (dead.length < 3 || seconds < downSeconds) return {};
    const what = `the load balancer has not answered for ${duration(seconds)}, by SSH or HTTP`;
    if (memory.frontsHealedAtMs.some((atMs) => nowMs - atMs < hourMs))
        return { reason: `${what}, and was replaced less than an hour ago`, alarming: true };
    const loadBalancerGeneration = `heal-${new Date(nowMs).toISOString().replace(/\W/g, "")}`;
    return { change: { loadBalancerGeneration }, reason: `${what}: it is replaced`, alarming: true };
}

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
): Omit<Healing, "change"> & { slot?: number } {
    const down = servers.filter(({ isUp, status }) => !isUp && status !== "MAINT");
    const [sick] = down
        .filter(({ slot, statusSeconds }) => slot !== undefined && statusSeconds >= downSeconds)
        .sort((a, b) => b.statusSeconds - a.statusSeconds);
    if (sick === undefined) return {};
    const what = `${sick.name} has been DOWN for ${duration(sick.statusSeconds)} (${sick.check || "no check"})`;
    const stays = (why: string) => ({ reason: `${what}, ${why}`, alarming: true });
    if (down.length * 2 > servers.length)
        return stays(
            `as ${down.length} of ${servers.length} are: it is not the servers, and new ones would not help`,
        );
    const recent = healedAtMs.filter((atMs) => nowMs - atMs < hourMs).length;
    if (recent >= perHour)
        return stays(`and ${recent} were replaced within an hour, as many as heal.perHour allows`);
    return { slot: sick.slot, reason: `${what}: it is replaced` };
}
