import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { admissionFirewall, admissionName, isExpired, readAdmission } from "../../tools/live/admission";
import { findOrphans } from "../../tools/live/orphans";
import { emptyInventory } from "../live-fixtures";

const prefix = "shop-prod";
const until = new Date("2026-01-02T03:04:05Z");
const name = "shop-prod-admit-203.0.113.7-until-20260102T030405Z-5e0c1f77";

describe("the admission of one address", () => {
    beforeEach(() => vi.useFakeTimers({ now: until }));
    afterEach(() => vi.useRealTimers());

    it("has a name that says whose it is and when it ends, and that a firewall may have", () => {
        expect(admissionName(prefix, { address: "203.0.113.7", until }, "5e0c1f77")).toBe(name);
        expect(name).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9.-]+$/);
        expect(readAdmission(prefix, name)).toEqual({ address: "203.0.113.7", until });
    });

    it.each([
        ["the load balancer's own firewall", "shop-prod-load-balancer"],
        ["another stack's", "shop-prod2-admit-203.0.113.7-until-20260102T030405Z-5e0c1f77"],
        [
            "that of a stack whose name goes on",
            "shop-prod-admit-1-admit-203.0.113.7-until-20260102T030405Z-5e0c1f77",
        ],
        [
            "the firewall of a stack with such a name",
            "shop-prod-admit-203.0.113.7-until-20260102t030405z-5e0c1f77-backend",
        ],
        ["one with a time that there is not", "shop-prod-admit-203.0.113.7-until-20261302T030405Z-5e0c1f77"],
    ])("is not %s", (_which, other) => {
        expect(readAdmission(prefix, other)).toBeUndefined();
    });

    it("ends at its time, not before", () => {
        expect(isExpired(readAdmission(prefix, name))).toBe(false);
        vi.setSystemTime(until.getTime() + 1);
        expect(isExpired(readAdmission(prefix, name))).toBe(true);
        expect(isExpired(undefined)).toBe(false);
    });

    it("lets in that address, on SSH alone, and lets nothing out", () => {
        expect(admissionFirewall(name, "203.0.113.7", "shop-prod-load-balancer")).toEqual({
            name,
            tags: ["shop-prod-load-balancer"],
            inbound_rules: [{ protocol: "tcp", ports: "22", sources: { addresses: ["203.0.113.7/32"] } }],
        });
    });

    it("is nothing to the doctor while it holds, and deleted by him after that", () => {
        const inventory = {
            ...emptyInventory,
            firewalls: [
                {
                    ...{
                        id: "fw",
                        created_at: "2026-01-02T03:00:00Z",
                        droplet_ids: [],
                        outbound_rules: null,
                    },
                    ...admissionFirewall(name, "203.0.113.7", "shop-prod-load-balancer"),
                },
            ],
        };
        const none = new Set<string>();
        const facts = { known: none, loadBalancerIds: none, neverServed: none, answers: new Map() };
        const situation = { prefix, inventory, vpcId: "", ...facts, noRunLives: false };
        expect(findOrphans({ ...situation, giveUp: true })).toEqual([]);
        vi.setSystemTime(until.getTime() + 1);
        expect(findOrphans({ ...situation, giveUp: false })).toMatchObject([{ id: "fw", verdict: "delete" }]);
        expect(findOrphans({ ...situation, prefix: "shop-dev", giveUp: true })).toEqual([]);
    });
});
