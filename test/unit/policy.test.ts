import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
    type DropletFacts,
    type Facts,
    factsOf,
    type FirewallFacts,
    type EngineResource,
    unknownValue,
} from "../../policy/facts";
import { limitsFile, parseLimits, readLimits } from "../../policy/limits";
import { checkRules, type RuleName, rules } from "../../policy/rules";

const limits = { ...readLimits("test"), maxMonthlyCostUsd: 100 };

const droplet: DropletFacts = {
    name: "web-0",
    size: "s-1vcpu-1gb",
    region: "fra1",
    tags: ["backend"],
    explicitName: false,
};
const firewall: FirewallFacts = {
    name: "network-backend",
    tags: ["backend"],
    inbound: [{ protocol: "tcp", portRange: "22", sourceAddresses: ["198.51.100.7/32"] }],
};
const front: FirewallFacts = { ...firewall, name: "network-load-balancer", tags: ["load-balancer"] };
/** What keeps every rule. */
const good: Facts = {
    stack: "test",
    servers: ["web-0", "web-1", "web-2"],
    serversBefore: ["web-0", "web-1", "web-2"],
    monthlyCost: 24,
    sshFromAnywhere: false,
    droplets: [droplet],
    firewalls: [firewall],
    remoteCommands: [{ name: "haproxy", hostKeyPinned: true }],
};
const names = (count: number) => Array.from({ length: count }, (_, i) => `web-${i}`);
const from = (of: FirewallFacts, sourceAddresses: string[], portRange = "22", protocol = "tcp") => ({
    ...of,
    inbound: [...(of.inbound ?? []), { protocol, portRange, sourceAddresses }],
});
const ssh = (sourceAddresses: string[], portRange?: string, protocol?: string) => ({
    firewalls: [firewall, from({ ...front, inbound: [] }, sourceAddresses, portRange, protocol)],
});
const backends = (...args: Parameters<typeof from> extends [unknown, ...infer Rest] ? Rest : never) => ({
    firewalls: [from(firewall, ...args), front],
});

describe("each rule", () => {
    const broken: [RuleName, Partial<Facts>, object, RegExp][] = [
        ["max-replicas", { servers: names(21) }, {}, /^21 servers; allowed: at most 20\. .*`maxReplicas` in policy\/limits\.yaml/],
        ["min-replicas", { servers: ["web-0"], serversBefore: [] }, {}, /^1 server; allowed: at least 2\. /],
        ["min-replicas", { servers: [], serversBefore: [] }, {}, /^0 servers; /],
        ["max-shrink", { servers: names(2), serversBefore: names(5) }, {}, /^5 servers become 2, 60 % less; allowed: at most 50 % less\. .*go down to 3 first/],
        ["max-shrink", { servers: names(2), serversBefore: names(3) }, { maxShrinkPercent: 0 }, /go down to 3 first/],
        ["max-monthly-cost", { monthlyCost: 100.01 }, {}, /^\$100\.01 a month; allowed: at most \$100\. /],
        ["allowed-sizes", {}, { sizes: ["s-2vcpu-2gb"] }, /^web-0 has size s-1vcpu-1gb; allowed: s-2vcpu-2gb\. .*add s-1vcpu-1gb to `sizes` .*stacks: test/],
        ["allowed-regions", {}, { regions: ["ams3", "nyc1"] }, /^web-0 has region fra1; allowed: ams3, nyc1\. /],
        ["no-ssh-from-everywhere", ssh(["198.51.100.7/32", "0.0.0.0/0"]), {}, /^firewall network-load-balancer admits SSH from 198\.51\.100\.7\/32, 0\.0\.0\.0\/0; .*adminCidrs/],
        ["no-ssh-from-everywhere", ssh(["0.0.0.0/1", "128.0.0.0/1"]), {}, /0\.0\.0\.0\/1, 128\.0\.0\.0\/1/],
        ["no-ssh-from-everywhere", ssh(["::/0"], "1-1024"), {}, /from ::\/0/],
        ["no-ssh-from-everywhere", ssh(["0.0.0.0/0"], "all"), {}, /0\.0\.0\.0/],
        ["no-ssh-from-everywhere", { ...ssh(["0.0.0.0/0"]), sshFromAnywhere: true }, { sshFromAnywhere: "never" }, /take dropscale:sshFromAnywhere out .*if-configured/],
        ["backends-closed", backends(["0.0.0.0/0"], "80"), {}, /^firewall network-backend opens the servers to 198\.51\.100\.7\/32, 0\.0\.0\.0\/0; allowed: at most 33554432 .*dropscale:backendSources/],
        ["backends-closed", backends(["::/0"], "9100-9105"), {}, /opens the servers to ::\/0;/],
        ["backends-closed", backends(["0.0.0.0/1", "128.0.0.0/1"], "53", "udp"), {}, /0\.0\.0\.0\/1, 128\.0\.0\.0\/1/],
        ["backends-closed", { ...backends(["0.0.0.0/0"], "all"), sshFromAnywhere: true }, { sshFromAnywhere: "if-configured" }, /opens the servers/],
        ["firewall-on-every-droplet", { droplets: [{ ...droplet, tags: ["web"] }] }, {}, /^no firewall holds for web-0 \(its tags: web\)/],
        ["firewall-on-every-droplet", { droplets: [{ ...droplet, tags: [] }] }, {}, /\(its tags: none\)/],
        ["firewall-on-every-droplet", { firewalls: [{ ...firewall, inbound: [] }] }, {}, /no firewall holds/],
        ["host-key-pinned", { remoteCommands: [{ name: "haproxy", hostKeyPinned: false }] }, {}, /^haproxy talks to any host; /],
        ["create-before-delete", { droplets: [{ ...droplet, explicitName: true }] }, {}, /^web-0 has a name of its own/],
        ["create-before-delete", { droplets: [{ ...droplet, deleteBeforeReplace: true }] }, {}, /^web-0 has deleteBeforeReplace: true/],
    ]; // oxfmt-ignore

    it.each(broken)(
        "%s names what it found, what is allowed and the fix: case %#",
        (rule, facts, more, words) => {
            const { violations } = checkRules({ ...good, ...facts }, { ...limits, ...more });
            expect(violations.map((violation) => violation.rule)).toEqual([rule]);
            expect(violations.map(({ text }) => text).join()).toMatch(words);
            expect(violations[0]?.advisory).toBe(false);
        },
    );

    it("is tried here", () => {
        expect(new Set(broken.map(([rule]) => rule))).toEqual(new Set(Object.keys(rules)));
    });

    const kept: [string, Partial<Facts>, object][] = [
        ["what is at its limits", { servers: names(20), serversBefore: names(40), monthlyCost: 100 }, {}],
        ["growing from nothing", { serversBefore: [] }, {}],
        ["sizes and regions that are allowed", {}, { sizes: ["s-1vcpu-1gb"], regions: ["fra1"] }],
        ["SSH from everywhere where config and limit say so", { ...ssh(["0.0.0.0/0"]), sshFromAnywhere: true }, {}],
        ["HTTP from everywhere", ssh(["0.0.0.0/0", "::/0"], "80"), {}],
        ["a whole /8", ssh(["17.0.0.0/8"]), {}],
        ["hosts that may reach the servers", backends(["198.51.100.7/32", "10.0.0.0/8"], "9100-9105"), {}],
        ["UDP from everywhere", ssh(["0.0.0.0/0"], "all", "udp"), {}],
        ["a name of its own that is not deleted first", { droplets: [{ ...droplet, explicitName: true, deleteBeforeReplace: false }] }, {}],
        ["no pool at all: a destroy", { servers: undefined, droplets: [], firewalls: [] }, {}],
    ]; // oxfmt-ignore

    it.each(kept)("lets pass: %s", (_what, facts, more) => {
        expect(checkRules({ ...good, ...facts }, { ...limits, ...more })).toEqual({
            violations: [],
            unjudged: [],
        });
    });

    it("judges nothing that is not known yet, and says so", () => {
        const unknown: Facts = {
            ...good,
            serversBefore: undefined,
            monthlyCost: undefined,
            droplets: [
                {
                    name: "web-0",
                    size: undefined,
                    region: undefined,
                    tags: undefined,
                    explicitName: undefined,
                },
            ],
            firewalls: [{ name: "network-backend", tags: undefined, inbound: undefined }],
            remoteCommands: [{ name: "haproxy", hostKeyPinned: undefined }],
        };
        const { violations, unjudged } = checkRules(unknown, { ...limits, sizes: ["a"], regions: ["b"] });
        expect(violations).toEqual([]);
        expect(unjudged.map(({ rule, why }) => `${rule}: ${why}`)).toMatchInlineSnapshot(`
          [
            "max-shrink: only \`make plan\` sees how many servers there were before",
            "max-monthly-cost: what the stack will cost is not known yet",
            "allowed-sizes: the size of web-0 is not known yet",
            "allowed-regions: the region of web-0 is not known yet",
            "no-ssh-from-everywhere: the inbound rules of firewall network-backend are not known yet",
            "backends-closed: whom firewall network-backend lets in to the servers is not known yet",
            "firewall-on-every-droplet: whether a firewall holds for web-0 is not known yet",
            "host-key-pinned: whether the connection of haproxy pins the host's key is not known yet, or a secret",
          ]
        `);
    });

    it("only warns where the limits say so, after what must be fixed", () => {
        const facts = { ...good, servers: ["web-0"], serversBefore: ["web-0"], monthlyCost: 1000 };
        const { violations } = checkRules(facts, { ...limits, advisory: ["min-replicas"] });
        expect(violations.map(({ rule, advisory }) => [rule, advisory])).toEqual([
            ["max-monthly-cost", false],
            ["min-replicas", true],
        ]);
    });

    it("is judged alone where asked", () => {
        const facts = { ...good, servers: [], monthlyCost: 1000 };
        const rulesOf = (only?: RuleName[]) =>
            checkRules(facts, limits, only).violations.map(({ rule }) => rule);
        expect(rulesOf()).toEqual(["min-replicas", "max-shrink", "max-monthly-cost"]);
        expect(rulesOf(["max-shrink", "max-replicas"])).toEqual(["max-shrink"]);
    });
});

describe("facts", () => {
    const urn = (type: string, name: string) => `urn:pulumi:prod::dropscale::${type}::${name}`;
    const inPool = "dropscale:index:BackendPool$digitalocean:index/droplet:Droplet";
    const one = (type: string, properties: EngineResource["properties"], more = {}) =>
        factsOf([{ urn: urn(type, "web-0"), properties, ...more }]);

    it("are the stack's name, its servers and its cost", () => {
        const servers = { "web-0": "s-1vcpu-1gb", "web-2": "held" };
        expect(
            factsOf([
                { urn: urn("pulumi:pulumi:Stack", "dropscale-prod"), properties: { monthlyCost: 18 } },
                { urn: urn("dropscale:index:BackendPool", "web"), properties: { replicas: 2, servers } },
            ]),
        ).toMatchObject({ stack: "prod", servers: ["web-0", "web-2"], monthlyCost: 18 });
    });

    it("tell a droplet's own name from one that the engine made up", () => {
        const explicit = (name: unknown) => one(inPool, { name }).droplets[0]?.explicitName;
        expect(explicit("web-0-3f2a1b7")).toBe(false);
        expect(explicit(undefined)).toBe(false);
        expect(explicit("web-0")).toBe(true);
        expect(explicit("web-0-production")).toBe(true);
        expect(explicit(unknownValue)).toBeUndefined();
    });

    it("leave out what is not known yet, a whole list for one part of it", () => {
        const properties = { size: unknownValue, region: "fra1", tags: ["backend", unknownValue] };
        expect(one(inPool, properties).droplets).toEqual([
            { name: "web-0", size: undefined, region: "fra1", tags: undefined, explicitName: false },
        ]);
        const inboundRules = [{ protocol: "tcp", portRange: "22", sourceAddresses: [unknownValue] }];
        const [found] = one("digitalocean:index/firewall:Firewall", { inboundRules }).firewalls;
        expect(found).toEqual({ name: "web-0", tags: [], inbound: undefined });
    });

    it("tell whether a host's key is pinned, its jump host's too", () => {
        const pinned = (connection: unknown) =>
            one("command:remote:Command", { connection }).remoteCommands[0]?.hostKeyPinned;
        expect(pinned({ host: unknownValue, hostKey: "ssh-ed25519 AAAA" })).toBe(true);
        expect(pinned({ host: "192.0.2.1" })).toBe(false);
        expect(pinned({ hostKey: "ssh-ed25519 AAAA", proxy: { host: "192.0.2.1" } })).toBe(false);
        expect(pinned({ hostKey: "ssh-ed25519 AAAA", proxy: { hostKey: unknownValue } })).toBeUndefined();
        expect(pinned({ hostKey: unknownValue, proxy: {} })).toBe(false);
        expect(pinned("[secret]")).toBeUndefined();
        expect(pinned(unknownValue)).toBeUndefined();
    });

    it("tell whether SSH from everywhere was asked for", () => {
        const asked = (properties: EngineResource["properties"]) =>
            one("dropscale:index:Network", properties).sshFromAnywhere;
        expect(asked({ sshFromAnywhere: true })).toBe(true);
        expect(asked({})).toBe(false);
        expect(one(inPool, {}).sshFromAnywhere).toBeUndefined();
    });
});

describe("limits.yaml", () => {
    const text = readFileSync(limitsFile, "utf8");

    it("is in order, and lets the dev stack pass", () => {
        expect(checkRules({ ...good, monthlyCost: 24 }, readLimits("dev"))).toEqual({
            violations: [],
            unjudged: [],
        });
    });

    it("has limits of one stack, which hold for no other", () => {
        const own = text.replace("stacks: {}", "stacks: {prod: {maxReplicas: 50, regions: [fra1]}}");
        expect(parseLimits(own, "prod")).toEqual({
            ...parseLimits(text, "prod"),
            maxReplicas: 50,
            regions: ["fra1"],
        });
        expect(parseLimits(own, "dev")).toEqual(parseLimits(text, "dev"));
    });

    it("names all mistakes at once, with what was found and what is allowed", () => {
        const wrong = text
            .replace("maxReplicas: 20", "maxReplicas: lots")
            .replace("  sizes: any\n", "")
            .replace("advisory: []", "advisory: [no-such-rule]")
            .replace(
                "stacks: {}",
                "stacks: {prod: {maxReplica: 3, minReplicas: -1, advisory: []}, dev: 7}\nlimit: {}",
            );
        expect(() => parseLimits(wrong, "prod")).toThrowErrorMatchingInlineSnapshot(`
          [Error: policy/limits.yaml is wrong:
            'limit' should be limits or stacks
            'limits.maxReplicas' should be a whole number from 0 to 1000, got "lots"
            'limits.sizes' should be any, or a list of slugs such as [fra1], got nothing
            'limits.advisory' should be a list of rules, of max-replicas, min-replicas, max-shrink, max-monthly-cost, allowed-sizes, allowed-regions, no-ssh-from-everywhere, backends-closed, firewall-on-every-droplet, host-key-pinned, create-before-delete, got ["no-such-rule"]
            'stacks.prod.maxReplica' is no limit here; there are minReplicas, maxReplicas, maxShrinkPercent, maxMonthlyCostUsd, sizes, regions, sshFromAnywhere
            'stacks.prod.advisory' is no limit here; there are minReplicas, maxReplicas, maxShrinkPercent, maxMonthlyCostUsd, sizes, regions, sshFromAnywhere
            'stacks.prod.minReplicas' should be a whole number from 0 to 1000, got -1
            'stacks.dev' should hold limits, got 7]
        `);
    });

    it("says that it is no YAML, has no limits, or limits that nothing can keep", () => {
        expect(() => parseLimits("limits: [", "prod")).toThrow(/^policy\/limits\.yaml is no YAML: .*line 1/);
        expect(() => parseLimits("", "prod")).toThrow("should have `limits:`");
        const few = text.replace("stacks: {}", "stacks: {prod: {maxReplicas: 1}}");
        expect(() => parseLimits(few, "prod")).toThrow(/at least 2 servers .* at most 1 /);
        expect(parseLimits(few, "dev").maxReplicas).toBe(20);
    });
});
