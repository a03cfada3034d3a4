import { Mistakes } from "./config-rules";
import { cronProblem } from "./cron";
import {
    isObject,
    jsonObject,
    type NumberRule,
    type Numbers,
    readBoolean,
    readNumbers,
    share,
    show,
    unknownKeys,
    whole,
} from "./object-rules";

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

/** The numbers among the keys. Why the defaults are these: docs/autoscaling.md. */
const numbers = {
    min: { ...whole(1, 1000), example: 2, meaning: "the pool never has fewer servers" },
    max: { ...whole(1, 1000), example: 12, meaning: "the pool never has more servers" },
    /** Share of the slots of the servers that are UP that may be busy. @default 0.6 */
    target: { ...share(0.1, 0.95), default: 0.6 },
    /** Requests that one server works on at the same time. */
    slots: {
        ...whole(1, 100_000),
        example: 8,
        meaning: "how many requests one server works on at the same time, such as pm.max_children of php-fpm",
    },
    /** Requests a second that one server is known to bear; 0: not looked at. @default 0 */
    requestsPerSecond: { ...share(0, 1_000_000), default: 0, example: 200 },
    /** Mean share of the servers' CPU that may be busy, by DigitalOcean's metrics; 0: not looked at. @default 0 */
    cpu: { ...share(0, 0.95), default: 0, example: 0.7 },
    /** Busy is a mean over so many seconds. @default 60 */
    outSeconds: { ...whole(10, 900), default: 60 },
    /** The pool shrinks to the most that was wanted in so many seconds. @default 300 */
    inSeconds: { ...whole(60, 7200), default: 300 },
    /** Most servers added at once, as a share of the pool, at least 2 servers. @default 1 */
    growth: { ...share(0.05, 10), default: 1 },
    /** Most servers taken at once, as a share of the pool, at least 1 server. @default 0.25 */
    shrink: { ...share(0.05, 1), default: 0.25 },
} satisfies Record<string, NumberRule>;

const floorNumbers = {
    min: { ...whole(1, 1000), example: 6, meaning: "how many servers there are at least" },
};

const healNumbers = {
    /** How long HAProxy must call a server DOWN until it is replaced. @default 120 */
    downSeconds: { ...whole(30, 3600), default: 120 },
    /** Most replacements in an hour. @default 2 */
    perHour: { ...whole(1, 60), default: 2 },
};

export type HealSettings = Numbers<typeof healNumbers>;

export interface AutoscaleSettings extends Numbers<typeof numbers> {
    /** @default [] */
    schedule: readonly ScheduledFloor[];
    /** The red button: nothing is changed. @default false */
    paused: boolean;
    /** Sick servers are replaced; `undefined`: they are not. */
    heal?: HealSettings;
}

const ownKeys = [...Object.keys(numbers), "schedule", "paused", "heal"];

/**
 * The config's `autoscale`; `undefined` where it is off: empty, or `{}`.
 *
 * @throws Mistakes with all that is wrong.
 */
export function readAutoscale(raw: string): AutoscaleSettings | undefined {
    const given = jsonObject(raw);
    if (given === undefined)
        throw new Error(
            'settings such as {"min": 2, "max": 12, "slots": 8}: pulumi config set --path autoscale.min 2',
        );
    if (Object.keys(given).length === 0) return undefined;
    const problems: string[] = unknownKeys("autoscale", given, ownKeys);
    const found = readNumbers("autoscale", given, numbers, problems);
    const paused = readBoolean("autoscale.paused", given.paused ?? false, problems);
    const schedule = readSchedule(given.schedule ?? [], found.max, problems);
    const heal = readHeal(given.heal ?? false, problems);
    checkTogether(found, problems);
    if (problems.length > 0) throw new Mistakes(problems);
    return { ...(found as Numbers<typeof numbers>), schedule, paused, heal };
}

/** What is right by itself, and not together. */
function checkTogether(
    { min = 0, max = Infinity, outSeconds = 0, inSeconds = Infinity }: Partial<Numbers<typeof numbers>>,
    problems: string[],
): void {
    if (min > max)
        problems.push(
            `'autoscale.min' should be at most 'autoscale.max' (${max}), got ${min}; pulumi config set --path autoscale.max ${min}`,
        );
    if (inSeconds < outSeconds)
        problems.push(
            `'autoscale.inSeconds' should be at least 'autoscale.outSeconds' (${outSeconds}), got ${inSeconds}: a pool that shrinks faster ` +
                `than it grows never rests; pulumi config set --path autoscale.inSeconds ${outSeconds}`,
        );
}

function readSchedule(value: unknown, max: number | undefined, problems: string[]): ScheduledFloor[] {
    if (Array.isArray(value))
        return value.flatMap((entry: unknown, i) =>
            readFloor(`autoscale.schedule[${i}]`, entry, max, problems),
        );
    problems.push(
        `'autoscale.schedule' should be a list of ${floorForm}, got ${show(value)}; ` +
            "pulumi config set --path 'autoscale.schedule[0].min' 6",
    );
    return [];
}

const floorForm =
    '{"start": "30 7 * * Mon-Fri", "end": "0 19 * * Mon-Fri", "timezone": "Europe/Berlin", "min": 6}';

function readFloor(
    path: string,
    given: unknown,
    max: number | undefined,
    problems: string[],
): ScheduledFloor[] {
    if (!isObject(given)) {
        problems.push(`'${path}' should be such as ${floorForm}, got ${show(given)}`);
        return [];
    }
    const { start = "", end = "", timezone = "" } = given;
    problems.push(...unknownKeys(path, given, ["start", "end", "timezone", "min"]));
    const { min = 0 } = readNumbers(path, given, floorNumbers, problems);
    if (max !== undefined && min > max)
        problems.push(
            `'${path}.min' should be at most 'autoscale.max' (${max}), got ${min}; pulumi config set --path autoscale.max ${min}`,
        );
    for (const key of ["start", "end"] as const) {
        const form = typeof given[key] === "string" ? cronProblem(given[key]) : "five fields";
        if (form !== undefined)
            problems.push(
                `'${path}.${key}' should be a cron expression: ${form}, got ${show(given[key])}; ` +
                    `pulumi config set --path '${path}.${key}' '30 7 * * Mon-Fri'`,
            );
    }
    const floor = { start: String(start), end: String(end), timezone: String(timezone), min };
    if (floor.start === floor.end && floor.start !== "")
        problems.push(`'${path}.end' should not be when the window starts, got ${floor.end} for both`);
    if (!isTimezone(timezone))
        problems.push(
            `'${path}.timezone' should be the name of a time zone, got ${show(timezone === "" ? undefined : timezone)}; ` +
                `pulumi config set --path '${path}.timezone' Europe/Berlin`,
        );
    return [floor];
}

/** By the tz database of Node.js; an offset such as +01:00 knows no summer. */
function isTimezone(name: unknown): boolean {
    if (typeof name !== "string" || !/^[a-z]/i.test(name)) return false;
    try {
        new Intl.DateTimeFormat("en", { timeZone: name });
        return true;
    } catch {
        return false;
    }
}

function readHeal(value: unknown, problems: string[]): HealSettings | undefined {
    if (String(value) === "false") return undefined;
    if (String(value) !== "true" && !isObject(value))
        problems.push(
            `'autoscale.heal' should be true, false or {"downSeconds": 120, "perHour": 2}, got ${show(value)}; ` +
                "pulumi config set --path autoscale.heal true",
        );
    const given = isObject(value) ? value : {};
    problems.push(...unknownKeys("autoscale.heal", given, Object.keys(healNumbers)));
    const { downSeconds = 0, perHour = 0 } = readNumbers("autoscale.heal", given, healNumbers, problems);
    return { downSeconds, perHour };
}
