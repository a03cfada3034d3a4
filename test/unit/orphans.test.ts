import { describe, expect, it } from "vitest";
import {
    type Finding,
    type Inventory,
    judge,
    knownTo,
    loadBalancersToAsk,
    parseServersState,
    pendingOf,
} from "../../tools/orphans";

const prefix = "shop-prod";
const created_at = "2026-01-02T03:04:05Z";

const droplet = (id: number, role: "backend" | "load-balancer") => ({
    id,
    name: `${role}-${id}`,
    created_at,
    tags: [`${prefix}-${role}`],
    networks: { v4: [{ ip_address: `10.0.0.${id}`, type: "private" }] },
});
const nothing: Inventory = { droplets: [], firewalls: [], keys: [], vpcs: [], reservedIps: [] };
/** A load balancer, two backends, and all that goes with them. */
const everything: Inventory = {
    droplets: [droplet(1, "backend"), droplet(2, "backend"), droplet(3, "load-balancer")],
    firewalls: [
        { id: "fw-b", name: `${prefix}-backend`, created_at },
        { id: "fw-l", name: `${prefix}-load-balancer`, created_at },
    ],
    keys: [{ id: 7, name: prefix }],
    vpcs: [{ id: "vpc", name: prefix, created_at, default: false }],
    reservedIps: [{ ip: "203.0.113.9", droplet: { id: 3 } }],
};
const verdicts = (
    inventory: Partial<Inventory>,
    more: Partial<Parameters<typeof judge>[0]> = {},
): Record<string, Finding["verdict"]> =>
    Object.fromEntries(
        judge({
            prefix,
            inventory: { ...nothing, ...inventory },
            known: new Set(),
            inService: new Set(),
            giveUp: false,
            ...more,
        }).map(({ kind, id, verdict }) => [`${kind} ${id}`, verdict]),
    );
const known = new Set([
    ...["droplet 1", "droplet 2", "droplet 3", "firewall fw-b", "firewall fw-l", "SSH key 7", "VPC vpc"],
    "reserved IP 203.0.113.9",
]);

describe("what a state does not know", () => {
    it("is nothing where it knows all", () => {
        expect(verdicts(everything, { known })).toEqual({});
    });

    it("is deleted where nothing serves", () => {
        expect(verdicts({ ...everything, reservedIps: [] })).toEqual({
            ...{ "droplet 1": "delete", "droplet 2": "delete", "droplet 3": "delete" },
            ...{ "firewall fw-b": "delete", "firewall fw-l": "delete" },
            ...{ "SSH key 7": "delete", "VPC vpc": "delete" },
        });
    });

    it("is only a droplet whose creation was cut off", () => {
        const droplets = [...everything.droplets, droplet(4, "backend"), droplet(5, "load-balancer")];
        const inService = new Set(["10.0.0.1", "10.0.0.2"]);
        expect(verdicts({ ...everything, droplets }, { known, inService })).toEqual({
            ...{ "droplet 4": "delete", "droplet 5": "delete" },
        });
    });

    it.each([
        ["a reserved IP points at it", new Set<string>(), { "droplet 1": "delete", "droplet 3": "keep" }],
        ["HAProxy sends it requests", new Set(["10.0.0.1"]), { "droplet 1": "keep", "droplet 3": "keep" }],
        ["HAProxy can't be asked", new Error("no"), { "droplet 1": "keep", "droplet 3": "keep" }],
    ])("is kept, with what it needs, when %s", (_why, inService, expected) => {
        const droplets = [droplet(1, "backend"), droplet(3, "load-balancer")];
        expect(verdicts({ ...everything, droplets }, { inService })).toEqual({
            ...expected,
            ...{ "firewall fw-b": "keep", "firewall fw-l": "keep", "SSH key 7": "keep", "VPC vpc": "keep" },
            "reserved IP 203.0.113.9": "tell",
        });
    });

    it("is deleted though it serves, when that is asked for; never a reserved IP", () => {
        const found = verdicts(everything, { inService: new Error("no"), giveUp: true });
        expect(found["reserved IP 203.0.113.9"]).toBe("tell");
        expect(Object.values(found).filter((verdict) => verdict === "delete")).toHaveLength(7);
    });

    it("never is a firewall that guards a droplet of the state", () => {
        const found = verdicts(everything, { known: new Set(["droplet 1", "droplet 2"]) });
        expect(found["firewall fw-b"]).toBe("keep");
    });

    it("is of this stack alone: names that only begin alike, and a region's default VPC, are not", () => {
        expect(
            verdicts({
                firewalls: [{ id: "a", name: `${prefix}-backend2`, created_at }],
                keys: [{ id: 1, name: `${prefix}2` }],
                vpcs: [
                    { id: "b", name: `${prefix}2`, created_at, default: false },
                    { id: "c", name: prefix, created_at, default: true },
                ],
                reservedIps: [{ ip: "203.0.113.8", droplet: { id: 99 } }],
            }),
        ).toEqual({});
    });

    it("is told, if it is an address that is not assigned", () => {
        expect(verdicts({ reservedIps: [{ ip: "203.0.113.8", droplet: null }] })).toEqual({
            "reserved IP 203.0.113.8": "tell",
        });
    });

    it("is deleted droplets first, for a VPC goes when they have left it", () => {
        const kinds = judge({
            ...{ prefix, known: new Set<string>(), inService: new Set<string>(), giveUp: false },
            inventory: { ...everything, reservedIps: [] },
        }).map(({ kind }) => kind);
        expect(kinds.lastIndexOf("droplet")).toBeLessThan(kinds.indexOf("firewall"));
        expect(kinds.indexOf("firewall")).toBeLessThan(kinds.indexOf("VPC"));
    });
});

describe("the load balancer", () => {
    const orphan = { ...everything, droplets: [...everything.droplets, droplet(4, "backend")] };
    it("is asked where a backend is in doubt and somebody may depend on it", () => {
        expect(loadBalancersToAsk(prefix, known, orphan)).toEqual(["203.0.113.9"]);
        expect(loadBalancersToAsk(prefix, known, everything)).toEqual([]);
        expect(loadBalancersToAsk(prefix, known, { ...orphan, reservedIps: [] })).toEqual([]);
    });

    it("answers with addresses", () => {
        const text = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state
3 pool 1 web-0 10.0.0.5 2 0
3 pool 2 web-1 10.0.0.6 0 0

`;
        expect(parseServersState(text)).toEqual(["10.0.0.5", "10.0.0.6"]);
        expect(parseServersState(text.split("\n").slice(0, 2).join("\n"))).toEqual([]);
        expect(() => parseServersState("Unknown command")).toThrow("show servers state");
    });
});

describe("a state", () => {
    it("knows what is marked for deletion too, and each id by its kind", () => {
        const resources = [
            { type: "pulumi:pulumi:Stack" },
            { type: "digitalocean:index/droplet:Droplet", id: "1", delete: true },
            { type: "digitalocean:index/sshKey:SshKey", id: "2" },
        ];
        const found = knownTo({ resources });
        expect(found).toContain("droplet 1");
        expect(found).toContain("SSH key 2");
        expect(found).not.toContain("droplet 2");
        expect(knownTo({})).toEqual(new Set());
    });

    it("names what a killed run was doing, as the account would", () => {
        const urn = "urn:pulumi:prod::shop::a:b:Pool$digitalocean:index/droplet:Droplet::web-3";
        expect(
            pendingOf({
                pending_operations: [
                    { type: "creating", resource: { urn, inputs: { name: "web-3-2bc9182" } } },
                    { type: "deleting", resource: { urn } },
                ],
            }),
        ).toEqual(["creating web-3-2bc9182", "deleting web-3"]);
        expect(pendingOf({})).toEqual([]);
    });
});
