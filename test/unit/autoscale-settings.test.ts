import fc from "fast-check";
import { Cron } from "croner";
import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/settings";
import { readAutoscale } from "../../lib/autoscale-settings";
import { sayAutoscale } from "../../lib/autoscale-words";
import { cronProblem } from "../../lib/cron";
import { types } from "../../lib/identity";
import { buildPlan } from "../../tools/plan/build";
import { planAsMarkdown } from "../../tools/plan/markdown";
import { planAsText } from "../../tools/plan/text";
import { createColors } from "picocolors";
import { runProgram } from "../mocks";
import { pool, sources, step } from "../plan-fixtures";
import { stackConfig } from "../stack-config";

const least = { min: 2, max: 12, slots: 8 };
const defaults = {
    ...least,
    ...{ target: 0.6, requestsPerSecond: 0, cpu: 0, outSeconds: 60, inSeconds: 300, growth: 1, shrink: 0.25 },
    ...{ schedule: [], paused: false },
};
const office = { start: "30 7 * * Mon-Fri", end: "0 19 * * Mon-Fri", timezone: "Europe/Berlin", min: 6 };

const read = (value: unknown) => readAutoscale(JSON.stringify(value));

/** What the program says of it, a line each. */
const problems = (value: unknown) =>
    parseSettings(stackConfig({ autoscale: value }), "dev").problems.join("\n");

describe("autoscale", () => {
    it("is off without settings", () => {
        expect([readAutoscale(""), readAutoscale("{}")]).toEqual([undefined, undefined]);
        expect(parseSettings(stackConfig(), "dev").settings.autoscale).toBeUndefined();
    });

    it("has defaults for all but min, max and slots", () => {
        expect(read(least)).toEqual(defaults);
    });

    it("takes every key", () => {
        const all = { ...defaults, target: 0.5, cpu: 0.7, paused: true, schedule: [office] };
        expect(read({ ...all, heal: { downSeconds: 60, perHour: 4 } })).toEqual({
            ...all,
            heal: { downSeconds: 60, perHour: 4 },
        });
        expect(read({ ...least, heal: true })).toEqual({
            ...defaults,
            heal: { downSeconds: 120, perHour: 2 },
        });
        expect(read({ ...least, heal: { perHour: 1 } })?.heal).toEqual({ downSeconds: 120, perHour: 1 });
        expect(read({ ...least, heal: false })).toEqual(defaults);
    });

    it("takes numbers as `pulumi config set --path` writes them: a text, unless they are whole", () => {
        expect(
            read({ min: 2, max: "12", slots: 8, target: "0.5", paused: "true", heal: "true" }),
        ).toMatchObject({
            max: 12,
            target: 0.5,
            paused: true,
            heal: { downSeconds: 120 },
        });
    });

    it.each([
        [
            "min",
            0,
            "'autoscale.min' should be a whole number from 1 to 1000, got 0; pulumi config set --path 'autoscale.min' 2",
        ],
        ["max", 1001, "'autoscale.max' should be a whole number from 1 to 1000, got 1001"],
        [
            "max",
            1,
            "'autoscale.min' should be at most 'autoscale.max' (1), got 2; pulumi config set --path autoscale.max 2",
        ],
        ["min", 2.5, "got 2.5"],
        ["min", "", 'got ""'],
        ["min", "0x2", 'got "0x2"'],
        ["min", "02", 'got "02"'],
        ["min", " 2", 'got " 2"'],
        ["min", true, "got true"],
        ["min", [2], "got [2]"],
        [
            "slots",
            undefined,
            "'autoscale.slots' should be a whole number from 1 to 100000, got nothing: how many requests one server works on",
        ],
        ["slots", null, "'autoscale.slots' should be a whole number from 1 to 100000, got null"],
        [
            "target",
            0.05,
            "'autoscale.target' should be a number from 0.1 to 0.95, got 0.05; pulumi config set --path 'autoscale.target' 0.6",
        ],
        ["target", "60%", 'got "60%"'],
        ["cpu", 1, "'autoscale.cpu' should be a number from 0 to 0.95, got 1"],
        [
            "requestsPerSecond",
            -1,
            "'autoscale.requestsPerSecond' should be a number from 0 to 1000000, got -1",
        ],
        ["outSeconds", 9, "'autoscale.outSeconds' should be a whole number from 10 to 900"],
        ["inSeconds", 59, "'autoscale.inSeconds' should be a whole number from 60 to 7200"],
        ["outSeconds", 600, "'autoscale.inSeconds' should be at least 'autoscale.outSeconds' (600), got 300"],
        ["growth", 0, "'autoscale.growth' should be a number from 0.05 to 10, got 0"],
        ["shrink", 1.5, "'autoscale.shrink' should be a number from 0.05 to 1, got 1.5"],
        [
            "paused",
            "yes",
            `'autoscale.paused' should be true or false, got "yes"; pulumi config set --path autoscale.paused true`,
        ],
        ["heal", 2, "'autoscale.heal' should be true, false or {"],
        [
            "heal",
            { downSeconds: 1 },
            "'autoscale.heal.downSeconds' should be a whole number from 30 to 3600, got 1",
        ],
        ["heal", { seconds: 60 }, "'autoscale.heal.seconds' is no key of this program"],
        ["schedule", office, "'autoscale.schedule' should be a list of {"],
        ["schedule", ["9-17"], `'autoscale.schedule[0]' should be such as {"start": "30 7 * * Mon-Fri"`],
        [
            "schedule",
            [{ ...office, min: 13 }],
            "'autoscale.schedule[0].min' should be at most 'autoscale.max' (12), got 13",
        ],
        [
            "schedule",
            [{ ...office, min: undefined }],
            "'autoscale.schedule[0].min' should be a whole number from 1 to 1000, got nothing: how many",
        ],
        [
            "schedule",
            [office, { ...office, timezone: "Berlin" }],
            `'autoscale.schedule[1].timezone' should be the name of a time zone, got "Berlin"; pulumi`,
        ],
        [
            "schedule",
            [{ ...office, timezone: undefined }],
            "timezone' should be the name of a time zone, got nothing",
        ],
        ["schedule", [{ ...office, timezone: "+01:00" }], 'got "+01:00"'],
        [
            "schedule",
            [{ ...office, start: "7:30" }],
            "'autoscale.schedule[0].start' should be a cron expression: five fields with one space between",
        ],
        [
            "schedule",
            [{ ...office, end: 19 }],
            "'autoscale.schedule[0].end' should be a cron expression: five fields, got 19",
        ],
        [
            "schedule",
            [{ ...office, end: office.start }],
            "'autoscale.schedule[0].end' should not be when the window starts",
        ],
        [
            "schedule",
            [{ ...office, until: "19:00" }],
            "'autoscale.schedule[0].until' is no key of this program; the keys are start, end, timezone, min",
        ],
        [
            "minn",
            2,
            "'autoscale.minn' is no key of this program; did you mean 'autoscale.min'? pulumi config rm --path 'autoscale.minn'",
        ],
    ])("refuses %s %j", (key, value, message) => {
        expect(problems({ ...least, [key]: value })).toContain(message);
    });

    it.each(["[]", "2", "null", "min: 2"])("refuses %s", (raw) => {
        expect(problems(raw)).toBe(
            `'autoscale' should be settings such as {"min": 2, "max": 12, "slots": 8}: pulumi config set --path autoscale.min 2, got ${raw}`,
        );
    });

    it("names every mistake at once", () => {
        const wrong = {
            min: 0,
            maks: 3,
            target: 2,
            schedule: [{ start: "x", timezone: "y" }],
            heal: "maybe",
        };
        const lines = problems(wrong).split("\n");
        expect(lines.map((line) => line.slice(1, line.indexOf("'", 1)))).toEqual([
            "autoscale.maks",
            "autoscale.min",
            "autoscale.max",
            "autoscale.target",
            "autoscale.slots",
            ...["min", "start", "end", "timezone"].map((key) => `autoscale.schedule[0].${key}`),
            "autoscale.heal",
        ]);
    });

    it("says what to do when it was set without --path", () => {
        const { problems } = parseSettings(stackConfig({ "autoscale.min": 2 }), "dev");
        expect(problems).toEqual([expect.stringContaining("pulumi config set --path 'autoscale.min' 2")]);
    });

    it("warns of replicas that the autoscaler will change", () => {
        const warnings = (replicas: number) =>
            parseSettings(stackConfig({ autoscale: least, replicas }), "dev").warnings;
        expect(warnings(1)).toEqual([
            "'replicas' is 1, and 'autoscale' has 2 to 12: the autoscaler will make it 2",
        ]);
        expect(warnings(13)).toEqual([expect.stringContaining("the autoscaler will make it 12")]);
        expect([...warnings(2), ...warnings(12)]).toEqual([]);
    });

    it("is an input of the pool, which changes nothing else; without it, there is none", async () => {
        const inputs = async (config: Record<string, unknown>) =>
            (await runProgram({ config })).find(types.pool, "web").inputs;
        expect(await inputs({})).not.toHaveProperty("autoscale");
        expect((await inputs({ autoscale: { ...least, schedule: [office], heal: true } })).autoscale).toEqual(
            {
                ...defaults,
                schedule: ["at least 6 from 30 7 * * Mon-Fri to 0 19 * * Mon-Fri, Europe/Berlin"],
                heal: "DOWN for 120 s, 2 an hour",
            },
        );
    });
});

describe("a plan", () => {
    const settings = { ...defaults, heal: "no" };
    const planned = (before: unknown, after: unknown, config = least as object) =>
        buildPlan(
            sources(
                [
                    step(
                        "update",
                        pool([0, 1, 2], { autoscale: after }),
                        pool([0, 1, 2], { autoscale: before }),
                    ),
                ],
                { autoscale: JSON.stringify(config) },
            ),
        );

    it("shows each setting that changes, and what the autoscaler will do", () => {
        const plan = planned({ ...settings, max: 8 }, { ...settings, target: 0.5, schedule: ["at least 6"] });
        const text = planAsText(plan, createColors(false));
        expect(text).toContain(
            "config    autoscale.max 8 → 12; autoscale.target 0.6 → 0.5; autoscale.schedule [] → [at least 6]\n",
        );
        expect(text).toContain(
            "  autoscale 2 to 12 servers, at most 0.60 of 8 requests a server busy; replicas belongs to the autoscaler\n",
        );
        expect(planAsMarkdown(plan, "")).toContain("- **autoscale:** 2 to 12 servers, at most 0.60");
        expect(plan).toMatchObject({ applicable: true, lostRequests: { which: "none" } });
    });

    it("says that it was switched on, or off", () => {
        expect(planned(undefined, settings).settings).toEqual([
            { key: "autoscale", before: null, after: "on" },
        ]);
        const off = planned(settings, undefined, {});
        expect(off.settings).toEqual([{ key: "autoscale", before: "on", after: null }]);
        expect(off).not.toHaveProperty("autoscale");
    });

    it("says what else is looked at, and that it is paused", () => {
        const all = {
            ...least,
            requestsPerSecond: 200,
            cpu: 0.7,
            schedule: [office],
            heal: true,
            paused: true,
        };
        const settings = readAutoscale(JSON.stringify(all));
        expect(settings && sayAutoscale(settings)).toBe(
            "2 to 12 servers, at most 0.60 of 8 requests a server busy, of 200 requests a second likewise, 0.70 of its CPU; " +
                "on schedule at least 6; sick servers are replaced; paused: replicas stays as it is",
        );
    });
});

describe("cron expressions", () => {
    it.each([
        "30 7 * * Mon-Fri",
        "0 19 * * 1-5",
        "*/15 * * * *",
        "0,30 8-18/2 1,15 jan,JUL *",
        "0 0 29 2 *",
        "0 0 31 2 Sun",
        "0 0 * * 5-7",
        "59 23 31 12 7",
    ])("may be %s", (expression) => {
        expect(cronProblem(expression)).toBeUndefined();
    });

    it.each([
        ["", "five fields"],
        ["30 7 * *", "five fields"],
        ["0 30 7 * * 1", "five fields"],
        ["30  7 * * 1", "five fields"],
        ["@daily", "five fields"],
        ["60 7 * * *", "its minute 0-59,"],
        ["30 24 * * *", "its hour 0-23,"],
        ["30 7 0 * *", "its day of the month 1-31,"],
        ["30 7 * 13 *", "its month 1-12 or jan-dec,"],
        ["30 7 * * 8", "its day of the week 0-7 or sun-sat,"],
        ["30 7 * * Mon-Sun", "its day of the week"],
        ["30 7 * * Monday", "its day of the week"],
        ["30 7 L * *", "its day of the month"],
        ["30 7 ? * *", "its day of the month"],
        ["5/10 7 * * *", "its minute"],
        ["*/0 7 * * *", "its minute"],
        ["*/60 7 * * *", "its minute"],
        ["1,,2 7 * * *", "its minute"],
        ["007 7 * * *", "its minute"],
        ["-1 7 * * *", "its minute"],
        ["0 0 30 2 *", "a day that comes"],
        ["0 0 31 4,jun *", "a day that comes"],
    ])("may not be %j", (expression, message) => {
        expect(cronProblem(expression)).toContain(message);
    });

    /** What looks like a field, and at times is none: a number or a step too high, a range the wrong way. */
    const field = (min: number, max: number, name: string) => {
        const number = fc.integer({ min, max: max + 1 });
        const range = fc
            .tuple(number, number)
            .map(([a, b]) => (a < b || (a + b) % 9 === 0 ? `${a}-${b}` : `${b}-${a}`));
        const span = fc.oneof(number.map(String), range, fc.constantFrom("*", name, `${name}-${max}`));
        const stepped = fc.tuple(fc.oneof(range, fc.constant("*")), fc.integer({ min: 1, max: 4 }));
        const item = fc.oneof(
            span,
            stepped.map((pair) => pair.join("/")),
        );
        return fc.array(item, { minLength: 1, maxLength: 2 }).map((items) => items.join(","));
    };
    const expression = fc
        .tuple(
            ...[field(0, 59, "0"), field(0, 23, "0"), field(1, 31, "1")],
            ...[field(1, 12, "Feb"), field(0, 7, "mon")],
        )
        .map((fields) => fields.join(" "));

    it("that are accepted, the library accepts, and they come", () => {
        let accepted = 0;
        fc.assert(
            fc.property(expression, (text) => {
                if (cronProblem(text) !== undefined) return;
                accepted++;
                expect(new Cron(text, { timezone: "Europe/Berlin", paused: true }).nextRun()).toBeInstanceOf(
                    Date,
                );
            }),
            { numRuns: 2000 },
        );
        expect(accepted).toBeGreaterThan(200);
    });
});
