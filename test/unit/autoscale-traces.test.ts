import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { SimulatedPool, slots, type Trace } from "../bench/traces/pool.mts";
import { autoscalePool, dropscale, podAutoscaler, replay } from "../bench/traces/scalers.mts";
import { historyOfDay, replayTraces, tracesTable } from "../bench/traces/table.mts";
import { noiseTrace, randomFrom, traces } from "../bench/traces/traces.mts";

const rows = replayTraces();
const rowOf = (name: string) => {
    const row = rows.find(({ trace }) => trace.name === name);
    if (!row) throw new Error(`no trace ${name}`);
    return row;
};
const ours = (name: string) => rowOf(name).ours;

describe("on replayed traces the autoscaler", () => {
    it.each(traces.map(({ name }) => name))(
        "leaves nobody short for longer than either of the others: %s",
        (name) => {
            const row = rowOf(name);
            expect(row.ours.underSeconds).toBeLessThanOrEqual(
                Math.min(row.autoscalePool.underSeconds, row.podAutoscaler.underSeconds),
            );
        },
    );

    it("has new capacity within 60 s of a step of four times, does not overshoot, and gives it back", () => {
        const { underSeconds, most, replicas } = ours("step");
        expect(underSeconds).toBeLessThan(60);
        // 8 servers' worth at a target of 0.6.
        expect(most).toBeLessThanOrEqual(14);
        expect(replicas[24 * 60]).toBe(14);
        expect(replicas.at(-1)).toBeLessThanOrEqual(4);
    });

    it("changes at most once in 30 min of noise, nine times of ten, and leaves nobody short", () => {
        const all = Array.from({ length: 40 }, (_, seed) => {
            const trace = noiseTrace(seed);
            return replay(trace, dropscale(trace, randomFrom(seed + 100)));
        });
        expect(all.filter(({ changes }) => changes > 1).length).toBeLessThanOrEqual(4);
        expect(all.filter(({ underSeconds }) => underSeconds > 0)).toEqual([]);
        expect(ours("noise").changes).toBeLessThanOrEqual(1);
    });

    it("does not add servers for a slow database without end", () => {
        expect(ours("slow database").most).toBeLessThanOrEqual(8);
    });

    it("makes up for dead servers", () => {
        expect(ours("dead server")).toMatchObject({ underSeconds: 0 });
        expect(ours("dead server").most).toBeGreaterThan(4);
    });

    it("changes nothing without figures, nor while requests fail", () => {
        const during = (name: string, from: number, to: number) =>
            new Set(ours(name).replicas.slice(from * 60, to * 60));
        expect(during("missing metrics", 10, 20)).toEqual(new Set([4]));
        expect(during("bad release", 10, 25)).toEqual(new Set([4]));
    });

    it("has the servers of its schedule when the rush begins, in the night of another time, too", () => {
        const { replicas } = ours("DST night");
        const minute = (hour: number, past: number) => replicas[(hour * 60 + past) * 60];
        expect([minute(5, 28), minute(5, 30)]).toEqual([2, 8]);
        expect(minute(9, 55)).toBeLessThan(8);
    });

    it("is shown with these figures", () => {
        const page = readFileSync(path.join(__dirname, "../../docs/autoscaling.md"), "utf8");
        expect(page, "paste what `make bench SCENARIO=autoscale-traces` prints").toContain(tracesTable(rows));
    });
});

describe("the models of the others", () => {
    const steady: Trace = {
        ...{ name: "steady", seconds: 1800, startMs: 0, replicas: 4, max: 20, remark: "" },
        rate: () => (7 * slots) / 0.2,
        serviceSeconds: () => 0.2,
    };
    const changesOf = (replicas: readonly number[]) =>
        replicas.flatMap((n, second) => (second > 0 && n !== replicas[second - 1] ? [[second, n]] : []));

    it("scale DigitalOcean's pool by CPU over target, and not again for ten minutes", () => {
        // All CPU is used by 4: ceil(4 / 0.6) = 7; then ceil(7 / 0.6) = 12.
        const { replicas } = replay(steady, autoscalePool(steady));
        expect(changesOf(replicas)).toEqual([
            [59, 7],
            [659, 12],
        ]);
    });

    it("scale HPA every 15 s, and take what is not ready for idle", () => {
        const { replicas } = replay(steady, podAutoscaler(steady));
        const [first, second] = changesOf(replicas);
        expect(first).toEqual([15, 7]);
        expect(second?.[0]).toBeGreaterThanOrEqual(60);
        expect(Math.max(...replicas)).toBeLessThanOrEqual(20);
    });

    it("shrink HPA only by the most of five minutes", () => {
        const falling: Trace = {
            ...steady,
            replicas: 10,
            rate: (second) => ((second < 60 ? 6 : 1) * slots) / 0.2,
        };
        const [first] = changesOf(replay(falling, podAutoscaler(falling)).replicas);
        expect(first?.[0]).toBeGreaterThanOrEqual(360);
        expect(first?.[1]).toBe(2);
    });
});

describe("the simulated pool", () => {
    const trace: Trace = {
        ...{ name: "plain", seconds: 100, startMs: 0, replicas: 2, max: 9, remark: "" },
        rate: () => 100,
        serviceSeconds: () => 0.1,
    };

    it("answers what comes, with the slots that it takes", () => {
        expect(new SimulatedPool(trace).step(0)).toMatchObject({
            up: 2,
            answered: 100,
            failed: 0,
            inside: 10,
            cpu: 10 / 16,
        });
    });

    it("lets wait what it has no slots for, and lose patience", () => {
        const pool = new SimulatedPool({ ...trace, rate: () => 200 });
        const [first, , third] = [0, 1, 2].map((second) => pool.step(second));
        expect(first).toMatchObject({ answered: 160, cpu: 1 });
        expect(third?.inside).toBeGreaterThan(100);
        expect(third?.failed).toBeGreaterThan(first?.failed ?? 0);
    });

    it("counts servers when they serve, pays them until they are gone, and knows who died", () => {
        const pool = new SimulatedPool({ ...trace, dying: (second) => (second === 5 ? 1 : 0) });
        pool.add(1, 0, 3);
        const up = [0, 1, 2, 3, 4, 5].map((second) => pool.step(second).up);
        expect(up).toEqual([2, 2, 2, 3, 3, 2]);
        pool.remove(1, 6, 2);
        expect([6, 7, 8].map((second) => pool.step(second).up)).toEqual([1, 1, 1]);
        expect(pool.paidSeconds).toBe(6 * 3 + 2 * 3 + 2);
        expect(pool.bury(9)).toBe(1);
    });

    it("ends a day where it began it, and says why of each change", () => {
        const rows = historyOfDay()
            .split("\n")
            .slice(3, -2)
            .map((row) => row.split("│").map((cell) => cell.trim()));
        expect(rows.at(-1)?.slice(2, 5)).toEqual(["Ann <ann@example.com>", "0 → 2", "success"]);
        expect(rows.at(0)?.[3]).toMatch(/→ 2$/);
        const reasons = rows.slice(0, -1).map((row) => row[7]);
        expect(reasons).toContain("the schedule wants at least 4 servers");
        for (const reason of reasons) expect(reason).toMatch(/^busy 0\.\d\d \(target 0\.60|^the schedule/);
        expect(rows.length).toBeLessThan(30);
    });
});
