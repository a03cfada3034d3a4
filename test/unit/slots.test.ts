import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { slots } from "../../lib/slots";

const replicas = fc.integer({ min: 0, max: 200 });
const retired = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 });

describe("slots", () => {
    it.each([
        [0, [], []],
        [3, [], [0, 1, 2]],
        [3, [1], [0, 2, 3]],
        [3, [0, 1, 2], [3, 4, 5]],
        [3, [7], [0, 1, 2]],
        [2, [1, 1, 0], [2, 3]],
    ])("%i replicas without %j are %j", (count, without, expected) => {
        expect(slots(count, without)).toEqual(expected);
    });

    it("are as many as asked for, ascending, none of them retired", () => {
        fc.assert(
            fc.property(replicas, retired, (n, without) => {
                const result = slots(n, without);
                expect(result).toHaveLength(n);
                expect(result).toEqual([...new Set(result)].sort((a, b) => a - b));
                expect(result.filter((slot) => without.includes(slot))).toEqual([]);
            }),
        );
    });

    it("for N are a prefix of those for N+1: growing renames nothing, shrinking removes the highest", () => {
        fc.assert(
            fc.property(replicas, retired, (n, without) => {
                expect(slots(n + 1, without).slice(0, n)).toEqual(slots(n, without));
            }),
        );
    });

    it("change by exactly one when one in use is retired: it goes, a new one comes after the others", () => {
        fc.assert(
            fc.property(fc.integer({ min: 1, max: 200 }), retired, fc.nat(), (n, without, pick) => {
                const before = slots(n, without);
                const victim = before[pick % n] ?? 0;
                const after = slots(n, [...without, victim]);
                const kept = before.filter((slot) => slot !== victim);
                expect(after.slice(0, n - 1)).toEqual(kept);
                expect(after[n - 1]).toBeGreaterThan(before[n - 1] ?? 0);
            }),
        );
    });
});
