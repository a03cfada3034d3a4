import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { Look, Past, Sample } from "./model";

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
    /** Names of those that are asked for and not known: the pool must not shrink then. */
    unknown: string[];
    /** All slots were taken in the last two looks, or requests waited for a server. */
    isFull: boolean;
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

export const isSample = (look: Look): look is Sample => !("problem" in look);

/** How many looks in a row were in vain just now. */
export function failedLooks(looks: readonly Look[]): number {
    return looks.length - 1 - looks.findLastIndex(isSample);
}

/** What was seen in the last `outSeconds`; `undefined`: nothing. */
export function readSignals(past: Past, settings: AutoscaleSettings, nowMs: number): Seen | undefined {
    const outMs = settings.outSeconds * 1000;
    const all = past.looks.filter(isSample).filter(({ atMs }) => atMs > nowMs - 1.5 * outMs && atMs <= nowMs);
    const window = all.filter(({ atMs }) => atMs > nowMs - outMs);
    const now = window.at(-1);
    if (!now) return undefined;
    const isFullAt = (sample: Sample) => sample.queued > 0 || demand(sample) > sample.up * settings.slots;
    const lastTwo = window.slice(-2);
    const isFull = lastTwo.length === 2 && lastTwo.every(isFullAt);
    // What waited for slots that have come since says nothing of what is wanted now.
    const current = window.filter((sample) => sample.up >= now.up || !isFullAt(sample));
    const asked = [
        busy(current, isFull ? Math.min(...lastTwo.map(demand)) : 0, now, settings),
        ...(settings.requestsPerSecond > 0 ? [requests(window, now, settings)] : []),
        ...(settings.cpu > 0 ? [cpu(window, now, past, settings)] : []),
    ];
    return {
        now,
        signals: asked.filter((signal) => typeof signal !== "string"),
        unknown: asked.filter((signal) => typeof signal === "string"),
        isFull,
        failing: failingShare(window),
        isMean: all.some(({ atMs }) => atMs <= nowMs - outMs / 2),
    };
}

/**
 * Requests at the same time are what is wanted of the servers whatever their number: they are the product of requests a
 * second and of how long each takes (https://en.wikipedia.org/wiki/Little%27s_law), so that the mean may span a change.
 */
function busy(window: readonly Sample[], least: number, { up }: Sample, settings: AutoscaleSettings): Signal {
    const { slots, target, outSeconds } = settings;
    const average = mean(window.map(demand)) ?? 0;
    const over = least > average ? "in two looks" : `mean of ${outSeconds} s`;
    return signal("busy", Math.max(average, least) / (up * slots), target, up, over);
}

function requests(window: readonly Sample[], { up }: Sample, settings: AutoscaleSettings): Signal | string {
    const { requestsPerSecond: bears, target, outSeconds } = settings;
    const rate = mean(window.flatMap(({ requestsPerSecond }) => requestsPerSecond ?? []));
    if (rate === undefined) return "requests a second";
    const name = `of the ${bears} requests a second that a server bears`;
    return signal(name, rate / (up * bears), target, up, `mean of ${outSeconds} s`);
}

function cpu(
    window: readonly Sample[],
    { atMs, up }: Sample,
    { changed }: Past,
    settings: AutoscaleSettings,
): Signal | string {
    const share = mean(window.flatMap((sample) => sample.cpu ?? []));
    if (share === undefined || (changed && atMs - changed.atMs < cpuLateMs)) return "CPU";
    return signal("CPU", share, settings.cpu, up, `mean of ${settings.outSeconds} s`);
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
    const known = window.flatMap(({ failuresPerSecond: failures, requestsPerSecond: requests }) =>
        failures === undefined || requests === undefined ? [] : [{ failures, requests }],
    );
    const failures = mean(known.map((sample) => sample.failures));
    const requests = mean(known.map((sample) => sample.requests));
    if (failures === undefined || requests === undefined) return undefined;
    return failures === 0 ? 0 : failures / Math.max(requests, failures);
}

export function mean(numbers: readonly number[]): number | undefined {
    return numbers.length === 0 ? undefined : numbers.reduce((sum, n) => sum + n, 0) / numbers.length;
}
