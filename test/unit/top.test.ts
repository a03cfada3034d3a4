import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { readAutoscale } from "../../lib/autoscale-settings";
import type { PoolReading } from "../../tools/live/reading";
import { frameMs } from "../bench/frames.mts";
import { downReading, poolReading as reading, serverReading as server } from "../pool-readings";
import { withBlindness } from "../../tools/live/events";
import { frame, logLine, type Scene, spark } from "../../tools/top/frame";

const plain = pc.createColors(false);
const sick = downReading(1, 125);
const scene = (...readings: PoolReading[]): Scene => ({
    ...{ stack: "prod", url: "http://192.0.2.1", monthlyCost: 24, wanted: 2, problem: undefined },
    autoscale: readAutoscale('{"min":2,"max":6,"slots":4}'),
    ...{
        looks: readings.map((one, i) => ({ atMs: 1000 * i, reading: one })),
        events: [],
        nowMs: 1000 * readings.length,
    },
});
const show = (of: Scene, columns = 120, rows = 24) => frame(of, plain, columns, rows);

describe("a frame of make top", () => {
    it("has the pool, its load, HAProxy and each server, the sick first", () => {
        const looks = [
            reading([server(0), sick], { requests: 900 }),
            reading([server(0), sick], { requests: 1000, failures: 2 }),
        ];
        expect(show(scene(...looks))).toEqual([
            "prod   http://192.0.2.1   1 of 2 servers UP, 2 wanted, 2 to 6   $24 a month, $0.036 an hour",
            "! web-1 is DOWN: 1 of 2 servers UP, for 2 min 5 s: connection refused, or no way there (L4CON); also: 2 of 100 requests…",
            "busy 1.00 (target 0.60) ██████████   4 running, 0 queued, 3 streams",
            "requests/s    100   5xx/s 2.0   █",
            "HAProxy 97 % idle, 12 of 6000 connections, haproxy.cfg 92dfb8a09cbd2ce5, applied 1 min 5 s ago",
            "",
            "server      address         state              running   req/s     ms   failed           for",
            "web-1       10.0.0.1        DOWN L4CON             0/4       0      -        0     2 min 5 s",
            "web-0       10.0.0.0        UP                     2/4      40     12        0     2 min 5 s",
        ]);
    });

    it("says who scales, or that nobody does any more", () => {
        const text = '{"host":"admin","hand":"up","everySeconds":5,"reason":"busy 0.31 (target 0.60)"}';
        const heard = (ageSeconds: number) =>
            show(scene(reading([server(0)], { heartbeat: { ageSeconds, text } }))).join("\n");
        expect(heard(3)).toContain("\nautoscaler (admin, --apply up): busy 0.31 (target 0.60)\n");
        expect(heard(900)).toContain("has not been heard of for 15 min 0 s: nothing scales");
    });

    it("knows no rate across a reload", () => {
        const before = reading([server(0)], { pid: 6, requests: 90_000 });
        expect(show(scene(before, reading([server(0)])))[3]).toBe("requests/s      0   5xx/s 0.0   ");
    });

    it("fits the terminal, whatever its size", () => {
        const many = scene(reading(Array.from({ length: 200 }, (_, slot) => server(slot))));
        for (const [columns, rows] of [
            [40, 10],
            [80, 24],
            [200, 60],
        ] as const) {
            const lines = show(many, columns, rows);
            expect(lines.length).toBeLessThan(rows);
            expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
            expect(lines.at(-1)).toMatch(/^… and \d+ servers more/);
        }
    });

    it("keeps what was seen last where HAProxy is silent, with the reason", () => {
        const problem = "SSH to root@192.0.2.1: timed out";
        const seen = scene(reading([server(0)]));
        const silent = { ...seen, problem, events: withBlindness([], seen.nowMs - 3000, problem) };
        const line = `! the load balancer can't be asked, for 3 s: ${problem}`;
        expect(show(silent)[1]).toBe(line);
        expect(show(silent).join("\n")).toContain("web-0");
        expect(show({ ...silent, looks: [] })).toEqual(["prod   http://192.0.2.1", line]);
    });

    it("draws the highest as a full block", () => {
        expect(spark([0, 50, 100, 25])).toBe("▁▅█▃");
        expect(spark([])).toBe("");
    });
});

it("makes a frame of 200 servers, from HAProxy's answer on, in less than 100 ms", () => {
    const each = frameMs(200);
    console.log(`a frame of 200 servers: ${each.toFixed(1)} ms`);
    expect(each).toBeLessThan(100);
});

describe("a line of make top for a log", () => {
    it("is another one when a server or the autoscaler says something new, not when figures move", () => {
        const calm = logLine(scene(reading([server(0), server(1)])));
        const busy = logLine(scene(reading([server(0, { running: 9 }), server(1)], { running: 11 })));
        const down = logLine(scene(reading([server(0), sick])));
        expect(calm.text).toBe(
            "2 of 2 servers UP, busy 0.50 (target 0.60) █████░░░░░, 0 requests/s; web-0 UP, web-1 UP",
        );
        expect(busy.key).toBe(calm.key);
        expect(busy.text).not.toBe(calm.text);
        expect(down.key).not.toBe(calm.key);
    });
});
