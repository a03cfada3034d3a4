import type { PoolEvent } from "../live/events";
import type { Headline } from "../live/headline";
import type { ServerReading } from "../live/reading";
import type { Point } from "./points";

/** What the page shows besides charts and events. */
export interface View {
    nowMs: number;
    stack: string;
    url: string;
    /** In USD. */
    monthlyCost: number;
    wanted: number;
    /** `undefined`: the stack does not scale itself. */
    autoscale: { min: number; max: number; target: number; slots: number } | undefined;
    headline: Headline;
    /** Why Pulumi's history can't be read just now, so that events may be missing; `undefined`: it can. */
    historyProblem: string | undefined;
    /** What the autoscaler says; `undefined`: none is at work. */
    autoscaler: { text: string; isAlarming: boolean } | undefined;
    /** As HAProxy had it in the newest look; `undefined`: it has not answered yet. */
    haproxy: HaproxyView | undefined;
    servers: ServerView[];
}

export interface HaproxyView {
    /** When it said this. */
    atMs: number;
    /** Of haproxy.cfg; empty: it is not ours. */
    generation: string;
    appliedAtMs: number;
    /** 0 to 100. */
    idlePercent: number;
    connections: number;
    maxConnections: number;
    streams: number;
}

/** A row of the table. */
export type ServerView = Pick<
    ServerReading,
    "name" | "address" | "status" | "isUp" | "running" | "requestsPerSecond" | "failures"
> & {
    /** Why it gets no requests; empty: it does. */
    why: string;
    sinceMs: number;
    /** `undefined`: it has had no request in the last second. */
    responseMs: number | undefined;
};

/** What comes over the stream, by the name of its event; all of it when a page begins to listen. */
export interface Messages {
    /** All that are kept. */
    points: Point[];
    /** One more. */
    point: Point;
    /** Newest first, whenever they change. */
    events: PoolEvent[];
    /** Once a second. */
    view: View;
}
