import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readAutoscale } from "../../lib/autoscale-settings";
import type { HistoryEntry } from "../../tools/history/entries";
import { Board, pointOf } from "../../tools/dashboard/board";
import { clockAt, figure, span, when } from "../../tools/dashboard/page/words";
import { keptSeconds, type Point, Points, thinned } from "../../tools/dashboard/points";
import { eventLine, mergeEvents, runEvent } from "../../tools/history/events";
import type { PoolEvent } from "../../tools/live/events";
import { downReading, poolReading, serverReading } from "../pool-readings";

const nowMs = Date.UTC(2026, 0, 2, 14);
const entry = (more: Partial<HistoryEntry> = {}): HistoryEntry => ({
    ...{ id: "7", kind: "update", by: "autoscaler", who: "autoscaler" },
    ...{ replicas: { from: 3, to: 4 }, settings: [], status: "success" },
    ...{ startedAtMs: nowMs, endedAtMs: nowMs + 22_000 },
    message: "autoscale: replicas 3 → 4: busy 0.81 (target 0.60)",
    ...more,
});
const seen = (kind: PoolEvent["kind"], at: number, more: Partial<PoolEvent> = {}): PoolEvent => {
    const atMs = nowMs + 1000 * at;
    return { id: `${kind} ${at}`, kind, atMs, endMs: atMs, what: `${kind} at ${at}`, why: "", ...more };
};

describe("the points of the charts", () => {
    const point = (second: number, requests = second): Point => ({
        atMs: 1000 * second,
        wanted: 2,
        requests,
    });

    it("are kept as they come for 15 minutes, as means of ten seconds for 6 hours, and no longer", () => {
        const points = new Points();
        for (let second = 0; second < 8 * 3600; second++) points.add(point(second));
        const all = points.all();
        const last = 8 * 3600 - 1;
        expect(all.at(-1)).toEqual(point(last));
        expect(all.filter(({ atMs }) => atMs >= 1000 * (last - 900))).toHaveLength(901);
        expect(all[0]?.atMs).toBeGreaterThanOrEqual(1000 * (last - keptSeconds - 10));
        // 0 to 9: each mean is of ten of them, at the first one's time.
        expect(all[1]?.requests).toBe((all[1]?.atMs ?? 0) / 1000 + 4.5);
    });

    it("are in order, and never more than the bound, with whatever pauses", () => {
        fc.assert(
            fc.property(fc.array(fc.integer({ min: 1, max: 4000 }), { maxLength: 400 }), (steps) => {
                const points = new Points();
                let at = 0;
                for (const step of steps) {
                    points.add(point((at += step)));
                    const times = points.all().map(({ atMs }) => atMs);
                    expect(times).toEqual(times.toSorted((a, b) => a - b));
                    expect(times.length).toBeLessThanOrEqual(3000);
                    expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeLessThanOrEqual(1000 * keptSeconds);
                }
            }),
            { numRuns: 30 },
        );
    });

    it("have what is known of each field", () => {
        const [mean] = thinned([{ ...point(0), busy: 0.5 }, point(1), { ...point(2), busy: 0.7 }], 10);
        expect(mean).toEqual({ atMs: 0, wanted: 2, requests: 1, busy: 0.6 });
        expect(thinned([point(9), point(10)], 10)).toHaveLength(2);
    });

    it("come from looks: rates only where the look before is of the same HAProxy", () => {
        const autoscale = readAutoscale('{"min":2,"max":6,"slots":4}');
        const servers = [
            serverReading(0),
            serverReading(1, { responseMs: 30, requestsPerSecond: 20 }),
            downReading(2, 9),
        ];
        const before = { atMs: nowMs, reading: poolReading(servers, { requests: 1000, errors: 1 }) };
        const reading = poolReading(servers, {
            requests: 1240,
            failures: 2,
            errors: 1,
            retries: 4,
            queued: 2,
        });
        const now = { atMs: nowMs + 2000, reading };
        expect(pointOf(now, before, 3, autoscale)).toEqual({
            ...{ atMs: nowMs + 2000, wanted: 3, up: 2, busy: 1, running: 6, queued: 2 },
            ...{ requests: 120, failures: 1, errors: 0, retries: 2, responseMs: 18 },
        });
        const other = { ...now, reading: { ...reading, pid: 8, servers: [downReading(0, 1)] } };
        expect(pointOf(other, before, 3, undefined)).toEqual({
            ...{ atMs: nowMs + 2000, wanted: 3, up: 0, running: 6, queued: 2 },
        });
    });
});

describe("Pulumi's history as events", () => {
    it("says what was done, by whom and why, and how it ended", () => {
        const say = (more: Partial<HistoryEntry>) => eventLine(runEvent(entry(more)));
        const config = { replicas: { from: 4, to: 4 }, message: "" };
        expect(say({})).toBe(
            "scaled 3 → 4 servers, over after 22 seconds; by autoscaler: busy 0.81 (target 0.60)",
        );
        expect(say({ ...config, who: "Ann", settings: ["generation v1 → v2"], message: "patches" })).toBe(
            "changed generation v1 → v2, over after 22 seconds; by Ann: patches",
        );
        const step = (hold: string) => say({ ...config, who: "Ann", settings: ["generation v1 → v2", hold] });
        expect(step("hold [] → [2,3]")).toMatch(
            /^changed generation v1 → v2; rolled out, 2 servers held back, /,
        );
        expect(step("hold [2,3] → []")).toMatch(
            /^changed generation v1 → v2; rolled out to the last servers, /,
        );
        expect(
            say({ ...config, who: "Ann", status: "error", errorReason: "failed, nothing was changed" }),
        ).toBe("`pulumi up` failed after 22 seconds; by Ann: failed, nothing was changed");
        expect(say({ ...config, who: "not recorded" })).toBe(
            "`pulumi up`, the settings as before, over after 22 seconds; who did it is not recorded",
        );
        expect(say({ status: "error", errorReason: "failed with 4 resources created", message: "" })).toBe(
            "`pulumi up` failed: 3 → 4 servers after 22 seconds; by autoscaler: failed with 4 resources created",
        );
        const running = entry({ status: "in_progress", who: "Ann", message: "" });
        delete running.endedAtMs;
        expect(runEvent(running)).not.toHaveProperty("endMs");
        expect(eventLine(runEvent(running))).toBe("scaling 3 → 4 servers; by Ann");
    });

    it("is merged with what was seen: what a run did is told with it", () => {
        const run = runEvent(entry());
        const joined = seen("apply", 15, { what: "haproxy.cfg abc applied", why: "web-3 joined" });
        const decided = seen("autoscaler", -2);
        const events = [seen("apply", 60), seen("down", 10), joined, decided, seen("apply", -30)];
        const merged = mergeEvents([run], events);
        expect(merged.map(({ id }) => id)).toEqual(["apply 60", "down 10", "run 7", "apply -30"]);
        expect(merged[2]?.details).toEqual([
            { atMs: nowMs + 15_000, text: "haproxy.cfg abc applied: web-3 joined" },
        ]);
        // An alarm stays, and so does what an autoscaler that only says what it would do has said.
        expect(mergeEvents([run], [seen("autoscaler", -2, { hasFailed: true })])).toHaveLength(2);
        expect(mergeEvents([run], [seen("autoscaler", -60)])).toHaveLength(2);
    });
});

describe("the board", () => {
    const about = {
        stack: "prod",
        url: "http://192.0.2.1",
        monthlyCost: 24,
        made: 3,
        autoscale: undefined,
    };
    const look = (second: number, servers = [serverReading(0), downReading(1, 5)]) => ({
        atMs: nowMs + 1000 * second,
        reading: poolReading(servers, { requests: 10 * second }),
    });

    it("shows what was seen last, and what the newest change asked for, also where it failed", () => {
        const board = new Board(about);
        expect(board.view()).toMatchObject({ wanted: 3, newest: undefined, headline: { title: /asking/ } });
        board.look(look(0));
        board.look(look(1));
        board.story.history([entry({ status: "error", replicas: { from: 3, to: 5 } })]);
        expect(board.view()).toMatchObject({
            wanted: 5,
            newest: look(1),
            headline: { title: "web-1 is DOWN: 1 of 2 servers UP" },
        });
        board.story.history(new Error("error: incorrect passphrase"));
        expect(board.view()).toMatchObject({ wanted: 5, historyProblem: "error: incorrect passphrase" });
        expect(board.points.all().map(({ requests }) => requests)).toEqual([undefined, 10]);
    });

    it("says that events changed only when one has", () => {
        const board = new Board(about);
        board.look(look(0));
        const events = board.story.events;
        board.look({
            ...look(1),
            reading: { ...look(1).reading, servers: [serverReading(0), downReading(1, 6)] },
        });
        expect(board.story.events).toBe(events);
        board.story.blind({ atMs: nowMs + 2000, problem: "timed out" });
        expect(board.story.events).not.toBe(events);
    });
});

describe("words of the page", () => {
    it("say when, and how long", () => {
        expect(span(182_400)).toBe("3 min 2 s");
        expect(span(5 * 3_600_000 + 61_000)).toBe("5 h 1 min");
        expect(span(49 * 3_600_000)).toBe("2 days");
        const at = new Date(2026, 0, 2, 14, 2, 10).getTime();
        expect(clockAt(at, at)).toBe("14:02:10");
        expect(clockAt(at - 86_400_000, at)).toBe("1 Jan 14:02:10");
        expect(when({ atMs: at, endMs: at + 22_000 }, at + 142_000)).toBe(
            "14:02:10, took 22 s, 2 min 0 s ago",
        );
        expect(when({ atMs: at }, at + 61_000)).toBe("since 14:02:10, for 1 min 1 s");
    });

    it("say figures with as many digits as one can read", () => {
        expect([0, 0.639, 12.34, 1234.5, undefined, null].map(figure)).toEqual([
            ...["0", "0.64", "12.3", "1,235", "–", "–"],
        ]);
    });
});
