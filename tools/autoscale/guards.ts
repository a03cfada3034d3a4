import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { Look, Past, Pool } from "./model";
import { answeredPerSecond, failedLooks, isSample, lastFull, type Seen } from "./signals";

/** What the parts of a decision look at. */
export interface Circumstances {
    pool: Pool;
    past: Past;
    settings: AutoscaleSettings;
    nowMs: number;
    /** Least servers by settings and schedule; never more than `max`. */
    low: number;
    floor: number;
}

/** More failures than this share of the requests: nothing is taken away. */
const mostFailing = 0.05;
/** How long a change may take until its servers are in haproxy.cfg; then it is not waited for any longer. */
const settleMs = 600_000;
/** How long servers that came serve until the next step: what had waited for them is worked off. */
const restMs = 15_000;

/** `more than 5 % of the requests fail`, or nothing. */
export function shortOf({ failing = 0 }: Seen): string[] {
    return failing > mostFailing ? [`${Math.round(failing * 100)} % of the requests fail`] : [];
}

/** Why nothing may be taken away now, whatever the load; `undefined`: it may. Completes "…, but ". */
export function whyNotIn({ past, pool }: Circumstances, seen: Seen | undefined): string | undefined {
    if (!seen || failedLooks(past.looks).length > 0) return "nothing is seen just now";
    const { now, failing, unknown } = seen;
    if (now.down > 0) return `${now.down} of ${now.up + now.down} servers are not UP`;
    if (now.up !== pool.replicas) return `${now.up} of ${pool.replicas} servers are there`;
    if (now.young > 0) return `${now.young} of ${now.up} servers have only just come up`;
    if (failing === undefined) return "nobody knows how many requests fail";
    const [short] = shortOf(seen);
    if (short !== undefined) return short;
    return unknown.length > 0 ? `${unknown.join(" and ")} is not known` : undefined;
}

/** Whether the last change has come to its end, all of its servers are UP (a dead one is not waited for), and been given a moment to help. */
export function isRested({ past: { changed, looks }, pool, settings, nowMs }: Circumstances): boolean {
    if (!changed || nowMs - changed.atMs > settleMs) return true;
    const recent = looks
        .filter(isSample)
        .filter(({ atMs }) => atMs > nowMs - restMs || atMs === looks.at(-1)?.atMs);
    const isNew = nowMs - changed.atMs < settings.outSeconds * 1000;
    return recent.every(({ up, down }) => up + down === pool.replicas && (down === 0 || !isNew));
}

/**
 * Whether the servers that came last changed anything where all slots are still taken: of what they could answer more, at
 * least three tenths is. If not, what all of them wait for is elsewhere, such as a slow database: servers without end
 * would not help.
 */
export function hasHelped(
    { past: { changed, looks }, settings, nowMs }: Circumstances,
    { isFull }: Seen,
): boolean {
    if (!changed || !isFull || changed.to <= changed.from) return true;
    const { answered = answeredBefore(looks, settings, changed.atMs) } = changed;
    const now = answeredBefore(looks, settings, nowMs);
    if (answered === undefined || now === undefined) return true;
    return now > answered * (1 + 0.3 * (changed.to / changed.from - 1));
}

/** Requests a second that were answered while all slots were taken. For {@link Past.changed}, as the change ends. */
export function answeredBefore(
    looks: readonly Look[],
    settings: Pick<AutoscaleSettings, "outSeconds" | "slots">,
    atMs: number,
): number | undefined {
    const since = atMs - settings.outSeconds * 1000;
    const window = looks.filter(isSample).filter((look) => look.atMs > since && look.atMs <= atMs);
    return answeredPerSecond(lastFull(window, settings.slots));
}
