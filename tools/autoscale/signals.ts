import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { ratePerSecond, type TimedReading } from "../live/reading";
import type { Blind, Look, Past, Sample } from "./model";

/** What one kind of figure says of the pool. */
export interface Signal {
    /** For a sentence: `busy 0.90 (target 0.60, mean of 60 s)`. */
    text: string;
    /** Use over target: 1 is what is wanted. */
    ratio: number;
    /** How many servers that are UP it wants. */
    wanted: number;
}

/** What is known of the last seconds. */
export interface Seen {
    /** The newest look that was none in vain. */
    now: Sample;
    /** Those that are asked for and known. Busy is the first. */
    signals: Signal[];
    /** Busy over target, in the mean of all of `inSeconds`. */
    longRatio: number;
    /** Names of those that are asked for and not known: the pool must not shrink then. */
    unknown: string[];
    /** All slots were taken in the last two looks, or requests waited for a server; and those that came since do not help. */
    isFull: boolean;
    /** All slots are taken, or were a moment ago, by what had waited for them: it is worked off by those that there are. */
    isDraining: boolean;
    /** Failures a second over requests a second; `undefined`: not known. */
    failing: number | undefined;
    /** The looks cover enough of `outSeconds` for a mean to be one. */
    isMean: boolean;
}

/**
 * Within so much of the target nothing is changed.
 * https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/#algorithm-details
 */
const tolerance = 0.1;

/**
 * DigitalOcean's figures of CPU are of a minute and come minutes late: those from before a change are of another pool.
 * https://docs.digitalocean.com/products/monitoring/details/
 */
const cpuLateMs = 180_000;

/** A server that came up so recently may still be warming up: the pool does not shrink because of it. */
const youngSeconds = 120;

/** @param before The look before, for what HAProxy only counts. @default there is none */
export function sampleOf(look: TimedReading, before?: TimedReading): Sample {
    const { servers, running, queued } = look.reading;
    const up = servers.filter(({ isUp }) => isUp);
    return {
        ...{ atMs: look.atMs, running, queued },
        up: up.length,
        young: up.filter(({ statusSeconds }) => statusSeconds < youngSeconds).length,
        down: servers.length - up.length,
        requestsPerSecond: ratePerSecond(look, before, ({ requests }) => requests),
        failuresPerSecond: ratePerSecond(look, before, ({ failures }) => failures),
    };
}

export const isSample = (look: Look): look is Sample => !("problem" in look);

/** The looks since the last one that saw anything, oldest first. */
export function failedLooks(looks: readonly Look[]): Blind[] {
    return looks.slice(looks.findLastIndex(isSample) + 1).filter((look): look is Blind => !isSample(look));
}

/** What was seen in the last `outSeconds`; `undefined`: nothing. */
export function readSignals(past: Past, settings: AutoscaleSettings, nowMs: number): Seen | undefined {
    const { requestsPerSecond: bears, cpu, target } = settings;
    const outMs = settings.outSeconds * 1000;
    const all = past.looks.filter(isSample).filter(({ atMs }) => atMs > nowMs - 1.5 * outMs && atMs <= nowMs);
    const window = all.filter(({ atMs }) => atMs > nowMs - outMs);
    const now = window.at(-1);
    if (!now) return undefined;
    const full = lastFull(window, settings.slots);
    const isFull = full.length >= 2 && isNoAccident(full, settings.slots);
    const free = window.slice(window.findLastIndex((sample) => isFullAt(sample, settings.slots)) + 1);
    const use = isFull ? fullUse(full, settings) : freeUse(free.length > 0 ? free : window, now, settings);
    const isShort = use > target * (1 + tolerance);
    const hasDrained = !isFull && free.length < Math.min(3, window.length);
    const over = `mean of ${settings.outSeconds} s`;
    const signals = [signal("busy", use, target, now.up, isFull ? "all slots are taken" : over)];
    const unknown: string[] = [];
    if (bears > 0) {
        const rate = meanOf(window, "requestsPerSecond");
        const name = `requests a second, of ${bears} a server:`;
        if (rate === undefined) unknown.push("requests a second");
        else signals.push(signal(name, rate / (now.up * bears), target, now.up, over));
    }
    if (cpu > 0) {
        const share = meanOf(window, "cpu");
        const isLate = past.changed !== undefined && now.atMs - past.changed.atMs < cpuLateMs;
        if (share === undefined || isLate) unknown.push("CPU");
        else signals.push(signal("CPU", share, cpu, now.up, over));
    }
    const long = past.looks.filter(isSample).filter(({ atMs }) => atMs > nowMs - settings.inSeconds * 1000);
    return {
        ...{ now, signals, unknown },
        longRatio: freeUse(long, now, settings) / target,
        isFull: isFull && isShort,
        isDraining: (isFull && !isShort) || hasDrained,
        failing: failingShare(window),
        isMean: all.some(({ atMs }) => atMs <= nowMs - outMs / 2),
    };
}

const isFullAt = (sample: Sample, slots: number): boolean =>
    sample.queued > 0 || demand(sample) > sample.up * slots;

/** The newest looks, as far as all slots were taken in each, by as many servers as there are now. */
export function lastFull(samples: readonly Sample[], slots: number): readonly Sample[] {
    const up = samples.at(-1)?.up;
    const other = samples.findLastIndex((sample) => sample.up !== up || !isFullAt(sample, slots));
    return samples.slice(other + 1);
}

/**
 * Requests come at random, so that their number varies by its root: in a small pool that is well, all slots are taken
 * for a moment now and then. https://en.wikipedia.org/wiki/Poisson_distribution
 */
function isNoAccident(full: readonly Sample[], slots: number): boolean {
    const lastTwo = full.slice(-2);
    const taken = lastTwo.reduce((sum, sample) => sum + demand(sample), 0);
    const all = lastTwo.reduce((sum, { up }) => sum + up * slots, 0);
    return full.length >= 4 || lastTwo.some(({ queued }) => queued > 0) || taken > all + 2 * Math.sqrt(all);
}

/**
 * Requests at the same time are what is wanted of the servers whatever their number: the product of requests a second
 * and of how long each takes (https://en.wikipedia.org/wiki/Little%27s_law). What waited is not counted: more than the
 * slots that there are is not known to be wanted.
 */
function freeUse(window: readonly Sample[], { up }: Sample, { slots }: AutoscaleSettings): number {
    const average = mean(window.map((sample) => Math.min(demand(sample), sample.up * slots))) ?? 0;
    return average / (up * slots);
}

/**
 * Where all slots are taken, and what waits stays the same without being lost, that is what is wanted. Where it piles up,
 * is worked off or gives up, it says little of how many servers are short: what they bear is what they answer, so the use
 * is what comes over what is answered.
 */
function fullUse(samples: readonly Sample[], { slots }: AutoscaleSettings): number {
    const recent = samples.slice(-4);
    const [first = 0, ...rest] = recent.map(demand);
    const last = rest.at(-1) ?? first;
    const inside = Math.min(...recent.slice(-2).map(demand)) / ((recent[0]?.up ?? 1) * slots);
    const came = meanOf(recent, "requestsPerSecond");
    const answered = answeredPerSecond(recent);
    if (came === undefined || answered === undefined) return inside;
    const isSteady = Math.abs(last - first) < 0.1 * last && (failingShare(recent) ?? 0) < 0.05;
    return isSteady ? inside : Math.min(inside, came / Math.max(answered, 1e-9));
}

/** Requests at the same time. */
export const demand = ({ running, queued }: Sample): number => running + queued;

function signal(name: string, use: number, target: number, up: number, over: string): Signal {
    const ratio = use / target;
    // Without the last digits, in which 3 is 3.0000000000000004.
    const wanted = Math.abs(ratio - 1) <= tolerance ? up : Math.ceil(up * ratio - 1e-9);
    return { text: `${name} ${use.toFixed(2)} (target ${target.toFixed(2)}, ${over})`, ratio, wanted };
}

function failingShare(window: readonly Sample[]): number | undefined {
    const failures = meanOf(window, "failuresPerSecond");
    const requests = meanOf(window, "requestsPerSecond");
    if (failures === undefined || requests === undefined) return undefined;
    return failures === 0 ? 0 : failures / Math.max(requests, failures);
}

/** Of those in which it is known. */
const meanOf = (samples: readonly Sample[], what: "requestsPerSecond" | "failuresPerSecond" | "cpu") =>
    mean(samples.flatMap((sample) => sample[what] ?? []));

function mean(numbers: readonly number[]): number | undefined {
    return numbers.length === 0 ? undefined : numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
}

/**
 * Requests that were answered well in a second: those that came and neither failed nor wait. It is what more servers
 * raise, if it is servers that are short. `undefined`: not known.
 */
export function answeredPerSecond(samples: readonly Sample[]): number | undefined {
    const [first, last] = [samples[0], samples.at(-1)];
    // Of the first only how many were there counts.
    const rates = samples.slice(1);
    const came = meanOf(rates, "requestsPerSecond");
    const failed = meanOf(rates, "failuresPerSecond");
    if (came === undefined || failed === undefined || !first || !last) return undefined;
    return came - failed - (demand(last) - demand(first)) / ((last.atMs - first.atMs) / 1000);
}
