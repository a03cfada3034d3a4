/** The config key `autoscale`: between how many servers, by what, and how fast the pool is scaled by itself. */

/** While a window of the schedule is open, the pool has at least so many servers; the metrics may want more. */
export interface ScheduledFloor {
    /** Cron expressions of five fields, in {@link timezone}: when the window opens, and when it closes. */
    start: string;
    end: string;
    /** IANA name such as Europe/Berlin. */
    timezone: string;
    min: number;
}

export interface HealSettings {
    /** How long HAProxy must call a server DOWN until it is replaced. @default 120 */
    downSeconds: number;
    /** Most replacements in an hour. @default 2 */
    perHour: number;
}

export interface AutoscaleSettings {
    min: number;
    max: number;
    /** Share of the slots of the servers that are UP that may be busy, 0.1 to 0.95. @default 0.6 */
    target: number;
    /** Requests that one server works on at the same time, such as `pm.max_children` of php-fpm. */
    slots: number;
    /** Requests a second that one server is known to bear; 0: not looked at. @default 0 */
    requestsPerSecond: number;
    /** Mean share of the servers' CPU that may be busy, by DigitalOcean's metrics; 0: not looked at. @default 0 */
    cpu: number;
    /** Busy is a mean over so many seconds. @default 60 */
    outSeconds: number;
    /** The pool shrinks to the most that was wanted in so many seconds. @default 300 */
    inSeconds: number;
    /** Most servers added at once, as a share of the pool, at least 2 servers. @default 1 */
    growth: number;
    /** Most servers taken at once, as a share of the pool, at least 1 server. @default 0.25 */
    shrink: number;
    /** @default [] */
    schedule: readonly ScheduledFloor[];
    /** The red button: nothing is changed. @default false */
    paused: boolean;
    /** Sick servers are replaced; `undefined`: they are not. */
    heal?: HealSettings;
}
