import type { AutoscaleSettings } from "./autoscale-settings";

/** For the preview and the state: `{ min: 2, max: 12, …, schedule: ["at least 6 from 30 7 * * Mon-Fri …"] }`. */
export function describeAutoscale({
    schedule,
    heal,
    ...rest
}: AutoscaleSettings): Record<string, number | boolean | string | string[]> {
    const windows = schedule.map(
        ({ start, end, timezone, min }) => `at least ${min} from ${start} to ${end}, ${timezone}`,
    );
    return {
        ...rest,
        schedule: windows,
        heal: heal ? `DOWN for ${heal.downSeconds} s, ${heal.perHour} an hour` : "no",
    };
}

/** In a line: `2 to 12 servers, at most 0.60 of 8 requests a server busy; replicas belongs to the autoscaler`. */
export function sayAutoscale(settings: AutoscaleSettings): string {
    const { min, max, target, slots, requestsPerSecond, cpu, schedule, paused, heal } = settings;
    const signals = [
        `at most ${target.toFixed(2)} of ${slots} requests a server busy`,
        ...(requestsPerSecond > 0 ? [`of ${requestsPerSecond} requests a second likewise`] : []),
        ...(cpu > 0 ? [`${cpu.toFixed(2)} of its CPU`] : []),
    ];
    const parts = [
        `${min} to ${max} servers, ${signals.join(", ")}`,
        ...(schedule.length > 0
            ? [`on schedule at least ${schedule.map((floor) => floor.min).join(" or ")}`]
            : []),
        ...(heal ? ["sick servers are replaced"] : []),
        paused ? "paused: replicas stays as it is" : "replicas belongs to the autoscaler",
    ];
    return parts.join("; ");
}
