import { applyCommand } from "../../components/haproxy/apply";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { limitProblem } from "../../tools/plan/room";
import { holdDuring, planBatches, poolChanges } from "../../tools/rollout/batches";
import { parsePreview } from "../../tools/pulumi/preview";

const slotSet = fc.uniqueArray(fc.nat(30)).map((slots) => slots.sort((a, b) => a - b));
const size = fc.integer({ min: 1, max: 6 });

describe("batches", () => {
    it("start with the lowest slots", () => {
        expect(planBatches({ replaced: [0, 1, 2, 3, 4], notServing: [] }, [], 2)).toEqual([
            [0, 1],
            [2, 3],
            [4],
        ]);
    });

    it("go on with what hold lets go already: a canary comes first, and alone", () => {
        expect(planBatches({ replaced: [0, 1, 2, 3], notServing: [] }, [0, 1, 2], 2)).toEqual([
            [3],
            [0, 1],
            [2],
        ]);
    });

    it("replace each server that serves exactly once, and never more at a time than asked", () => {
        fc.assert(
            fc.property(slotSet, slotSet, slotSet, size, (replaced, other, held, n) => {
                const notServing = other.filter((slot) => replaced.includes(slot));
                const batches = planBatches({ replaced, notServing }, held, n);
                expect(batches.flat().sort((a, b) => a - b)).toEqual(
                    replaced.filter((slot) => !notServing.includes(slot)),
                );
                for (const batch of batches) {
                    expect(batch.length).toBeGreaterThan(0);
                    expect(batch.length).toBeLessThanOrEqual(n);
                    expect(batch).toEqual([...batch].sort((a, b) => a - b));
                }
            }),
        );
    });

    it("come in ascending order where nothing is held", () => {
        fc.assert(
            fc.property(slotSet, size, (replaced, n) => {
                expect(planBatches({ replaced, notServing: [] }, [], n).flat()).toEqual(replaced);
            }),
        );
    });

    it("are those that were left, wherever a roll-out was interrupted", () => {
        fc.assert(
            fc.property(slotSet, size, fc.nat(), fc.nat(), (replaced, n, at, done) => {
                const batches = planBatches({ replaced, notServing: [] }, [], n);
                const current = batches.length > 0 ? at % batches.length : 0;
                // The step's hold is written; some of its servers are replaced already.
                const held = holdDuring(batches, current);
                const rest = (batches[current] ?? []).slice(done % (n + 1));
                const left = [...rest, ...held].sort((a, b) => a - b);
                const again = planBatches({ replaced: left, notServing: [] }, held, n);
                expect(again).toEqual(
                    [rest, ...batches.slice(current + 1)].filter(({ length }) => length > 0),
                );
            }),
        );
    });

    it("hold all that come later, and nothing during the last one", () => {
        fc.assert(
            fc.property(slotSet, slotSet, size, (replaced, held, n) => {
                const batches = planBatches({ replaced, notServing: [] }, held, n);
                expect(holdDuring(batches, -1)).toEqual(replaced);
                expect(holdDuring(batches, batches.length - 1)).toEqual([]);
                batches.forEach((batch, i) => {
                    const before = holdDuring(batches, i - 1);
                    expect([...batch, ...holdDuring(batches, i)].sort((a, b) => a - b)).toEqual(before);
                });
            }),
        );
    });
});

describe("a preview", () => {
    const urn = (type: string, name: string) => `urn:pulumi:dev::dropscale::${type}::${name}`;
    const droplet = (op: string, name: string, address = "10.0.0.9") => ({
        op,
        urn: urn("dropscale:index:BackendPool$digitalocean:index/droplet:Droplet", name),
        ...(op === "create" ? {} : { oldState: { custom: true, outputs: { ipv4AddressPrivate: address } } }),
        ...(op === "delete" ? {} : { newState: { custom: true } }),
    });
    const haproxy = (op: string, stdin?: unknown, word = "1-a", appliedWord = word) => {
        const command = (name: string, inputs: object, outputs = {}) => ({
            op,
            urn: urn("dropscale:index:HaproxyConfig$command:remote:Command", name),
            newState: { custom: true },
            ...(stdin === undefined ? {} : { oldState: { custom: true, inputs, outputs } }),
        });
        const create = applyCommand(appliedWord, 300);
        return [command("haproxy-staged", { stdin }, { stdout: word }), command("haproxy", { create })];
    };
    const component = (op: string) => ({
        op,
        urn: urn("dropscale:index:BackendPool", "web"),
        newState: { custom: false },
    });
    const stack = {
        op: "update",
        urn: urn("pulumi:pulumi:Stack", "dropscale-dev"),
        newState: { custom: false },
    };
    const applied = "\nbackend pool\n    server web-0 10.0.0.1:80\n    server web-1 10.0.0.2:80\n";
    const read = (...steps: object[]) => poolChanges(parsePreview(JSON.stringify({ steps })));

    it("names the slots to replace, those that serve apart from those that never did", () => {
        expect(
            read(
                stack,
                component("update"),
                droplet("replace", "web-10"),
                droplet("replace", "web-1", "10.0.0.2"),
                droplet("create-replacement", "web-0", "10.0.0.1"),
                droplet("create", "web-3"),
                droplet("delete", "web-4"),
                droplet("same", "web-5"),
                ...haproxy("update", applied),
            ),
        ).toEqual({
            replaced: [0, 1, 10],
            notServing: [10],
            others: ["create web-3", "delete web-4", "update haproxy", "update haproxy-staged"],
            changes: true,
            dropletsMade: 4,
            dropletsDeleted: 4,
        });
    });

    it("does not take web-1 for serving at the address of web-10, nor at the start of another one", () => {
        const text = "\nbackend pool\n    server web-1 10.0.0.11:80\n    server web-10 10.0.0.1:80\n";
        const { notServing } = read(
            droplet("replace", "web-1", "10.0.0.1"),
            droplet("replace", "web-10", "10.0.0.1"),
            ...haproxy("update", text),
        );
        expect(notServing).toEqual([1]);
    });

    it("counts the load balancer as a droplet, and as no slot", () => {
        const loadBalancer = {
            op: "replace",
            urn: urn("dropscale:index:LoadBalancer$digitalocean:index/droplet:Droplet", "load-balancer"),
            newState: { custom: true },
        };
        expect(read(loadBalancer)).toMatchObject({
            replaced: [],
            others: ["replace load-balancer"],
            dropletsMade: 1,
            dropletsDeleted: 1,
        });
    });

    it("says that nothing changes, and what changes in names alone", () => {
        expect(read({ ...stack, op: "same" }, droplet("same", "web-0"))).toMatchObject({ changes: false });
        expect(read(component("update"))).toMatchObject({ changes: true, others: [] });
    });

    it("takes nobody for serving before haproxy.cfg was ever applied", () => {
        expect(read(droplet("replace", "web-0", "10.0.0.1"), ...haproxy("create")).notServing).toEqual([0]);
    });

    it("takes everybody for serving after a run that ended before it had applied its text", () => {
        const replaced = droplet("replace", "web-10");
        expect(read(replaced, ...haproxy("update", applied)).notServing).toEqual([10]);
        expect(read(replaced, ...haproxy("update", applied, "2-b", "1-a")).notServing).toEqual([]);
    });

    it.each([["[secret]"], [{ sig: "x" }], [undefined]])("refuses to guess who serves: %j", (stdin) => {
        const command = stdin === undefined ? [] : haproxy("update", stdin);
        expect(() => read(droplet("replace", "web-0", "10.0.0.1"), ...command)).toThrow(
            "the state's haproxy.cfg can't be read",
        );
    });
});

describe("the account's droplet limit", () => {
    const nothing = { dropletsMade: 0, dropletsDeleted: 0 };

    it("is no problem where the batch fits", () => {
        expect(limitProblem({ limit: 25, existing: 23, first: nothing, replaced: 9 }, 2)).toBeUndefined();
        expect(limitProblem({ limit: 25, existing: 24, first: nothing, replaced: 1 }, 8)).toBeUndefined();
    });

    it("names the largest batch that fits", () => {
        expect(limitProblem({ limit: 25, existing: 24, first: nothing, replaced: 9 }, 2)).toMatch(
            /^the account's limit is 25 droplets, 24 exist, a batch of 2 needs 26: --batch 1 fits, or ask for more: https/,
        );
        expect(limitProblem({ limit: 25, existing: 20, first: nothing, replaced: 9 }, 9)).toContain(
            "a batch of 9 needs 29: --batch 5 fits",
        );
    });

    it("says that not even one fits", () => {
        expect(limitProblem({ limit: 25, existing: 25, first: nothing, replaced: 9 }, 2)).toContain(
            "25 exist, a batch of 2 needs 27: not even --batch 1 fits",
        );
    });

    it("counts what comes before the batches: servers that are added, a load balancer that is replaced", () => {
        const replacedLoadBalancer = { dropletsMade: 1, dropletsDeleted: 1 };
        const grown = { dropletsMade: 2, dropletsDeleted: 0 };
        const at = (first: typeof grown, replaced: number) =>
            limitProblem({ limit: 25, existing: 23, first, replaced }, 2);
        expect(at(replacedLoadBalancer, 9)).toBeUndefined();
        expect(at(grown, 9)).toContain("a batch of 2 needs 27: not even --batch 1 fits");
        expect(at(grown, 0)).toBeUndefined();
        expect(at({ dropletsMade: 3, dropletsDeleted: 0 }, 0)).toContain("this change needs 26");
        // Servers that leave make room first.
        expect(
            limitProblem(
                { limit: 25, existing: 25, first: { dropletsMade: 0, dropletsDeleted: 2 }, replaced: 9 },
                2,
            ),
        ).toBeUndefined();
    });
});
