import { describe, expect, it } from "vitest";
import type { PoolChanges } from "../../tools/rollout/batches";
import { announcement, dropletsNeeded, planSteps, type RolloutState } from "../../tools/rollout/steps";

const nothing: PoolChanges = {
    replaced: [],
    notServing: [],
    others: [],
    changes: false,
    dropletsMade: 0,
    dropletsDeleted: 0,
};
const whole: PoolChanges = { ...nothing, replaced: [0, 1, 2], others: ["update haproxy"], changes: true };
const batches = [[0, 1], [2]];
const situation = (changes: Partial<RolloutState> = {}): RolloutState => ({
    whole,
    first: { ...nothing, changes: true }, // hold itself is an input of the pool
    leftovers: [],
    batches,
    ...changes,
});
const lines = (of: RolloutState) => announcement(of, planSteps(of));

describe("the steps of a roll-out", () => {
    it("are the batches, each with a shorter hold", () => {
        expect(planSteps(situation())).toEqual([
            { title: "batch 1 of 2 (web-0 web-1)", hold: [2], replaces: [0, 1] },
            { title: "batch 2 of 2 (web-2)", hold: [], replaces: [2] },
        ]);
        expect(lines(situation())).toEqual(["2 batches: web-0 web-1 | web-2"]);
    });

    it("start with what replaces no server that serves", () => {
        const first = {
            ...nothing,
            replaced: [3],
            notServing: [3],
            others: ["replace load-balancer", "create web-4"],
        };
        expect(planSteps(situation({ first }))[0]).toEqual({
            title: "before the batches",
            hold: [0, 1, 2],
            replaces: [3],
        });
        expect(lines(situation({ first }))).toEqual([
            "first, without replacing a server that serves: replace web-3, which does not serve, replace load-balancer, create web-4",
            "the load balancer is replaced, too: what is in flight on it is cut when the address moves",
            "2 batches: web-0 web-1 | web-2",
        ]);
    });

    it("start with what an interrupted up has left to delete, and count its droplets", () => {
        const left = situation({
            leftovers: [
                { name: "web-0", type: "digitalocean:index/droplet:Droplet" },
                { name: "address", type: "digitalocean:index/reservedIp:ReservedIp" },
            ],
        });
        const steps = planSteps(left);
        expect(steps).toHaveLength(3);
        expect(lines(left)[0]).toMatch(/: delete the old web-0, delete the old address$/);
        expect(dropletsNeeded(left, steps)).toEqual({
            first: { dropletsMade: 0, dropletsDeleted: 1 },
            replaced: 3,
        });
    });

    it("are none when nothing changes, and one when nothing is replaced", () => {
        expect(planSteps(situation({ whole: nothing, first: nothing, batches: [] }))).toEqual([]);
        const settings = { ...nothing, changes: true };
        const noted = situation({ whole: settings, first: settings, batches: [] });
        expect(planSteps(noted)).toEqual([{ title: "before the batches", hold: [], replaces: [] }]);
        expect(lines(noted)).toEqual([
            "first, without replacing a server that serves: note the new settings",
        ]);
    });

    it("count nothing of the batches twice", () => {
        const only = situation({ first: { ...whole, replaced: [], others: [], dropletsMade: 3 } });
        expect(dropletsNeeded(only, planSteps(only))).toEqual({
            first: { dropletsMade: 0, dropletsDeleted: 0 },
            replaced: 3,
        });
    });

    it("are refused where hold would not hold: another region replaces all at once", () => {
        const first = { ...whole, replaced: [0, 1, 2] };
        expect(() => planSteps(situation({ first }))).toThrow(
            "this change can't be rolled out in batches: web-0 web-1 web-2 would be replaced although held",
        );
    });

    it("name at most ten things", () => {
        const others = Array.from({ length: 12 }, (_, i) => `create web-${i + 3}`);
        expect(lines(situation({ first: { ...nothing, others } }))[0]).toMatch(/create web-12 and 2 more$/);
    });
});
