import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { count } from "../cli/words";
import { type Circumstances, hasHelped, isRested, shortOf, whyNotIn } from "./guards";
import type { Decision, Past, Pool } from "./model";
import { demand, failedLooks, readSignals, type Seen, type Signal } from "./signals";

/** After so many failed changes in a row nothing is tried again until a person changes the config. */
const mostFailures = 3;
/** After the first failed change, doubled with each. */
const backOffMs = 300_000;
/** So many looks in vain are no accident. */
const mostFailedLooks = 3;
/** What came within so long is not taken away for little. */
const recentMs = 1_800_000;

type Verdict = Omit<Decision, "recommendation">;

/**
 * How many servers there should be, and why. The same of the same: it asks nobody, not even a clock.
 *
 * @param floor Servers that the schedule wants at least; 0: none.
 */
export function decide(
    pool: Pool,
    past: Past,
    settings: AutoscaleSettings,
    floor: number,
    nowMs: number,
): Decision {
    const seen = readSignals(past, settings, nowMs);
    const wanted = seen && seen.now.up > 0 ? wantedOf(seen, pool) : undefined;
    const low = Math.min(settings.max, Math.max(settings.min, floor));
    const known: Circumstances = { pool, past, settings, nowMs, low, floor };
    const verdict =
        heldBack(known) ??
        outsideRange(known, seen) ??
        (seen && wanted !== undefined && failedLooks(past.looks).length < mostFailedLooks
            ? byMetrics(known, seen, wanted)
            : blind(known, seen));
    return {
        ...verdict,
        ...(wanted !== undefined && { recommendation: { atMs: nowMs, replicas: wanted } }),
    };
}

const stay = ({ pool }: Circumstances, reason: string, alarming = false): Verdict => ({
    replicas: pool.replicas,
    action: "none",
    reason,
    ...(alarming && { alarming }),
});

/** What all signals together want: the most of them, the dead ones made up for, half as many again where all is full. */
function wantedOf({ signals, now, isFull }: Seen, { replicas }: Pool): number {
    const most = Math.max(...signals.map(({ wanted }) => wanted)) + now.down;
    return isFull ? Math.max(most, replicas + Math.ceil(replicas / 2)) : most;
}

function heldBack(facts: Circumstances): Verdict | undefined {
    const { pool, past, settings, nowMs } = facts;
    if (settings.paused) return stay(facts, "paused by autoscale.paused");
    const failed = backOff(past, nowMs);
    if (failed?.isFinal) return stay(facts, failed.reason, true);
    if (pool.occupied !== undefined) return stay(facts, `waits: ${pool.occupied}`);
    return failed && stay(facts, failed.reason, true);
}

/** Why nothing is tried now after changes that failed; `undefined`: it may be. `isFinal`: until a person changes something. */
export function backOff(past: Past, nowMs: number): { reason: string; isFinal: boolean } | undefined {
    const { failures, failedAtMs = 0 } = past;
    const { atMs = 0, byPerson = false } = past.changed ?? {};
    if (failures === 0 || (byPerson && atMs > failedAtMs)) return undefined;
    if (failures > mostFailures)
        return {
            reason: `stopped: ${failures} changes in a row failed; look why (make history), and change the config to go on`,
            isFinal: true,
        };
    const untilMs = failedAtMs + backOffMs * 2 ** (failures - 1);
    if (nowMs >= untilMs) return undefined;
    const which = failures === 1 ? "the last change" : `the last ${failures} changes`;
    const minutes = Math.ceil((untilMs - nowMs) / 60_000);
    return { reason: `waits ${minutes} min: ${which} failed`, isFinal: false };
}

/** Brings `replicas` back into the allowed range whatever the metrics say, but never shrinks a pool that can't be seen. */
function outsideRange(facts: Circumstances, seen: Seen | undefined): Verdict | undefined {
    const { pool, past, settings, low, floor, nowMs } = facts;
    const { replicas } = pool;
    if (replicas < low) {
        const isScheduled = floor > settings.min;
        const reason = `${isScheduled ? "the schedule" : "autoscale.min"} wants at least ${count(low, "server")}`;
        return { replicas: low, action: "out", reason };
    }
    if (replicas <= settings.max) return undefined;
    const over = `autoscale.max is ${settings.max}`;
    const unsafe = whyNotIn(facts, seen);
    if (unsafe !== undefined) return stay(facts, `${over}, but ${unsafe}`, true);
    if (past.changed && nowMs - past.changed.atMs < settings.outSeconds * 1000)
        return stay(facts, `${over}: the last change is to show first what it does`);
    return { replicas: Math.max(settings.max, shrunk(facts)), action: "in", reason: over };
}

function blind(facts: Circumstances, seen: Seen | undefined): Verdict {
    const { past } = facts;
    const failed = failedLooks(past.looks).length;
    const last = past.looks.at(-1);
    const why = last && "problem" in last ? last.problem : "HAProxy has not been asked lately";
    if (failed >= mostFailedLooks)
        return stay(facts, `nothing is seen since ${failed} looks, so nothing is changed: ${why}`, true);
    if (seen?.now.up === 0) return stay(facts, "no server is UP: more of the same would not help", true);
    return stay(facts, `nothing is seen just now: ${why}`);
}

function byMetrics(facts: Circumstances, seen: Seen, wanted: number): Verdict {
    const { replicas } = facts.pool;
    const aim = Math.max(wanted, facts.low);
    if (aim > replicas) return out(facts, seen, aim);
    return aim < replicas ? shrink(facts, seen, aim) : stay(facts, driver(seen).text);
}

/** What wants most. */
const driver = ({ signals }: Seen): Signal =>
    signals.reduce((most, signal) => (signal.ratio > most.ratio ? signal : most));

function out(facts: Circumstances, seen: Seen, wanted: number): Verdict {
    const { pool, past, settings, nowMs } = facts;
    const { replicas } = pool;
    const { down, up } = seen.now;
    const failing = shortOf(seen);
    const dead = down > 0 ? [`${down} not UP`] : [];
    const why = [driver(seen).text, ...dead, ...failing].join(", ");
    const isAlarming = failing.length > 0 || down > up;
    const keep = (what: string, alarming = false) => stay(facts, `${what}: ${why}`, alarming);
    const { changed } = past;
    if (changed?.byPerson && changed.to < changed.from && nowMs - changed.atMs < settings.inSeconds * 1000)
        return keep(
            `a person has just made it ${replicas}, which holds for ${settings.inSeconds} s`,
            seen.isFull,
        );
    if (!seen.isMean && !seen.isFull) return keep("has only begun to look");
    if (!isRested(facts)) return keep("the last change is still under way");
    if (replicas >= settings.max)
        return keep(`${wanted} servers are wanted, and autoscale.max is ${settings.max}`, true);
    if (seen.isDraining) return keep("what had waited is being worked off");
    if (!hasHelped(facts, seen)) return keep("the last servers did not help, so it is not the servers", true);
    const step = Math.max(2, Math.ceil(replicas * settings.growth - 1e-9));
    const next = Math.min(wanted, replicas + step, settings.max);
    const limit = next < wanted ? [`${wanted} are wanted`] : [];
    return {
        replicas: next,
        action: "out",
        reason: [why, ...limit].join(", "),
        ...(isAlarming && { alarming: true }),
    };
}

/** The fewest servers that one step leaves. */
function shrunk({ pool: { replicas }, settings }: Circumstances): number {
    return replicas - Math.max(1, Math.floor(replicas * settings.shrink + 1e-9));
}

function shrink(facts: Circumstances, seen: Seen, wanted: number): Verdict {
    const { pool, past, settings, nowMs } = facts;
    const { replicas } = pool;
    const { text } = driver(seen);
    const windowMs = settings.inSeconds * 1000;
    const keep = (what: string) => stay(facts, `${text}, but ${what}`);
    const unsafe = whyNotIn(facts, seen);
    if (unsafe !== undefined) return keep(unsafe);
    if (demand(seen.now) > seen.now.up * settings.slots * settings.target || seen.isDraining)
        return keep("just now it is more");
    if (past.changed && nowMs - past.changed.atMs < windowMs)
        return keep(`the pool was changed less than ${settings.inSeconds} s ago`);
    const window = past.recommendations.filter(({ atMs }) => atMs > nowMs - windowMs);
    if (!isWhole(window, facts)) return keep(`the last ${settings.inSeconds} s were not all seen`);
    const most = Math.max(wanted, ...window.map((recommendation) => recommendation.replicas));
    if (most >= replicas) return keep(`${count(most, "server")} wanted within ${settings.inSeconds} s`);
    const least = Math.max(most, shrunk(facts), facts.low);
    const next = fitting(least, facts, seen);
    if (next === replicas) return keep("one server fewer would be close to the target");
    return {
        replicas: next,
        action: "in",
        reason: `${text}, for ${settings.inSeconds} s no more than ${count(most, "server")} wanted`,
    };
}

/**
 * Servers with which the next breeze does not bring back the one that left: below 0.9 of the target afterwards, by what is
 * busy just now and in the whole window: of a load that goes up and down, who waits for a low sees one. Those that came a
 * short while ago were wanted, and stay for less.
 */
function fitting(
    least: number,
    { pool: { replicas }, past: { changed }, nowMs }: Circumstances,
    { signals, longRatio }: Seen,
): number {
    const ratio = Math.max(longRatio, ...signals.map((signal) => signal.ratio));
    const hasJustGrown =
        changed !== undefined && changed.to > changed.from && nowMs - changed.atMs < recentMs;
    let next = least;
    while (next < replicas && (ratio * replicas) / next >= (hasJustGrown ? 0.75 : 0.9)) next++;
    return next;
}

/** A timer's runs leave gaps of some 50 s, and come late now and then. */
const longestGapMs = 90_000;

/**
 * Whether looks were made all the time. Each tells of `outSeconds` before it, so no gap may be much longer, but for a
 * timer's; and the first is as close to the start of the window as they are to each other.
 */
function isWhole(looks: readonly { atMs: number }[], { settings, nowMs }: Circumstances): boolean {
    const gaps = looks.map(({ atMs }, i) => (looks[i + 1]?.atMs ?? nowMs) - atMs);
    const longest = Math.max(...gaps);
    const first = (looks[0]?.atMs ?? Infinity) - (nowMs - settings.inSeconds * 1000);
    return (
        longest <= Math.max(settings.outSeconds * 1500, longestGapMs) && first <= Math.max(longest, 15_000)
    );
}
