import type { PoolReading } from "../live/reading";
import { type Sample, youngSeconds } from "./model";

/** A look at HAProxy, and when it was. */
export interface TimedReading {
    atMs: number;
    reading: PoolReading;
}

/** @param before The look before, for what HAProxy only counts. @default there is none */
export function sampleOf({ atMs, reading }: TimedReading, before?: TimedReading): Sample {
    const { servers, running, queued } = reading;
    const up = servers.filter(({ isUp }) => isUp);
    return {
        ...{ atMs, running, queued },
        up: up.length,
        young: up.filter(({ statusSeconds }) => statusSeconds < youngSeconds).length,
        down: servers.length - up.length,
        requestsPerSecond: rate(({ requests }) => requests),
        failuresPerSecond: rate(({ failures }) => failures),
    };

    function rate(counter: (reading: PoolReading) => number): number | undefined {
        // Another worker: its counters began at 0.
        if (before?.reading.pid !== reading.pid) return undefined;
        const seconds = (atMs - before.atMs) / 1000;
        return seconds > 0 ? Math.max(0, counter(reading) - counter(before.reading)) / seconds : undefined;
    }
}
