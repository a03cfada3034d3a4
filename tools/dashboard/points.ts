/**
 * What the charts show, and how long it is kept. No import that a browser does not have: the page keeps its points by the
 * same rules as the server.
 */

/** The pool at a time, or its mean over some seconds. Rates are per second; what is absent is not known. */
export interface Point {
    atMs: number;
    /** Servers: that are wanted, that haproxy.cfg has, that are UP. */
    wanted: number;
    servers?: number;
    up?: number;
    /** Share of the slots of the servers that are UP which are busy; only where `autoscale` says how many slots there are. */
    busy?: number;
    running?: number;
    queued?: number;
    requests?: number;
    /** Answers of 5xx, connections and answers that failed, requests that were sent again. */
    failures?: number;
    errors?: number;
    retries?: number;
    /** Mean of the newest requests of the servers that have any, in milliseconds. */
    responseMs?: number;
}

/** As they come for so long; then the means of ten seconds; and nothing at all after the last bound. */
const wholeSeconds = 15 * 60;
const meanSeconds = 10;
export const keptSeconds = 6 * 3600;

/** With a point each second never more than this, about 3,000; there is one in two. */
export const mostPoints = wholeSeconds + Math.ceil((keptSeconds - wholeSeconds) / meanSeconds) + 2;

const fields = [
    ...["wanted", "servers", "up", "busy", "running", "queued"],
    ...["requests", "failures", "errors", "retries", "responseMs"],
] as readonly Exclude<keyof Point, "atMs">[];

/** Points, oldest first, in bounded memory. */
export class Points {
    private means: Point[] = [];
    private whole: Point[] = [];
    /** Those that become the next mean. */
    private leaving: Point[] = [];

    /** @param kept What another one has {@link all kept}. @default nothing */
    constructor(kept: readonly Point[] = []) {
        for (const point of kept) this.add(point);
    }

    /** @param point Newer than all others. */
    add(point: Point): void {
        this.whole.push(point);
        const bound = point.atMs - wholeSeconds * 1000;
        for (let [oldest] = this.whole; oldest && oldest.atMs < bound; [oldest] = this.whole) {
            this.leave(oldest);
            this.whole.shift();
        }
        const since = point.atMs - keptSeconds * 1000;
        const first = this.means.findIndex(({ atMs }) => atMs >= since);
        if (first > 0) this.means.splice(0, first);
        // After a gap that is longer than all that is kept.
        else if (first < 0) this.means = [];
    }

    all(): Point[] {
        return [...this.means, ...(this.leaving.length > 0 ? [mean(this.leaving)] : []), ...this.whole];
    }

    private leave(point: Point): void {
        const [first] = this.leaving;
        if (first && period(first) !== period(point)) {
            this.means.push(mean(this.leaving));
            this.leaving = [];
        }
        this.leaving.push(point);
    }
}

const period = ({ atMs }: Point, seconds = meanSeconds): number => Math.floor(atMs / 1000 / seconds);

/** Fewer points: the mean of each so many seconds. */
export function thinned(points: readonly Point[], seconds: number): Point[] {
    const groups: Point[][] = [];
    for (const point of points) {
        const last = groups.at(-1);
        if (last?.[0] && period(last[0], seconds) === period(point, seconds)) last.push(point);
        else groups.push([point]);
    }
    return groups.map(mean);
}

/** At the first one's time; of each field over those that have it. */
function mean(points: readonly Point[]): Point {
    const result: Point = { atMs: points[0]?.atMs ?? 0, wanted: 0 };
    for (const field of fields) {
        const known = points.map((point) => point[field]).filter((value) => value !== undefined);
        if (known.length > 0) result[field] = known.reduce((sum, value) => sum + value, 0) / known.length;
    }
    return result;
}
