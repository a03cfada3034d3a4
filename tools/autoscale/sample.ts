import { ratePerSecond, type TimedReading } from "../live/reading";
import { type Sample, youngSeconds } from "./model";

/** @param before The look before, for what HAProxy only counts. @default there is none */
export function sampleOf(look: TimedReading, before?: TimedReading): Sample {
    const { atMs, reading } = look;
    const { servers, running, queued } = reading;
    const up = servers.filter(({ isUp }) => isUp);
    return {
        ...{ atMs, running, queued },
        up: up.length,
        young: up.filter(({ statusSeconds }) => statusSeconds < youngSeconds).length,
        down: servers.length - up.length,
        requestsPerSecond: ratePerSecond(look, before, ({ requests }) => requests),
        failuresPerSecond: ratePerSecond(look, before, ({ failures }) => failures),
    };
}
