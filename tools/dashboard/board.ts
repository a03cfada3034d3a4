import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { Story } from "../history/story";
import { busyShare, headline } from "../live/headline";
import { type PoolReading, ratePerSecond, type ServerReading, type TimedReading } from "../live/reading";
import { type Point, Points } from "./points";
import type { About, View } from "./view";

/** All that the dashboard knows of a stack: it is told what is seen, and says what is to be shown. */
export class Board {
    readonly points = new Points();
    /** What has happened; of looks at HAProxy it gets the failed ones alone, {@link look} the others. */
    readonly story = new Story();

    constructor(public about: About) {}

    /** @returns What the charts get of it. */
    look(look: TimedReading): Point {
        const { made, autoscale } = this.about;
        const point = pointOf(look, this.story.looks.at(-1), this.story.wanted(made), autoscale);
        this.points.add(point);
        this.story.look(look);
        return point;
    }

    view(): View {
        const { stack, made, autoscale } = this.about;
        const situation = this.story.situation(stack, made, autoscale);
        return {
            ...this.about,
            // The page sets its clock by it: also where the newest look is older, or fails.
            nowMs: Date.now(),
            wanted: situation.wanted,
            headline: headline(situation),
            historyProblem: this.story.historyProblem,
            newest: situation.looks.at(-1),
        };
    }
}

/** What the charts show of a look. @param before The look before, for what HAProxy only counts. */
export function pointOf(
    look: TimedReading,
    before: TimedReading | undefined,
    wanted: number,
    autoscale: AutoscaleSettings | undefined,
): Point {
    const { atMs, reading } = look;
    const { servers, running, queued } = reading;
    const rate = (counter: (reading: PoolReading) => number) => rounded(ratePerSecond(look, before, counter));
    return {
        ...{ atMs, wanted, running, queued },
        up: servers.filter(({ isUp }) => isUp).length,
        busy: rounded(busyShare(reading, autoscale)),
        responseMs: rounded(responseMsOf(servers)),
        requests: rate(({ requests }) => requests),
        failures: rate(({ failures }) => failures),
        errors: rate(({ errors }) => errors),
        retries: rate(({ retries }) => retries),
    };
}

/** Of those that have requests just now: HAProxy's mean of an idle one is of long ago. */
function responseMsOf(servers: readonly ServerReading[]): number | undefined {
    const all = servers.reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0);
    if (all === 0) return undefined;
    return servers.reduce((sum, server) => sum + (server.responseMs * server.requestsPerSecond) / all, 0);
}

/** To three digits after the point: it is sent to browsers, a thousand at a time. */
const rounded = (value: number | undefined): number | undefined =>
    value === undefined ? undefined : Math.round(value * 1000) / 1000;
