import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { unavailable } from "../../account/availability";
import { parseSettings } from "../../config/settings";
import { factsOf } from "../../policy/facts";
import { checkRules, type Limits } from "../../policy/rules";
import type { Firewall } from "../../tools/live/account";
import { leftOf, partOf } from "../../tools/live/left";
import { findOrphans } from "../../tools/live/orphans";
import { carriesTagOf, doubtDroplet, doubtFirewall } from "../../tools/live/ownership";
import { pair } from "../../tools/live/pool";
import { buildPlan } from "../../tools/plan/build";
import { planAsText } from "../../tools/plan/text";
import { statusRows } from "../../tools/status/status";
import { readUserData } from "../../userdata/files";
import { emptyInventory, emptyState, haproxyOf, leftover, listed, stateDroplet } from "../live-fixtures";
import { debian, runProgram, sizes } from "../mocks";
import { deployed, resource, sources, step } from "../plan-fixtures";
import { stackConfig } from "../stack-config";
import pc from "picocolors";

const config = { adminHost: true, adminCidrs: ["198.51.100.7/32"] };
const droplet = "digitalocean:index/droplet:Droplet";
const ssh = { protocol: "tcp", portRange: "22", sourceAddresses: ["198.51.100.7/32"] };

describe.each([
    ["up", false],
    ["preview", true],
])("the admin host in %s", (_mode, preview) => {
    it("is one droplet, with its tag and firewall, beside what there is without it", async () => {
        const of = async (adminHost: boolean) => {
            const { registrations } = await runProgram({ preview, config: { ...config, adminHost } });
            return new Map(registrations.map((one) => [`${one.type} ${one.name}`, one]));
        };
        const [without, all] = [await of(false), await of(true)];
        expect([...all.keys()].filter((key) => !without.has(key)).sort()).toEqual([
            "digitalocean:index/droplet:Droplet admin-host",
            "digitalocean:index/firewall:Firewall network-admin-host",
            "digitalocean:index/tag:Tag network-admin-host",
            "dropscale:index:AdminHost admin-host",
        ]);
        // Servers and load balancer are as before: nothing is replaced for it.
        for (const [key, { inputs }] of without)
            if (key.startsWith(droplet) && !preview) expect(all.get(key)?.inputs, key).toEqual(inputs);
        const network = "dropscale:index:Network network";
        expect(without.get(network)?.inputs).not.toHaveProperty("adminHost");
        expect(all.get(network)?.inputs).toMatchObject({ adminHost: true });
    });

    it("is open for SSH from adminCidrs alone, and may reach SSH on the load balancer", async () => {
        const { find } = await runProgram({ preview, config, stack: "prod" });
        expect(find("Firewall", "network-admin-host").inputs).toMatchObject({
            name: "dropscale-prod-admin-host",
            tags: ["dropscale-prod-admin-host"],
            inboundRules: [ssh],
        });
        const rules = find("Firewall", "network-load-balancer").inputs.inboundRules as object[];
        expect(rules.slice(1)).toEqual([{ ...ssh, sourceTags: ["dropscale-prod-admin-host"] }]);
        expect(JSON.stringify(find("Firewall", "network-backend").inputs)).not.toContain("admin");
    });

    it("waits for its firewall, is in the VPC, has a key, and no secret", async () => {
        const { find, secrets } = await runProgram({ preview, config });
        const { inputs, dependsOn, options } = find(droplet, "admin-host");
        expect(dependsOn).toContain("network-admin-host");
        expect(inputs).toMatchObject({ image: "debian-13-x64", size: "s-1vcpu-1gb" });
        expect(inputs.userData).toBe(readUserData("admin-host"));
        if (!preview) expect(inputs).toMatchObject({ vpcUuid: "network-id", sshKeys: ["keys-id"] });
        // Who has put secrets on it keeps it, whatever the next one would be made of.
        expect(options).toMatchObject({ ignoreChanges: ["image", "userData"], replaceOnChanges: ["size"] });
        expect(secrets).toEqual(["deployKey"]);
    });

    it("is paid for, and its address is an output", async () => {
        const { outputs } = await runProgram({
            preview,
            config: { ...config, adminHostSize: "s-1vcpu-2gb" },
        });
        expect(outputs.monthlyCost).toBe(36.5);
        expect("adminHostIp" in outputs).toBe(true);
        expect("adminHostIp" in (await runProgram({ preview })).outputs).toBe(false);
    });
});

describe("an admin host's config", () => {
    it("is refused with a size or image that there is not, or beyond the droplet limit; only where one is asked for", () => {
        const problems = (changes: Record<string, unknown>, dropletLimit = 25) => {
            const { settings } = parseSettings(stackConfig(changes), "dev");
            const images = new Map([["debian-12-x64", debian]]);
            return unavailable(settings, { sizes, images, allImages: [debian], droplets: [], dropletLimit })
                .problems;
        };
        const wrong = { adminHostSize: "g-9vcpu", adminHostImage: "debian-21-x64" };
        expect(problems(wrong)).toEqual([]);
        expect(problems({ ...wrong, adminHost: true })).toEqual([
            expect.stringMatching(/^'adminHostSize' g-9vcpu is not available in fra1; closest: /),
            expect.stringMatching(/^'adminHostImage' debian-21-x64 is not available in fra1; closest: /),
        ]);
        const fits = { adminHost: true, adminHostImage: "debian-12-x64" };
        expect(problems(fits, 5)).toEqual([]);
        expect(problems(fits, 4).join()).toContain("needs 5 more droplet(s), 1 too many");
    });

    it("does not name its user data as a server's", () => {
        const { problems } = parseSettings(stackConfig({ userdata: "admin-host" }), "dev");
        expect(problems.join()).toContain("'userdata' should be the name of a file in userdata/");
    });

    it("sets it up without a password, and patches it", () => {
        const cloudConfig = parse(readUserData("admin-host")) as { packages: string[]; runcmd: string[] };
        expect(cloudConfig.packages).toEqual(
            expect.arrayContaining(["git", "nodejs", "openssh-client", "unattended-upgrades"]),
        );
        expect(cloudConfig.runcmd).toContain("passwd --lock root");
    });
});

const prefix = "dropscale-prod";
const tag = `${prefix}-admin-host`;
const created = { created_at: "2026-01-02T03:04:05Z" };
const seen = { ...listed(7, "10.0.0.7", "admin-host-0123abc"), tags: [tag] };
const anywhere = { addresses: ["0.0.0.0/0", "::/0"] };
const firewall = (name: string, rules: NonNullable<Firewall["inbound_rules"]>): Firewall => ({
    ...{ id: `fw-${name}`, name, tags: [name], droplet_ids: [], ...created },
    inbound_rules: rules,
    outbound_rules: [
        { protocol: "icmp", ports: "", destinations: anywhere },
        ...["tcp", "udp"].map((protocol) => ({ protocol, ports: "0", destinations: anywhere })),
    ],
});
const ssh22 = (sources: object) => ({ protocol: "tcp", ports: "22", sources: sources as typeof anywhere });

describe("an admin host in the account", () => {
    it("is the stack's by its tag and name", () => {
        expect(carriesTagOf(prefix, seen)).toBe(true);
        expect(doubtDroplet(prefix, seen)).toBeUndefined();
        expect(doubtDroplet(prefix, { ...seen, name: "web-0-0123abc" })).toContain("its name is none");
        expect(doubtDroplet(prefix, { ...seen, tags: [`${prefix}-backend`] })).toContain("its name is none");
    });

    it("has a firewall of ours, and so has the load balancer that lets it in: no other tag", () => {
        const own = (sources: object, more = ssh22) => doubtFirewall(prefix, firewall(tag, [more(sources)]));
        expect(own({ addresses: ["198.51.100.7/32"] })).toBeUndefined();
        expect(own({ tags: [`${prefix}-backend`] })).toBeDefined();
        expect(
            own({ addresses: ["198.51.100.7/32"] }, (sources) => ({ ...ssh22(sources), ports: "80" })),
        ).toBeDefined();
        const front = (admitted: string) =>
            doubtFirewall(
                prefix,
                firewall(`${prefix}-load-balancer`, [
                    { protocol: "tcp", ports: "80", sources: anywhere },
                    ssh22({ addresses: ["198.51.100.7/32"], tags: [admitted] }),
                ]),
            );
        expect(front(tag)).toBeUndefined();
        expect(front(`${prefix}-backend`)).toBeDefined();
    });

    it("is kept with its firewall where the state does not know it, and goes where it was never finished or is given up", () => {
        const verdicts = (more: object = {}) =>
            findOrphans({
                ...{
                    prefix,
                    vpcId: "",
                    known: new Set(),
                    loadBalancerIds: new Set(),
                    neverServed: new Set(),
                },
                ...{ answers: new Map(), giveUp: false, noRunLives: true },
                inventory: {
                    ...emptyInventory,
                    droplets: [seen],
                    firewalls: [firewall(tag, [ssh22({ addresses: ["198.51.100.7/32"] })])],
                },
                ...more,
            }).map(({ kind, verdict, why }) => `${kind} ${verdict}: ${why}`);
        expect(verdicts()).toEqual([
            "droplet keep: may be in use: it is an admin host",
            "firewall keep: needed by a droplet that stays",
        ]);
        const deleted = [expect.stringMatching(/^droplet delete/), expect.stringMatching(/^firewall delete/)];
        expect(verdicts({ giveUp: true })).toEqual(deleted);
        expect(verdicts({ neverServed: new Set([seen.name]) })).toEqual(deleted);
    });
});

describe("an admin host in the pool", () => {
    const state = {
        ...emptyState,
        resources: [stateDroplet("web-0", "1", "10.0.0.1"), stateDroplet("admin-host", "7", "10.0.0.7")],
    };
    const haproxy = haproxyOf(["10.0.0.1"]);
    const serving = new Set(["10.0.0.1", "198.0.0.1"]);
    const account = [listed(1, "10.0.0.1"), seen];
    const droplets = pair(state, account, serving, haproxy.servers);

    it("is healthy, though no request comes to it; and not where it is off", () => {
        const row = (of: typeof account) =>
            statusRows({ haproxy, droplets: pair(state, of, serving, haproxy.servers) })[1];
        expect(row(account)).toEqual({
            healthy: true,
            cells: ["admin-host", "7", "10.0.0.7", "s-1vcpu-1gb", "active", "admin host", "-", "-", "-", "-"],
        });
        expect(row([listed(1, "10.0.0.1"), { ...seen, status: "off" }])?.healthy).toBe(false);
    });

    it("is nothing that a failed run left, so that no doctor deletes it; but one with a successor is", () => {
        expect(leftOf({ haproxy, droplets })).toEqual({ serving: [], waiting: [], idle: [] });
        const blind = pair(state, account, new Error("HAProxy does not answer"));
        expect(leftOf({ haproxy: new Error("no"), droplets: blind }).serving).toEqual([]);
        const old = { ...state, leftovers: [leftover("admin-host", "6", "10.0.0.6")] };
        const two = pair(old, [...account, listed(6, "10.0.0.6")], serving, haproxy.servers);
        expect(leftOf({ haproxy, droplets: two }).idle.map(({ id }) => id)).toEqual(["6"]);
        expect(two.map(partOf)).toEqual(["serves", "serves nobody, pending delete", "admin host"]);
    });
});

const inputs = { name: "admin-host-0123abc", size: "s-1vcpu-1gb", region: "fra1", tags: [tag] };
const host = {
    ...resource(droplet, "admin-host", inputs),
    urn: `urn:pulumi:prod::dropscale::dropscale:index:AdminHost$${droplet}::admin-host`,
};
const component = resource("dropscale:index:AdminHost", "admin-host", { size: "s-1vcpu-1gb" });
const guard = resource("digitalocean:index/firewall:Firewall", "network-admin-host", {
    tags: [tag],
    inboundRules: [ssh],
});

describe("the plan of an admin host", () => {
    const plan = (op: "create" | "delete") => {
        const state =
            op === "create"
                ? deployed
                : { ...deployed, resources: [...deployed.resources, host, component, guard] };
        return buildPlan(
            sources(
                [host, component, guard].map((one) => step(op, one)),
                {},
                { state },
            ),
        );
    };

    it("shows it with its price, loses no request, and is no server", () => {
        const made = plan("create");
        expect(made.refusals).toEqual([]);
        expect(made).toMatchObject({
            servers: { before: 3, after: 3 },
            monthlyCost: { before: 24, after: 30 },
            droplets: { before: 4, after: 5 },
            lostRequests: { which: "none" },
        });
        const text = planAsText(made, pc.createColors(false));
        expect(text).toMatch(/^ {2}\+ admin-host +admin host/m);
    });

    it("lets it go where the config no longer wants it", () => {
        const gone = plan("delete");
        expect(gone.refusals).toEqual([]);
        expect(gone).toMatchObject({
            monthlyCost: { before: 30, after: 24 },
            lostRequests: { which: "none" },
        });
    });

    it("is judged by the policy as no server: SSH from everywhere does not open the servers", () => {
        const limits = { ...{ sshFromAnywhere: "if-configured", advisory: [] } } as unknown as Limits;
        const open = {
            ...guard,
            inputs: { ...guard.inputs, inboundRules: [{ ...ssh, sourceAddresses: ["0.0.0.0/0"] }] },
        };
        const facts = factsOf([host, open].map(({ urn, inputs: properties = {} }) => ({ urn, properties })));
        const broken = (sshFromAnywhere: boolean) =>
            checkRules({ ...facts, sshFromAnywhere }, limits, [
                ...(["backends-closed", "no-ssh-from-everywhere", "firewall-on-every-droplet"] as const),
            ]).violations.map(({ rule }) => rule);
        expect(broken(true)).toEqual([]);
        expect(broken(false)).toEqual(["no-ssh-from-everywhere"]);
    });
});
