import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { Story } from "../history/story";
import { sayCheck } from "../live/events";
import { headline } from "../live/headline";
import { describeHeartbeat } from "../live/heartbeat";
import type { PoolReading, ServerReading, TimedReading } from "../live/reading";
import { type Point, Points } from "./points";
import { pointOf } from "./sample";
import type { HaproxyView, ServerView, View } from "./view";

/** What is known of a stack besides what HAProxy says. */
export interface About {
    stack: string;
    url: string;
    monthlyCost: number;
    /** Servers that the last `up` which ended well made. */
    servers: number;
    autoscale: AutoscaleSettings | undefined;
}

/** All that the dashboard knows of a stack: it is told what is seen, and says what is to be shown. */
export class Board {
    private readonly points = new Points();
    /** What has happened; of looks at HAProxy it gets the failed ones alone, {@link look} the others. */
    readonly story = new Story();

    constructor(private about: About) {}

    /** @returns What the charts get of it. */
    look(look: TimedReading, about: About = this.about): Point {
        this.about = about;
        const point = pointOf(look, this.story.looks.at(-1), this.wanted(), about.autoscale);
        this.points.add(point);
        this.story.look(look);
        return point;
    }

    /** What HAProxy said last; `undefined`: it has not answered yet. */
    newest(): PoolReading | undefined {
        return this.story.looks.at(-1)?.reading;
    }

    allPoints(): Point[] {
        return this.points.all();
    }

    view(): View {
        const { stack, url, monthlyCost, autoscale } = this.about;
        const { looks, events, nowMs, historyProblem } = this.story;
        const wanted = this.wanted();
        const newest = looks.at(-1);
        const heard = describeHeartbeat(newest?.reading.heartbeat);
        return {
            // The page sets its clock by it: also where the newest look is older, or fails.
            ...{ nowMs: Date.now(), stack, url, monthlyCost, wanted },
            autoscale: autoscale && {
                ...{ min: autoscale.min, max: autoscale.max },
                ...{ target: autoscale.target, slots: autoscale.slots },
            },
            headline: headline({ stack, nowMs, wanted, autoscale, looks, events }),
            historyProblem,
            autoscaler: heard && { text: heard.text, isAlarming: heard.isAlarming },
            haproxy: newest && haproxyView(newest),
            servers: newest ? serverViews(newest.reading.servers, newest.atMs) : [],
        };
    }

    private wanted(): number {
        return this.story.wanted(this.about.servers);
    }
}

function haproxyView({ atMs, reading }: { atMs: number; reading: PoolReading }): HaproxyView {
    const { generation, uptimeSeconds, idlePercent, connections, maxConnections, streams } = reading;
    const appliedAtMs = atMs - 1000 * uptimeSeconds;
    return { atMs, generation, appliedAtMs, idlePercent, connections, maxConnections, streams };
}

/** The sick first, as in `make top`. */
function serverViews(servers: readonly ServerReading[], nowMs: number): ServerView[] {
    return servers
        .toSorted((a, b) => Number(a.isUp) - Number(b.isUp))
        .map((server) => {
            const { name, address, status, isUp, running, requestsPerSecond, failures } = server;
            return {
                ...{ name, address, status, isUp, running, requestsPerSecond, failures },
                why: isUp ? "" : sayCheck(server),
                sinceMs: nowMs - 1000 * server.statusSeconds,
                responseMs: requestsPerSecond > 0 ? server.responseMs : undefined,
            };
        });
}
