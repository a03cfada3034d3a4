import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { PoolEvent } from "../live/events";
import type { Headline } from "../live/headline";
import type { TimedReading } from "../live/reading";
import type { Point } from "./points";

/** Where the server tells pages what is new. */
export const streamPath = "/stream";

/** What is known of a stack besides what HAProxy says. */
export interface About {
    stack: string;
    url: string;
    /** In USD. */
    monthlyCost: number;
    /** Servers that the last `up` which ended well made. */
    made: number;
    /** `undefined`: the stack does not scale itself. */
    autoscale: AutoscaleSettings | undefined;
}

/** What the page shows besides charts and events. */
export interface View extends About {
    nowMs: number;
    wanted: number;
    headline: Headline;
    /** Why Pulumi's history can't be read just now, so that events may be missing; `undefined`: it can. */
    historyProblem: string | undefined;
    /** The newest look that HAProxy has answered; `undefined`: it has not answered yet. */
    newest: TimedReading | undefined;
}

/** What comes over the stream, by the name of its event; all of it when a page begins to listen. */
export interface Messages {
    /** All that are kept. */
    points: Point[];
    /** One more. */
    point: Point;
    /** Newest first, whenever they change. */
    events: readonly PoolEvent[];
    /** Once a second. */
    view: View;
}
