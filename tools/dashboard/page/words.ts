/** Words and figures of the page, in the browser's own time zone. */
import { duration } from "../../cli/words";

const day = (atMs: number): string => new Date(atMs).toDateString();
const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** `14:02:10`, or `29 Nov 14:02:10` where that is not today. */
export const clockAt = (atMs: number, nowMs: number): string =>
    day(atMs) === day(nowMs) ? time.format(atMs) : `${date.format(atMs)} ${time.format(atMs)}`;

/** `3 min 2 s`, `5 h 10 min`, `3 days`. */
export function span(milliseconds: number): string {
    const seconds = Math.max(0, Math.round(milliseconds / 1000));
    const hours = Math.floor(seconds / 3600);
    if (hours >= 48) return `${Math.floor(hours / 24)} days`;
    if (hours > 0) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
    return duration(seconds);
}

/** When something was, how long it took, and how long ago that is. */
export function when(event: { atMs: number; endMs?: number }, nowMs: number): string {
    const { atMs, endMs } = event;
    const began = clockAt(atMs, nowMs);
    if (endMs === undefined) return `since ${began}, for ${span(nowMs - atMs)}`;
    const took = endMs - atMs >= 1000 ? `, took ${span(endMs - atMs)}` : "";
    return `${began}${took}, ${span(nowMs - endMs)} ago`;
}

/** As many digits as one can read: `0.64`, `12.3`, `1,240`; `–` where it is not known. */
export function figure(value: number | null | undefined): string {
    if (value === undefined || value === null) return "–";
    const digits = value === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** A share as people say it: `64 %`. */
export const percent = (share: number | null | undefined): string =>
    share === undefined || share === null ? "–" : `${Math.round(100 * share)} %`;
