import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dropletsInTheMaking, loadBalancersOf, pendingOf } from "../../tools/pulumi/state";
import { type Inventory, knownTo, strangeAccount } from "../../tools/live/account";
import { askHaproxy, parseServersState } from "../../tools/live/haproxy";
import { loadBalancersToAsk } from "../../tools/live/in-service";
import { type Case, type Orphan, findOrphans } from "../../tools/live/orphans";
import { emptyInventory } from "../live-fixtures";

const prefix = "shop-prod";
const created_at = "2026-01-02T03:04:05Z";
/** Of the load balancer, at which its HAProxy has no server. */
const idle = new Map([[3, new Set<string>()]]);

type Droplet = Inventory["droplets"][number];
const droplet = (id: number, role: "backend" | "load-balancer", more: Partial<Droplet> = {}): Droplet => ({
    id,
    name: `${role === "backend" ? `web-${id}` : role}-${String(id).padStart(7, "0")}`,
    created_at,
    tags: [`${prefix}-${role}`],
    vpc_uuid: "vpc",
    networks: {
        v4: [
            { ip_address: `10.0.0.${id}`, type: "private" },
            { ip_address: `203.0.113.${id}`, type: "public" },
        ],
    },
    ...more,
});
const anywhere = ["0.0.0.0/0", "::/0"];
const out = ["tcp", "udp", "icmp"].map((protocol) => ({
    ...{ protocol, ports: protocol === "icmp" ? "" : "0", destinations: { addresses: anywhere } },
}));
type Firewall = Inventory["firewalls"][number];
const firewall = (id: string, role: "backend" | "load-balancer", more: Partial<Firewall> = {}): Firewall => ({
    id,
    name: `${prefix}-${role}`,
    created_at,
    tags: [`${prefix}-${role}`],
    droplet_ids: [],
    inbound_rules:
        role === "backend"
            ? [{ protocol: "tcp", ports: "0", sources: { tags: [`${prefix}-load-balancer`] } }]
            : [
                  { protocol: "tcp", ports: "80", sources: { addresses: anywhere } },
                  { protocol: "tcp", ports: "22", sources: { addresses: ["198.51.100.7/32"] } },
              ],
    outbound_rules: out,
    ...more,
});
const key = (id: number, comment: string) => ({
    id,
    name: prefix,
    public_key: `ssh-ed25519 AAAA ${comment}`,
});
const vpc = (id: string, more: Partial<Inventory["vpcs"][number]> = {}) => ({
    ...{ id, name: prefix, description: `dropscale ${prefix}`, created_at, default: false },
    ...more,
});
/** A load balancer, two servers, and all that goes with them. */
const everything: Inventory = {
    droplets: [droplet(1, "backend"), droplet(2, "backend"), droplet(3, "load-balancer")],
    firewalls: [firewall("fw-b", "backend"), firewall("fw-l", "load-balancer")],
    keys: [key(7, `${prefix}-deploy`)],
    vpcs: [vpc("vpc")],
    reservedIps: [{ ip: "203.0.113.9", droplet: { id: 3 } }],
    tags: [{ name: `${prefix}-backend` }, { name: `${prefix}-load-balancer` }],
    alerts: [],
    uptimeChecks: [],
    uptimeAlerts: [],
};
const all = [
    ...["droplet 1", "droplet 2", "droplet 3", "firewall fw-b", "firewall fw-l", "SSH key 7", "VPC vpc"],
    "reserved IP 203.0.113.9",
];
const known = new Set(all);
const findings = (inventory: Partial<Inventory>, more: Partial<Case> = {}): Orphan[] =>
    findOrphans({
        ...{ prefix, vpcId: "", inventory: { ...emptyInventory, ...inventory } },
        ...{ known: new Set(), loadBalancerIds: new Set(), neverServed: new Set(), answers: idle },
        ...{ giveUp: false, noRunLives: true },
        ...more,
    });
const verdicts = (...args: Parameters<typeof findings>): Record<string, Orphan["verdict"]> =>
    Object.fromEntries(findings(...args).map(({ kind, id, verdict }) => [`${kind} ${id}`, verdict]));
/** Why, of the only finding. */
const whyOf = (...args: Parameters<typeof findings>): string => {
    const found = findings(...args);
    expect(found).toHaveLength(1);
    return `${found[0]?.verdict}: ${found[0]?.why}`;
};

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
        const answers = new Map([
            [3, new Set(["10.0.0.1", "10.0.0.2"])],
            [5, new Set<string>()],
        ]);
        expect(verdicts({ ...everything, droplets }, { known, answers })).toEqual({
            ...{ "droplet 4": "delete", "droplet 5": "delete" },
        });
    });

    it.each([
        ["a reserved IP points at it", idle, { "droplet 1": "delete", "droplet 3": "keep" }],
        [
            "HAProxy sends it requests",
            new Map([[3, new Set(["10.0.0.1"])]]),
            { "droplet 1": "keep", "droplet 3": "keep" },
        ],
        [
            "HAProxy can't be asked",
            new Map([[3, new Error("no")]]),
            { "droplet 1": "keep", "droplet 3": "keep" },
        ],
    ])("is kept, with what it needs, when %s", (_why, answers, expected) => {
        const droplets = [droplet(1, "backend"), droplet(3, "load-balancer")];
        expect(verdicts({ ...everything, droplets }, { answers })).toEqual({
            ...expected,
            ...{ "firewall fw-b": "keep", "firewall fw-l": "keep", "SSH key 7": "keep", "VPC vpc": "keep" },
            "reserved IP 203.0.113.9": "tell",
        });
    });

    it("is kept where nobody can be asked whether it serves: no load balancer is no proof", () => {
        const droplets = [droplet(1, "backend")];
        expect(whyOf({ droplets }, { answers: new Map() })).toBe(
            "keep: may serve: there is no load balancer to ask",
        );
    });

    it("is kept where one of several load balancers can't be asked, whatever the others say", () => {
        const answers = new Map<number, Set<string> | Error>([
            [3, new Set<string>()],
            [8, new Error("it is off")],
        ]);
        expect(whyOf({ droplets: [droplet(1, "backend")] }, { answers })).toBe(
            "keep: may serve: the load balancer can't be asked (it is off)",
        );
    });

    it.each([
        ["has servers", new Set(["10.0.0.1"]), /^keep: may serve: its HAProxy has servers$/],
        ["can't be asked", new Error("no"), /^keep: may serve: it can't be asked \(no\)$/],
        ["was not asked", undefined, /^keep: may serve: nobody has asked its HAProxy$/],
        ["has none", new Set<string>(), /^delete: not in the state, and its HAProxy has no server$/],
    ])(
        "is kept, if it is a load balancer without a reserved IP, unless it serves nothing: it %s",
        (_how, answer, why) => {
            const answers = new Map(answer === undefined ? [] : [[3, answer]]);
            expect(whyOf({ droplets: [droplet(3, "load-balancer")] }, { answers })).toMatch(why);
        },
    );

    it("is deleted though nobody can be asked, if the killed run itself says that it was being made", () => {
        const droplets = [droplet(1, "backend"), droplet(3, "load-balancer")];
        const neverServed = new Set(droplets.map(({ name }) => name));
        const error = new Map([[9, new Error("no")]]);
        for (const answers of [new Map(), error])
            expect(verdicts({ droplets }, { neverServed, answers })).toEqual({
                ...{ "droplet 1": "delete", "droplet 3": "delete" },
            });
        // HAProxy knows better than an old state.
        const answers = new Map([[9, new Set(["10.0.0.1"])]]);
        expect(verdicts({ droplets }, { neverServed, answers })["droplet 1"]).toBe("keep");
    });

    it("is deleted though it serves, when that is asked for; never a reserved IP", () => {
        const found = verdicts(everything, { answers: new Map(), giveUp: true });
        expect(found["reserved IP 203.0.113.9"]).toBe("tell");
        expect(Object.values(found).filter((verdict) => verdict === "delete")).toHaveLength(7);
    });

    it("never is a firewall that guards a droplet of the state", () => {
        const found = verdicts(everything, { known: new Set(["droplet 1", "droplet 2"]) });
        expect(found["firewall fw-b"]).toBe("keep");
    });

    it("is told, if it is an address that is not assigned", () => {
        expect(verdicts({ reservedIps: [{ ip: "203.0.113.8", droplet: null }] })).toEqual({
            "reserved IP 203.0.113.8": "tell",
        });
    });

    it("is deleted droplets first, for a VPC goes when they have left it", () => {
        const kinds = findings({ ...everything, reservedIps: [] }).map(({ kind }) => kind);
        expect(kinds.lastIndexOf("droplet")).toBeLessThan(kinds.indexOf("firewall"));
        expect(kinds.indexOf("firewall")).toBeLessThan(kinds.indexOf("VPC"));
    });
});

describe("what may be somebody else's", () => {
    const web = droplet(4, "backend").name;
    const lb = droplet(5, "load-balancer").name;
    it.each<[string, Droplet]>([
        ["a database with the servers' tag", droplet(4, "backend", { name: "postgres-1" })],
        ["one named nearly as a server", droplet(4, "backend", { name: "web-4" })],
        ["one named nearly as the engine would", droplet(4, "backend", { name: "web-4-0123abcd" })],
        ["a server's name after another word", droplet(4, "backend", { name: `old-${web}` })],
        ["a host that was let in by the load balancer's tag", droplet(4, "load-balancer", { name: "monitoring" })],
        ["a server's name with the load balancer's tag", droplet(4, "load-balancer", { name: web })],
        ["a load balancer's name with the servers' tag", droplet(4, "backend", { name: lb })],
        ["another stack's server that has our tag, too", droplet(4, "backend", { tags: [`${prefix}-backend`, "blog-prod-backend"] })],
        ["a server that somebody has tagged", droplet(4, "backend", { tags: ["billing", `${prefix}-backend`] })],
        ["both of our tags", droplet(4, "backend", { tags: [`${prefix}-backend`, `${prefix}-load-balancer`] })],
        ["another stack's load balancer that has our tag, too", droplet(4, "load-balancer", { tags: [`${prefix}-load-balancer`, "blog-prod-load-balancer"] })],
    ])("is told, never deleted: %s", (_what, stranger) => {
        // Also not when all that serves is given up.
        for (const giveUp of [false, true])
            expect(whyOf({ droplets: [stranger] }, { giveUp, answers: new Map() })).toMatch(
                /^tell: may be somebody else's: its? (has other tags, too: |name is none that this program gives)/,
            );
    }); // oxfmt-ignore

    const rule = (ports: string, sources: Record<string, (string | number)[]>) => ({
        protocol: "tcp",
        ports,
        sources,
    });
    const own = rule("0", { tags: [`${prefix}-load-balancer`] });
    it.each<[string, Firewall]>([
        ["for a droplet by its id as well", firewall("x", "backend", { droplet_ids: [4] })],
        ["for another tag as well", firewall("x", "backend", { tags: [`${prefix}-backend`, "db"] })],
        ["for no tag", firewall("x", "backend", { tags: null })],
        ["for the other tag", firewall("x", "backend", { tags: [`${prefix}-load-balancer`] })],
        ["with a rule for UDP", firewall("x", "backend", { inbound_rules: [own, { ...rule("53", { tags: ["dns"] }), protocol: "udp" }] })],
        ["with a rule for a droplet", firewall("x", "backend", { inbound_rules: [own, rule("9100", { droplet_ids: [9] })] })],
        ["that lets nothing out", firewall("x", "backend", { outbound_rules: [] })],
        ["without the load balancer's rule", firewall("x", "backend", { inbound_rules: [rule("0", { tags: ["db"] })] })],
        ["with no rule", firewall("x", "backend", { inbound_rules: null })],
        ["with another port", firewall("x", "load-balancer", { inbound_rules: [...(firewall("x", "load-balancer").inbound_rules ?? []), rule("5432", { addresses: anywhere })] })],
    ])("is told, never deleted: a firewall with our name %s", (_what, stranger) => {
        expect(whyOf({ firewalls: [stranger] })).toMatch(/^tell: may be somebody else's: its rules|^tell: may be somebody else's: it holds/);
    }); // oxfmt-ignore

    it("is no firewall of ours, whatever `backendSources` name", () => {
        const inbound_rules = [
            own,
            rule("9100-9105", { addresses: ["198.51.100.0/24"], tags: ["monitoring"] }),
        ];
        expect(verdicts({ firewalls: [firewall("x", "backend", { inbound_rules })] })).toEqual({
            "firewall x": "delete",
        });
    });

    it("keeps the firewall that holds for it, and the VPC that it is in", () => {
        const stranger = droplet(4, "backend", { name: "postgres-1" });
        expect(verdicts({ ...everything, droplets: [stranger], reservedIps: [] })).toEqual({
            ...{ "droplet 4": "tell", "firewall fw-b": "tell", "firewall fw-l": "delete" },
            ...{ "SSH key 7": "delete", "VPC vpc": "tell" },
        });
        expect(findings({ ...everything, droplets: [stranger] })[1]?.why).toBe(
            "postgres-1 (4) needs it, which may be somebody else's",
        );
    });

    it("is a person's key with the stack's name", () => {
        for (const comment of ["ann@laptop", "", `${prefix}-deploy ann`, prefix])
            expect(whyOf({ keys: [key(1, comment)] })).toBe(
                `tell: may be somebody else's: its comment is not ${prefix}-deploy`,
            );
    });

    it("is a VPC with the stack's name that was not made by the program", () => {
        expect(whyOf({ vpcs: [vpc("a", { description: "ours" })] })).toBe(
            `tell: may be somebody else's: its description is not 'dropscale ${prefix}'`,
        );
    });

    it("is the VPC that the config names, whatever it is called; of that nobody need hear", () => {
        expect(verdicts({ vpcs: [vpc("a")] }, { vpcId: "a" })).toEqual({});
    });

    it("is what has names that only begin alike, and a region's default VPC: not even told", () => {
        expect(
            verdicts({
                droplets: [droplet(4, "backend", { tags: [`${prefix}2-backend`] })],
                firewalls: [firewall("a", "backend", { name: `${prefix}-backend2` })],
                keys: [{ ...key(1, `${prefix}-deploy`), name: `${prefix}2` }],
                vpcs: [vpc("b", { name: `${prefix}2` }), vpc("c", { default: true })],
                reservedIps: [{ ip: "203.0.113.8", droplet: { id: 99 } }],
            }),
        ).toEqual({});
    });
});

describe("what is not an hour old", () => {
    const minutes = (age: number) => ({ now: Date.parse(created_at) + age * 60_000 });
    it.each([
        [0, false, "wait"],
        [59, false, "wait"],
        [-5, false, "wait"],
        [60, false, "delete"],
        [1, true, "delete"],
    ])("after %i minutes, a person's word for it: %s: %s", (age, noRunLives, verdict) => {
        const droplets = [droplet(1, "backend")];
        expect(verdicts({ droplets }, { ...minutes(age), noRunLives })).toEqual({ "droplet 1": verdict });
        const made = { firewalls: [firewall("fw", "backend")], vpcs: [vpc("v")] };
        expect(new Set(Object.values(verdicts(made, { ...minutes(age), noRunLives })))).toEqual(
            new Set([verdict]),
        );
    });

    it("keeps what it needs for as long, and so does a key, whose age nobody knows", () => {
        const droplets = [droplet(1, "backend")];
        const old = { created_at: "2026-01-01T00:00:00Z" };
        const inventory = {
            ...everything,
            droplets,
            firewalls: [firewall("fw", "load-balancer", old)],
            reservedIps: [],
        };
        expect(new Set(Object.values(verdicts(inventory, { ...minutes(1), noRunLives: false })))).toEqual(
            new Set(["wait"]),
        );
        expect(verdicts({ keys: everything.keys }, { noRunLives: false })).toEqual({ "SSH key 7": "wait" });
    });

    it("is kept all the same, if it may serve", () => {
        const droplets = [droplet(1, "backend")];
        expect(verdicts({ droplets }, { ...minutes(1), noRunLives: false, answers: new Map() })).toEqual({
            "droplet 1": "keep",
        });
    });
});

describe("the load balancers to ask", () => {
    const facts = { known, loadBalancerIds: new Set<string>(), neverServed: new Set<string>() };
    const orphan = droplet(4, "backend");
    const asked = (droplets: Droplet[], more: Partial<Inventory> = {}, given: Partial<typeof facts> = {}) =>
        loadBalancersToAsk(prefix, { ...everything, ...more, droplets }, { ...facts, ...given }).map(
            ({ id, address }) => `${id} ${address}`,
        );

    it("are asked where a droplet is in doubt, at their own address", () => {
        expect(asked([...everything.droplets, orphan])).toEqual(["3 203.0.113.3"]);
        expect(asked([...everything.droplets, droplet(5, "load-balancer")])).toEqual([
            "3 203.0.113.3",
            "5 203.0.113.5",
        ]);
        expect(asked(everything.droplets)).toEqual([]);
        expect(asked([...everything.droplets, droplet(4, "backend", { name: "postgres-1" })])).toEqual([]);
    });

    const without = (more: Partial<Droplet>) => [droplet(3, "load-balancer", more), orphan];
    const lost = { known: new Set<string>() };
    it.each<[string, string[]]>([
        ["without its reserved IP", asked(without({}), { reservedIps: [] })],
        ["without its tag, by the state", asked(without({ tags: [], name: "x" }), { reservedIps: [] }, { loadBalancerIds: new Set(["3"]) })],
        ["without tag and name, by the state's reserved IP", asked(without({ tags: [], name: "x" }))],
        ["of which the state knows nothing, by its tag and a reserved IP", asked(without({ name: "x" }), {}, lost)],
        ["of which the state knows nothing, without its tag, by its name in the VPC", asked(without({ tags: [] }), { reservedIps: [] }, lost)],
        ["of which the state knows nothing, with another tag", asked(without({ tags: ["prod"] }), { reservedIps: [] }, lost)],
    ])("are found %s", (_how, hosts) => {
        expect(hosts).toEqual(["3 203.0.113.3"]);
    }); // oxfmt-ignore

    it.each<[string, string[]]>([
        ["another stack's in the same VPC", asked(without({ tags: ["blog-prod-load-balancer"] }), { reservedIps: [] }, lost)],
        ["another VPC's", asked(without({ tags: [], vpc_uuid: "w" }), { reservedIps: [] }, lost)],
        ["a host that was let in by its tag", asked(without({ name: "monitoring" }), { reservedIps: [] }, lost)],
        ["one that a killed run was making", asked(without({}), { reservedIps: [] }, { ...lost, neverServed: new Set([droplet(3, "load-balancer").name]) })],
    ])("are not %s", (_which, hosts) => {
        expect(hosts).toEqual([]);
    }); // oxfmt-ignore

    it("answer with addresses", () => {
        const text = `1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state
3 pool 1 web-0 10.0.0.5 2 0
3 pool 2 web-1 10.0.0.6 0 0
4 uploads 1 web-0 10.0.0.5 2 0

`;
        expect(parseServersState(text)).toEqual(["10.0.0.5", "10.0.0.6"]);
        expect(parseServersState(text.split("\n").slice(0, 2).join("\n"))).toEqual([]);
        expect(parseServersState("no HAProxy runs\n")).toEqual([]);
        expect(() => parseServersState("Unknown command")).toThrow("show servers state");
        expect(() => parseServersState("")).toThrow("show servers state");
    });
});

describe("the question that a load balancer is asked", () => {
    let folder: string;
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-ask-"));
    });
    afterEach(() => {
        rmSync(folder, { recursive: true });
    });
    /** On a host with these commands alone. */
    const ask = (commands: Record<string, string>) => {
        for (const [name, body] of Object.entries(commands))
            writeFileSync(path.join(folder, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
        return spawnSync("/bin/sh", ["-c", askHaproxy], { env: { PATH: folder }, encoding: "utf8" });
    };

    it("has no servers as its answer only where no HAProxy runs", () => {
        const { status, stdout } = ask({ pgrep: "exit 1" });
        expect({ status, addresses: parseServersState(stdout) }).toEqual({ status: 0, addresses: [] });
    });

    it.each([
        ["it can't be told whether one runs", {}],
        ["pgrep fails", { pgrep: "exit 3" }],
        ["HAProxy does not answer", { pgrep: "exit 0", socat: "exit 1" }],
        ["there is no socat", { pgrep: "exit 0" }],
    ])("fails where %s", (_why, commands) => {
        expect(ask(commands).status).not.toBe(0);
    });
});

describe("a state", () => {
    const type = "digitalocean:index/droplet:Droplet";
    const urn = (name: string) => `urn:pulumi:prod::shop::a:b:Pool$${type}::${name}`;

    it("knows what is marked for deletion too, and each id by its kind", () => {
        const resources = [
            { type: "pulumi:pulumi:Stack" },
            { type, id: "1", delete: true },
            { type: "digitalocean:index/sshKey:SshKey", id: "2" },
        ];
        const found = knownTo({ resources });
        expect(found).toContain("droplet 1");
        expect(found).toContain("SSH key 2");
        expect(found).not.toContain("droplet 2");
        expect(knownTo({})).toEqual(new Set());
    });

    it("knows which droplets are load balancers, the one that is to be deleted too", () => {
        const resources = [
            { type, id: "1", urn: urn("web-0") },
            { type, id: "2", urn: urn("load-balancer") },
            { type, id: "3", urn: urn("load-balancer"), delete: true },
            { type: "digitalocean:index/firewall:Firewall", id: "4", urn: "a::load-balancer" },
        ];
        expect(loadBalancersOf({ resources })).toEqual(new Set(["2", "3"]));
    });

    it("names what a killed run was doing, as the account would", () => {
        const pending_operations = [
            { type: "creating", resource: { urn: urn("web-3"), inputs: { name: "web-3-2bc9182" } } },
            { type: "deleting", resource: { urn: urn("web-3") } },
            {
                type: "creating",
                resource: { urn: urn("web-3").replace("droplet:Droplet", "vpc:Vpc"), inputs: { name: "v" } },
            },
        ];
        expect(pendingOf({ pending_operations })).toEqual([
            "creating v",
            "creating web-3-2bc9182",
            "deleting web-3",
        ]);
        expect(pendingOf({})).toEqual([]);
        expect(dropletsInTheMaking({ pending_operations })).toEqual(new Set(["web-3-2bc9182"]));
    });

    describe("is another account's", () => {
        const resources = [
            { type, id: "1", urn: urn("web-0") },
            { type, id: "2", urn: urn("web-1") },
        ];
        const strange = (droplets: Droplet[], more: object = {}) =>
            strangeAccount({ resources, ...more }, { ...emptyInventory, droplets });

        it("if the account has none of its droplets", () => {
            expect(strange([droplet(8, "backend")])).toBe(
                "the account has none of the 2 droplets in the state (1, 2)",
            );
            expect(strange([])).toBeDefined();
        });

        it("not if it has one, if the state has none, or if a killed run was deleting them all", () => {
            expect(strange([droplet(2, "backend")])).toBeUndefined();
            expect(strange([], { resources: [] })).toBeUndefined();
            const pending_operations = resources.map((resource) => ({ type: "deleting", resource }));
            expect(strange([], { pending_operations })).toBeUndefined();
        });
    });
});

describe("what a bake left that was killed", () => {
    const tag = `${prefix}-bake-20260102T030405Z-5e0c1f77`;
    const builder = (more: Partial<Droplet> = {}) =>
        droplet(8, "backend", { name: "bake-5e0c1f77", tags: [tag], ...more });
    const guard: Partial<Firewall> = { name: tag, tags: [tag], inbound_rules: [] };
    const left = (...droplets: Droplet[]): Partial<Inventory> => {
        return { droplets, firewalls: [firewall("fw", "backend", guard)], tags: [{ name: tag }] };
    };
    const now = Date.parse(created_at) + 5 * 3_600_000;

    it("is deleted once a person says that nobody is at it, or after six hours", () => {
        const expected = { "droplet 8": "delete", "firewall fw": "delete", [`tag ${tag}`]: "delete" };
        expect(verdicts(left(builder()))).toEqual(expected);
        expect(verdicts(left(builder()), { noRunLives: false, now: now + 3_600_000 })).toEqual(expected);
        const waits = { "droplet 8": "wait", "firewall fw": "wait", [`tag ${tag}`]: "wait" };
        expect(verdicts(left(builder()), { noRunLives: false, now })).toEqual(waits);
        expect(verdicts(left())).toEqual({ "firewall fw": "delete", [`tag ${tag}`]: "delete" });
    });

    it.each([
        ["a name of its own", builder({ name: "mine" })],
        ["another tag beside", builder({ tags: [tag, "mine"] })],
    ])("is nobody else's: a droplet with %s stays, and so does what it needs", (_what, other) => {
        const told = { "droplet 8": "tell", "firewall fw": "tell", [`tag ${tag}`]: "tell" };
        expect(verdicts(left(other))).toEqual(told);
    });

    it("is not what guards a droplet of the state", () => {
        expect(verdicts(left(builder()), { known: new Set(["droplet 8"]) })).toEqual({
            "firewall fw": "tell",
            [`tag ${tag}`]: "tell",
        });
    });

    it("is no other stack's", () => {
        expect(verdicts(left(builder()), { prefix: "shop" })).toEqual({});
    });
});
