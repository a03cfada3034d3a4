import { describe, expect, it } from "vitest";
import { decide } from "../../tools/autoscale/decide";
import { type Case, decideFor, noon, pastOf, settings } from "../autoscale-fixtures";

const ago = (seconds: number) => noon - seconds * 1000;
const minutesAgo = (minutes: number) => ago(minutes * 60);

describe("the autoscaler decides", () => {
    it.each<[string, Case, number, string]>([
        ["stays within the tolerance", { busy: 0.64 }, 3, "busy 0.64 (target 0.60, mean of 60 s)"],
        ["grows to what is wanted", { busy: 0.9 }, 5, "busy 0.90 (target 0.60, mean of 60 s)"],
        [
            "makes up for a dead one",
            { busy: 0.9, up: 2 },
            4,
            "busy 0.90 (target 0.60, mean of 60 s), 1 not UP",
        ],
        [
            "grows by more than half where requests wait",
            { replicas: 10, busy: 0.9, queued: 5 },
            16,
            "busy 0.95 (target 0.60, all slots are taken)",
        ],
        ["grows by half where requests wait", { replicas: 10, busy: 0.7, queued: 1 }, 15, "busy 0.71"],
        [
            "leaves it where few wait, and not for long",
            { replicas: 10, busy: 0.5, queued: 1 },
            10,
            "busy 0.51 (target 0.60, all slots are taken)",
        ],
        [
            "shrinks to the most that was wanted in the window",
            { replicas: 10, busy: 0.25, earlier: { seconds: 240, busy: 0.45 } },
            8,
            "busy 0.25 (target 0.60, mean of 60 s), for 300 s no more than 8 servers wanted",
        ],
        ["shrinks by a quarter", { replicas: 8, busy: 0.1 }, 6, "busy 0.10"],
        ["shrinks by one of few", { replicas: 6, busy: 0.1 }, 5, "no more than 2 servers wanted"],
        ["goes to min and no further", { replicas: 3, busy: 0.1 }, 2, "busy 0.10"],
        ["stays at min", { replicas: 2, busy: 0.1 }, 2, "busy 0.10 (target 0.60, mean of 60 s)"],
        [
            "keeps one that the next breeze would bring back",
            { replicas: 4, busy: 0.44 },
            4,
            "one server fewer would be close to the target",
        ],
        ["lets one go that it would not", { replicas: 4, busy: 0.4 }, 3, "busy 0.40"],
        ["doubles at the most", { replicas: 4, busy: 3 }, 8, "20 are wanted"],
        ["grows by two of few", { replicas: 2, busy: 3, settings: { growth: 0.1 } }, 4, "10 are wanted"],
        [
            "grows by a share as the settings have it",
            { replicas: 10, busy: 1.2, settings: { growth: 0.5 } },
            15,
            "20 are wanted",
        ],
        ["waits for a mean", { busy: 0.9, seconds: 20 }, 3, "has only begun to look: busy 0.90"],
        ["does not wait where all is full", { busy: 1.4, seconds: 5 }, 6, "all slots are taken"],
        ["does not take one look for a burst", { busy: 1.2, seconds: 0 }, 3, "has only begun to look"],
    ])("%s", (_, given, replicas, reason) => {
        const decision = decideFor(given);
        expect(decision.reason).toContain(reason);
        expect(decision).toMatchObject({ replicas });
        const before = given.replicas ?? 3;
        expect(decision.action).toBe(replicas > before ? "out" : replicas < before ? "in" : "none");
        expect(decision.reason).not.toMatch(/[.\n]$/);
    });

    it("sees a burst in two looks, and no later", () => {
        const burst = { busy: 1.4, earlier: { seconds: 10, busy: 0.3 } };
        expect(decideFor(burst)).toMatchObject({
            replicas: 6,
            reason: "busy 1.40 (target 0.60, all slots are taken), 7 are wanted",
        });
        // So many may be there at the same time by accident.
        expect(decideFor({ ...burst, busy: 1.2 }).action).toBe("none");
        expect(decideFor({ ...burst, earlier: { seconds: 5, busy: 0.3 } }).action).toBe("none");
    });

    it("remembers what is wanted even while it waits", () => {
        expect(decideFor({ busy: 0.9, occupied: "another run" }).recommendation).toEqual({
            atMs: noon,
            replicas: 5,
        });
        expect(decideFor({ busy: 0.9, settings: { paused: true } }).recommendation?.replicas).toBe(5);
        expect(decideFor({ busy: 0.9, blind: 200 })).not.toHaveProperty("recommendation");
    });

    it("shrinks step by step, each after a window", () => {
        const steps = [8, 6, 5, 4, 3, 2].map(
            (replicas) => decideFor({ replicas, busy: 0.8 / replicas }).replicas,
        );
        expect(steps).toEqual([6, 5, 4, 3, 2, 2]);
    });
});

describe("a second signal", () => {
    const rps = (rate: number | undefined, busy = 0.6) =>
        decideFor({ busy, sample: { requestsPerSecond: rate }, settings: { requestsPerSecond: 100 } });
    const cpu = (share: number | undefined, busy: number, more: Partial<Case> = {}) =>
        decideFor({
            busy,
            ...(share !== undefined && { sample: { cpu: share } }),
            settings: { cpu: 0.5 },
            ...more,
        });

    it("makes the pool grow if any wants it", () => {
        expect(rps(270)).toMatchObject({
            replicas: 5,
            reason: "requests a second, of 100 a server: 0.90 (target 0.60, mean of 60 s)",
        });
        expect(cpu(0.8, 0.3)).toMatchObject({ replicas: 5, reason: "CPU 0.80 (target 0.50, mean of 60 s)" });
        expect(cpu(0.1, 0.9).replicas).toBe(5);
    });

    it("lets it shrink only if all agree and are known", () => {
        expect(cpu(0.5, 0.1).replicas).toBe(3);
        expect(cpu(0.1, 0.1).replicas).toBe(2);
        expect(cpu(undefined, 0.1)).toMatchObject({
            replicas: 3,
            reason: expect.stringContaining("but CPU is not known") as string,
        });
        expect(rps(undefined, 0.1).replicas).toBe(3);
    });

    it("does not believe CPU of before a change, which is minutes late", () => {
        const changed = { atMs: ago(120), from: 4, to: 3 };
        expect(cpu(0.9, 0.55, { changed })).toMatchObject({ action: "none" });
        expect(cpu(0.9, 0.55, { changed: { ...changed, atMs: ago(181) } }).action).toBe("out");
    });
});

describe("the pool does not shrink", () => {
    const calm: Case = { replicas: 6, busy: 0.1 };

    it("unless something forbids it: without that it does", () => {
        expect(decideFor(calm)).toMatchObject({ replicas: 5, action: "in" });
    });

    it.each<[string, Partial<Case>, string]>([
        ["while a look fails", { blind: 1 }, "nothing is seen just now"],
        ["while a server is DOWN", { up: 5 }, "1 of 6 servers are not UP"],
        ["while servers are missing", { sample: { up: 5, down: 0 } }, "5 of 6 servers are there"],
        ["while a server is young", { sample: { young: 1 } }, "1 of 6 servers have only just come up"],
        ["while requests fail", { sample: { failuresPerSecond: 6 } }, "6 % of the requests fail"],
        [
            "while nobody knows whether they do",
            { sample: { failuresPerSecond: undefined } },
            "nobody knows how many requests fail",
        ],
        [
            "soon after a change",
            { changed: { atMs: ago(299), from: 4, to: 6 } },
            "the pool was changed less than 300 s ago",
        ],
        ["before it has looked for the whole window", { seconds: 280 }, "the last 300 s were not all seen"],
        ["while more were wanted", { earlier: { seconds: 290, busy: 0.6 } }, "6 servers wanted within 300 s"],
    ])("%s", (_, forbidding, reason) => {
        expect(decideFor({ ...calm, ...forbidding })).toMatchObject({
            replicas: 6,
            action: "none",
            reason: expect.stringContaining(reason) as string,
        });
    });

    it("after a gap in the looks, longer than one may be", () => {
        const past = pastOf(calm);
        const without = (from: number, to: number) =>
            past.recommendations.filter(({ atMs }) => atMs < ago(from) || atMs > ago(to));
        const result = (from: number, to: number) =>
            decide({ replicas: 6 }, { ...past, recommendations: without(from, to) }, settings, 0, noon)
                .action;
        expect([result(200, 150), result(200, 100)]).toEqual(["in", "none"]);
    });

    it("but does by looks once a minute, as a timer makes them", () => {
        const past = pastOf({ ...calm, seconds: 900 });
        const isOnMinute = ({ atMs }: { atMs: number }) => (noon - atMs) % 60_000 === 0;
        const sparse = {
            ...past,
            looks: past.looks.filter(isOnMinute),
            recommendations: past.recommendations.filter(isOnMinute),
        };
        expect(decide({ replicas: 6 }, sparse, settings, 0, noon).action).toBe("in");
    });

    it.each([10, 33, 60])(
        "also where a timer makes three looks a minute, and outSeconds is %i",
        (outSeconds) => {
            const past = pastOf({ ...calm, seconds: 900 });
            const isOfRun = ({ atMs }: { atMs: number }) => (noon - atMs) % 60_000 <= 10_000;
            const sparse = {
                ...past,
                looks: past.looks.filter(isOfRun),
                recommendations: past.recommendations.filter(isOfRun),
            };
            expect(decide({ replicas: 6 }, sparse, { ...settings, outSeconds }, 0, noon).action).toBe("in");
        },
    );

    it("for little, within half an hour of having grown", () => {
        const grown = (seconds: number, busy: number) =>
            decideFor({ replicas: 4, busy, changed: { atMs: ago(seconds), from: 3, to: 4 } }).action;
        expect([grown(1799, 0.36), grown(1800, 0.36), grown(1799, 0.33)]).toEqual(["none", "in", "in"]);
    });

    it("by a low of a moment, where it was busier in the window", () => {
        const low = { replicas: 4, busy: 0.3, earlier: { seconds: 65, busy: 0.44 } };
        expect(decideFor(low).reason).toContain("one server fewer would be close to the target");
    });

    it("with few failures", () => {
        expect(decideFor({ ...calm, sample: { failuresPerSecond: 4 } }).action).toBe("in");
        expect(decideFor({ ...calm, sample: { failuresPerSecond: 0, requestsPerSecond: 0 } }).action).toBe(
            "in",
        );
    });
});

describe("blind, the autoscaler", () => {
    it("acts on what it has just seen for two looks, and is alarmed at the third", () => {
        expect(decideFor({ busy: 0.9, blind: 2 }).replicas).toBe(5);
        expect(decideFor({ busy: 0.9, blind: 3 })).toMatchObject({
            ...{ replicas: 3, action: "none", alarming: true },
            reason: "nothing is seen since 3 looks, so nothing is changed: ssh: connection refused",
        });
    });

    it("does nothing on looks that are old", () => {
        const past = pastOf({ busy: 0.9 });
        const decision = decide({ replicas: 3 }, past, settings, 0, noon + 61_000);
        expect(decision).toMatchObject({
            action: "none",
            reason: "nothing is seen just now: HAProxy has not been asked lately",
        });
    });

    it("still raises the pool to what the schedule wants", () => {
        expect(decideFor({ busy: 0.1, blind: 200, floor: 6 })).toMatchObject({ replicas: 6, action: "out" });
    });

    it("adds none where no server is UP", () => {
        expect(decideFor({ busy: 0, up: 0 })).toMatchObject({
            ...{ action: "none", alarming: true },
            reason: "no server is UP: more of the same would not help",
        });
    });
});

describe("limits", () => {
    it.each<[string, Case, number, string]>([
        ["min", { replicas: 1, busy: 0.1 }, 2, "autoscale.min wants at least 2 servers"],
        ["the schedule", { replicas: 3, busy: 0.1, floor: 8 }, 8, "the schedule wants at least 8 servers"],
        [
            "a floor above max",
            { replicas: 3, busy: 0.1, floor: 30 },
            20,
            "the schedule wants at least 20 servers",
        ],
        ["max, by steps", { replicas: 24, busy: 0.9 }, 20, "autoscale.max is 20"],
        ["max, far away", { replicas: 40, busy: 0.9 }, 30, "autoscale.max is 20"],
        [
            "no server, which nobody can see",
            { replicas: 0, busy: 0 },
            2,
            "autoscale.min wants at least 2 servers",
        ],
    ])("bring the pool to %s", (_, given, replicas, reason) => {
        expect(decideFor(given)).toMatchObject({ replicas, reason });
    });

    it.each<[Partial<Case>, string]>([
        [{ up: 23 }, "autoscale.max is 20, but 1 of 24 servers are not UP"],
        [{ blind: 1 }, "autoscale.max is 20, but nothing is seen just now"],
        [
            { changed: { atMs: ago(30), from: 20, to: 24 } },
            "autoscale.max is 20: the last change is to show first what it does",
        ],
    ])("do not make it smaller while %j", (given, reason) => {
        expect(decideFor({ replicas: 24, busy: 0.1, ...given })).toMatchObject({ replicas: 24, reason });
    });

    it("hold the floor when little is to be done", () => {
        expect(decideFor({ replicas: 6, busy: 0.1, floor: 6 })).toMatchObject({
            replicas: 6,
            action: "none",
        });
    });

    it("are said where more is wanted", () => {
        expect(decideFor({ replicas: 20, busy: 0.9 })).toMatchObject({
            ...{ action: "none", alarming: true },
            reason: "30 servers are wanted, and autoscale.max is 20: busy 0.90 (target 0.60, mean of 60 s)",
        });
    });
});

describe("the autoscaler waits", () => {
    it.each<[string, Partial<Case>, string, boolean]>([
        ["when paused", { settings: { paused: true } }, "paused by autoscale.paused", false],
        [
            "for others",
            { occupied: "another run holds the lock" },
            "waits: another run holds the lock",
            false,
        ],
        [
            "5 min after a failed change",
            { failures: 1, failedAtMs: minutesAgo(4) },
            "waits 1 min: the last change failed",
            true,
        ],
        [
            "10 min after the second",
            { failures: 2, failedAtMs: minutesAgo(9) },
            "waits 1 min: the last 2 changes failed",
            true,
        ],
        [
            "20 min after the third",
            { failures: 3, failedAtMs: minutesAgo(5) },
            "waits 15 min: the last 3 changes failed",
            true,
        ],
        [
            "for a person after the fourth",
            { failures: 4, failedAtMs: minutesAgo(900) },
            "stopped: 4 changes in a row failed; look why (make history), and change the config to go on",
            true,
        ],
    ])("%s", (_, given, reason, alarming) => {
        const decision = decideFor({ busy: 0.9, ...given });
        expect(decision).toMatchObject({ replicas: 3, action: "none", reason });
        expect(decision.alarming ?? false).toBe(alarming);
        // Neither does the schedule go around it.
        expect(decideFor({ busy: 0.9, floor: 6, ...given }).action).toBe("none");
    });

    it.each<Partial<Case>>([
        { failures: 1, failedAtMs: minutesAgo(5) },
        { failures: 2, failedAtMs: minutesAgo(10) },
        { failures: 3, failedAtMs: minutesAgo(20) },
        {
            failures: 4,
            failedAtMs: minutesAgo(30),
            changed: { atMs: minutesAgo(20), from: 5, to: 3, byPerson: true },
        },
    ])("no longer than that: %j", (given) => {
        expect(decideFor({ busy: 0.9, ...given }).replicas).toBe(5);
    });

    it("and its own change is no news", () => {
        const changed = { atMs: minutesAgo(20), from: 5, to: 3 };
        expect(decideFor({ busy: 0.9, failures: 4, failedAtMs: minutesAgo(30), changed }).action).toBe(
            "none",
        );
    });

    it("until the servers of the last change are in haproxy.cfg, ten minutes at the most", () => {
        const half = (seconds: number) =>
            decideFor({
                replicas: 5,
                busy: 0.9,
                sample: { up: 3, down: 0 },
                changed: { atMs: ago(seconds), from: 3, to: 5 },
            });
        expect(half(40).reason).toMatch(/^the last change is still under way: busy 1\.50 /);
        expect(half(601).action).toBe("out");
    });

    it("until they have served for a moment; a dead one it does not wait for long", () => {
        const changed = { atMs: ago(50), from: 2, to: 3 };
        const past = pastOf({ busy: 0.9, changed });
        const shown = (seconds: number) =>
            past.looks.map((look) => (look.atMs <= ago(seconds) && "up" in look ? { ...look, up: 2 } : look));
        const result = (seconds: number) =>
            decide({ replicas: 3 }, { ...past, looks: shown(seconds) }, settings, 0, noon).action;
        expect([result(10), result(15)]).toEqual(["none", "out"]);
        expect(decideFor({ busy: 0.9, up: 2, changed }).action).toBe("none");
        expect(decideFor({ busy: 0.9, up: 2, changed: { ...changed, atMs: ago(61) } }).action).toBe("out");
    });
});

describe("a person's edit", () => {
    const changed = (seconds: number, byPerson: boolean) => ({
        atMs: ago(seconds),
        from: 5,
        to: 3,
        byPerson,
    });

    it("holds for the window where they made it smaller; nobody shrinks it after they made it larger", () => {
        const smaller = (seconds: number) => ({ ...changed(seconds, true), from: 5 });
        expect(decideFor({ busy: 0.9, changed: smaller(299) })).toMatchObject({
            ...{ replicas: 3, action: "none" },
            reason: "a person has just made it 3, which holds for 300 s: busy 0.90 (target 0.60, mean of 60 s)",
        });
        expect(decideFor({ busy: 0.9, changed: smaller(300) }).action).toBe("out");
        expect(decideFor({ busy: 1.5, changed: smaller(100) })).toMatchObject({
            action: "none",
            alarming: true,
        });
        const larger = (seconds: number) => ({ ...changed(seconds, true), from: 2 });
        expect(decideFor({ busy: 0.1, changed: larger(299) }).action).toBe("none");
        expect(decideFor({ busy: 0.9, changed: larger(299) }).reason).not.toMatch(/a person/);
    });

    it("does not hold outside of the range", () => {
        expect(decideFor({ replicas: 1, busy: 0.1, changed: changed(10, true) }).replicas).toBe(2);
    });
});

describe("when more servers do not help, the autoscaler", () => {
    /** From 3 to 6 two minutes ago; figures of before, and of now. */
    const grown = (before: [rate: number, busy: number], after: [rate: number, busy: number]) => {
        const changed = { atMs: ago(120), from: 3, to: 6 };
        const past = pastOf({ replicas: 6, busy: 1, changed });
        const looks = past.looks.map((look) => {
            const isBefore = look.atMs <= changed.atMs;
            const [requestsPerSecond, busy] = isBefore ? before : after;
            const up = isBefore ? 3 : 6;
            return { ...look, up, running: busy * up * settings.slots, requestsPerSecond };
        });
        return decide({ replicas: 6 }, { ...past, looks }, settings, 0, noon);
    };

    it("adds no more: what all wait for is elsewhere", () => {
        expect(grown([100, 1.5], [105, 1.5])).toMatchObject({
            ...{ replicas: 6, alarming: true },
            reason: expect.stringMatching(
                /^the last servers did not help, so it is not the servers: busy 1\.50/,
            ) as string,
        });
    });

    it("goes on where more is answered, or slots are free", () => {
        expect(grown([100, 1.5], [135, 1.5]).action).toBe("out");
        expect(grown([100, 1.5], [100, 0.9]).action).toBe("out");
    });
});

describe("a bad release", () => {
    it("gets no more than a step, stops at max, and alarms", () => {
        const sick = { busy: 3, sample: { failuresPerSecond: 40 } };
        expect(decideFor(sick)).toMatchObject({
            replicas: 6,
            alarming: true,
            reason: expect.stringContaining("40 % of the requests fail") as string,
        });
        expect(decideFor({ ...sick, replicas: 20 })).toMatchObject({ replicas: 20, alarming: true });
    });

    it("of which most servers are DOWN, alarms", () => {
        expect(decideFor({ replicas: 6, up: 2, busy: 0.9 })).toMatchObject({ alarming: true, replicas: 7 });
    });
});
