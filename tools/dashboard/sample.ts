import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { busyShare } from "../live/headline";
import { ratePerSecond, type ServerReading, type TimedReading } from "../live/reading";
import type { Point } from "./points";

/** What the charts show of a look. @param before The look before, for what HAProxy only counts. */
export function pointOf(
    look: TimedReading,
    before: TimedReading | undefined,
    wanted: number,
    autoscale: AutoscaleSettings | undefined,
): Point {
    const { atMs, reading } = look;
    const { servers, running, queued } = reading;
    return known({
        ...{ atMs, wanted, servers: servers.length, up: servers.filter(({ isUp }) => isUp).length },
        ...{ busy: busyShare(reading, autoscale), running, queued, responseMs: responseMsOf(servers) },
        requests: ratePerSecond(look, before, ({ requests }) => requests),
        failures: ratePerSecond(look, before, ({ failures }) => failures),
        errors: ratePerSecond(look, before, ({ errors }) => errors),
        retries: ratePerSecond(look, before, ({ retries }) => retries),
    });
}

/** Of those that have requests just now: HAProxy's mean of an idle one is of long ago. */
function responseMsOf(servers: readonly ServerReading[]): number | undefined {
    const rates = servers.map(({ requestsPerSecond }) => requestsPerSecond);
    const all = rates.reduce((sum, rate) => sum + rate, 0);
    if (all === 0) return undefined;
    return servers.reduce((sum, server, i) => sum + (server.responseMs * (rates[i] ?? 0)) / all, 0);
}

/** Without what is not known, and with three digits after the point: it is sent to browsers, a thousand at a time. */
function known({
    atMs,
    wanted,
    ...rest
}: Pick<Point, "atMs" | "wanted"> & { [K in keyof Point]: Point[K] | undefined }): Point {
    const point: Point = { atMs, wanted };
    const entries: [string, number | undefined][] = Object.entries(rest);
    for (const [field, value] of entries)
        if (value !== undefined) point[field as keyof typeof rest] = Math.round(value * 1000) / 1000;
    return point;
}
