/**
 * What the charts show, and how long it is kept. No import that a browser does not have: the page keeps its points by the
 * same rules as the server.
 */

/** The pool at a time, or its mean over some seconds. Rates are per second; what is absent is not known. */
export interface Point {
    atMs: number;
    /** Servers: that are wanted, that are UP. */
    wanted: number;
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

const fields = [
    ...["wanted", "up", "busy", "running", "queued"],
    ...["requests", "failures", "errors", "retries", "responseMs"],
] as readonly Exclude<keyof Point, "atMs">[];

/** Points, oldest first, in bounded memory: about 3,000 with one a second, and there is one in two. */
export class Points {
    private readonly means: Point[] = [];
    private readonly whole: Point[] = [];

    /** @param kept What another one has {@link all kept}. @default nothing */
    constructor(kept: readonly Point[] = []) {
        for (const point of kept) this.add(point);
    }

    /** @param point Newer than all others. */
    add(point: Point): void {
        this.whole.push(point);
        const bound = period(point.atMs - 1000 * wholeSeconds, meanSeconds);
        const leave = this.whole.findIndex(({ atMs }) => period(atMs, meanSeconds) >= bound);
        this.means.push(...thinned(this.whole.splice(0, leave), meanSeconds));
        const since = point.atMs - 1000 * keptSeconds;
        for (let [oldest] = this.means; oldest && oldest.atMs < since; [oldest] = this.means)
            this.means.shift();
    }

    all(): Point[] {
        return [...this.means, ...this.whole];
    }
}

const period = (atMs: number, seconds: number): number => Math.floor(atMs / 1000 / seconds);

/** Fewer points: the mean of each so many seconds. */
export function thinned(points: readonly Point[], seconds: number): Point[] {
    const groups: Point[][] = [];
    for (const point of points) {
        const last = groups.at(-1);
        if (last?.[0] && period(last[0].atMs, seconds) === period(point.atMs, seconds)) last.push(point);
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
