import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decide } from "../../tools/autoscale/decide";
import { type Case, decideFor, noon, pastOf, settings } from "../autoscale-fixtures";

const ago = (seconds: number) => noon - seconds * 1000;

describe("the autoscaler, whatever is seen:", () => {
    const cases = fc.record({
        replicas: fc.integer({ min: 0, max: 40 }),
        busy: fc.double({ min: 0, max: 5, noNaN: true }),
        earlier: fc.record({
            seconds: fc.integer({ min: 0, max: 600 }),
            busy: fc.double({ min: 0, max: 2, noNaN: true }),
        }),
        queued: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50 })),
        missing: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 })),
        blind: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 140 })),
        seconds: fc.constantFrom(0, 5, 60, 600),
        failing: fc.constantFrom(0, 0, 1, 50),
        young: fc.constantFrom(0, 0, 1),
        floor: fc.constantFrom(0, 0, 6, 30),
        failures: fc.constantFrom(0, 0, 1, 4),
        changedSeconds: fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 700 })),
        byPerson: fc.boolean(),
        min: fc.integer({ min: 1, max: 5 }),
        max: fc.integer({ min: 5, max: 30 }),
        growth: fc.double({ min: 0.05, max: 3, noNaN: true }),
        shrink: fc.double({ min: 0.05, max: 1, noNaN: true }),
    });
    type Seen = typeof cases extends fc.Arbitrary<infer T> ? T : never;
    const caseOf = (seen: Seen): Case & { replicas: number } => {
        const { missing, failing, young, changedSeconds, byPerson, min, max, growth, shrink, ...rest } = seen;
        const { replicas } = rest;
        return {
            ...rest,
            up: Math.max(0, replicas - missing),
            sample: { failuresPerSecond: failing, young },
            failedAtMs: ago(100),
            settings: { min, max, growth, shrink },
            ...(changedSeconds !== undefined && {
                changed: { atMs: ago(changedSeconds), from: replicas + 1, to: replicas, byPerson },
            }),
        };
    };
    const holds = (check: (seen: Seen, result: ReturnType<typeof decideFor>) => void) => {
        fc.assert(
            fc.property(cases, (seen) => {
                check(seen, decideFor(caseOf(seen)));
            }),
            { numRuns: 500 },
        );
    };

    it("a change ends between floor and max, or on the way down to it", () => {
        const ways = new Set<string>();
        holds(({ replicas, min, max, floor }, result) => {
            ways.add(result.action);
            expect(Math.sign(result.replicas - replicas)).toBe({ out: 1, in: -1, none: 0 }[result.action]);
            if (result.action === "none") return;
            expect(result.replicas).toBeGreaterThanOrEqual(Math.min(max, Math.max(min, floor)));
            if (result.action === "out") expect(result.replicas).toBeLessThanOrEqual(max);
        });
        expect(ways).toEqual(new Set(["out", "in", "none"]));
    });

    it("a step is never longer than growth and shrink, but to the floor", () => {
        holds(({ replicas, min, max, floor, growth, shrink }, result) => {
            const low = Math.min(max, Math.max(min, floor));
            expect(result.replicas).toBeLessThanOrEqual(
                Math.max(low, replicas + Math.max(2, Math.ceil(replicas * growth))),
            );
            expect(result.replicas).toBeGreaterThanOrEqual(
                replicas - Math.max(1, Math.floor(replicas * shrink + 1e-9)),
            );
        });
    });

    it("nothing is taken away blind, while a server is DOWN or young, while requests fail, or from a person", () => {
        holds((seen, result) => {
            const { blind, missing, young, failing, changedSeconds = Infinity, max, replicas } = seen;
            const hasFailed = seen.failures > 0 && !(seen.byPerson && changedSeconds < 100);
            const forbidden = blind > 0 || missing > 0 || young > 0 || failing > 5 || hasFailed;
            const isFresh = changedSeconds < (replicas > max ? 60 : 300);
            if (forbidden || isFresh) expect(result.action).not.toBe("in");
        });
    });

    it("more load never means fewer servers", () => {
        fc.assert(
            fc.property(cases, fc.double({ min: 0, max: 3, noNaN: true }), (seen, more) => {
                const given = caseOf(seen);
                const { replicas } = decideFor(given);
                expect(decideFor({ ...given, busy: given.busy + more }).replicas).toBeGreaterThanOrEqual(
                    replicas,
                );
            }),
            { numRuns: 500 },
        );
    });

    it("the same of the same, and nothing is changed in what it is given", () => {
        fc.assert(
            fc.property(cases, (seen) => {
                const past = pastOf(caseOf(seen));
                const copy = structuredClone(past);
                const once = () => decide({ replicas: seen.replicas }, past, settings, 0, noon);
                expect(once()).toEqual(once());
                expect(past).toEqual(copy);
            }),
            { numRuns: 100 },
        );
    });
});
