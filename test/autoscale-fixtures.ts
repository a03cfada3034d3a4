import type { AutoscaleSettings } from "../lib/autoscale-settings";
import { decide } from "../tools/autoscale/decide";
import type { Decision, Look, Past, Pool, Sample } from "../tools/autoscale/model";

/** 2026-11-30 12:00 UTC. */
export const noon = Date.UTC(2026, 10, 30, 12);

export const settings: AutoscaleSettings = {
    ...{
        min: 2,
        max: 20,
        target: 0.6,
        slots: 10,
        requestsPerSecond: 0,
        cpu: 0,
        outSeconds: 60,
        inSeconds: 300,
    },
    ...{ growth: 1, shrink: 0.25, schedule: [], paused: false },
};

/** What a case says; all else is a pool that is well. */
export interface Case extends Partial<Pool>, Omit<Partial<Past>, "looks" | "recommendations"> {
    /** Servers UP; the rest of `replicas` is DOWN. @default replicas */
    up?: number;
    /** Of all slots that are UP. */
    busy: number;
    /** Busy was another number in looks so many seconds old and older. */
    earlier?: { seconds: number; busy: number };
    queued?: number;
    /** Of every look. */
    sample?: Partial<Sample>;
    /** For how long it has been looked. @default 600 */
    seconds?: number;
    /** In vain, the last ones. @default 0 */
    blind?: number;
    floor?: number;
    settings?: Partial<AutoscaleSettings>;
}

/** A look every five seconds until noon, and what was wanted at each. */
export function pastOf(given: Case): Past {
    const { replicas = 3, up = replicas, queued = 0, seconds = 600, blind = 0, earlier, sample = {} } = given;
    const { slots, target } = { ...settings, ...given.settings };
    const looks: Look[] = [];
    const recommendations: Past["recommendations"][number][] = [];
    for (let age = seconds; age >= 0; age -= 5) {
        const atMs = noon - age * 1000;
        const busy = earlier && age >= earlier.seconds ? earlier.busy : given.busy;
        const isBlind = age < blind * 5;
        if (isBlind) looks.push({ atMs, problem: "ssh: connection refused" });
        else
            looks.push({
                ...{ atMs, running: busy * up * slots, queued, up, down: replicas - up, young: 0 },
                ...{ requestsPerSecond: 100, failuresPerSecond: 0 },
                ...sample,
            });
        if (!isBlind && age > 0)
            recommendations.push({ atMs, replicas: Math.ceil((up * busy) / target - 1e-9) });
    }
    const { changed, failures = 0, failedAtMs } = given;
    return {
        looks,
        recommendations,
        failures,
        ...(changed && { changed }),
        ...(failedAtMs && { failedAtMs }),
    };
}

export function decideFor(given: Case): Decision {
    const { replicas = 3, occupied, floor = 0 } = given;
    const pool = { replicas, ...(occupied !== undefined && { occupied }) };
    return decide(pool, pastOf(given), { ...settings, ...given.settings }, floor, noon);
}
