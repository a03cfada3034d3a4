import { Cron } from "croner";
import type { AutoscaleSettings, ScheduledFloor } from "../../lib/autoscale-settings";

/**
 * Servers that there must be at least at a time: `min`, and the most of the windows that are open.
 *
 * @param aheadSeconds A window opens so much earlier, so that its servers are there at its start: `readySeconds`.
 */
export function floorAt(
    { min, schedule }: Pick<AutoscaleSettings, "min" | "schedule">,
    nowMs: number,
    aheadSeconds = 0,
): number {
    const open = schedule.filter((window) => isOpen(window, nowMs, aheadSeconds));
    return Math.max(min, ...open.map((window) => window.min));
}

/** It has started, or soon will, since it ended last. */
function isOpen({ start, end, timezone }: ScheduledFloor, nowMs: number, aheadSeconds: number): boolean {
    const started = lastTime(start, timezone, nowMs + aheadSeconds * 1000);
    return started !== undefined && started > (lastTime(end, timezone, nowMs) ?? -Infinity);
}

/**
 * When a cron expression last came, at `nowMs` or before. A time that the clock leaves out comes when the clock is put
 * forward; one that it has twice comes the first time. https://croner.56k.guru
 */
function lastTime(expression: string, timezone: string, nowMs: number): number | undefined {
    const cron = new Cron(expression, { timezone, paused: true });
    // What comes at this very moment has come; croner wants it to be over.
    return cron.previousRuns(1, new Date(nowMs + 1))[0]?.getTime();
}
