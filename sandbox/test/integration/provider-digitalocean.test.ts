import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { loopbackMachines } from "../../api/loopback.ts";
import { createApi } from "../../api/server.ts";
import { openStore } from "../../api/store.ts";
import { instance } from "../../instance.ts";
import { secret, text, UNKNOWN, type Properties } from "../../offline-engine/providers/values.ts";
import {
    initFailure,
    startPlugin,
    type Existing,
    type Plugin,
    type PluginResource,
} from "./provider-harness.ts";

const stateDir = mkdtempSync(path.join(tmpdir(), "provider-"));
let slowMachines = false;
const api = createApi({
    instance: instance({ name: "test", index: 249, stateDir, kind: "loopback" }),
    store: openStore(stateDir),
    token: "dop_v1_test",
    budget: { perHour: 100_000, perMinute: 100_000, keyListsPerMinute: 1000 },
    machines: {
        ...loopbackMachines(),
        create: () =>
            slowMachines ? new Promise((resolve) => setTimeout(resolve, 4000)) : Promise.resolve(),
    },
});
let endpoint: string;
let plugin: Plugin;

beforeAll(async () => {
    await api.listen({ host: "127.0.0.1", port: 0 });
    endpoint = `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`;
    plugin = await startPlugin("digitalocean", {
        DIGITALOCEAN_API_URL: endpoint,
        DIGITALOCEAN_TOKEN: "dop_v1_test",
    });
});

afterAll(async () => {
    await plugin.stop();
    await api.close();
    rmSync(stateDir, { recursive: true });
});

const TYPES = {
    DnsRecord: "digitalocean:index/dnsRecord:DnsRecord",
    MonitorAlert: "digitalocean:index/monitorAlert:MonitorAlert",
    UptimeCheck: "digitalocean:index/uptimeCheck:UptimeCheck",
    UptimeAlert: "digitalocean:index/uptimeAlert:UptimeAlert",
    Droplet: "digitalocean:index/droplet:Droplet",
    Vpc: "digitalocean:index/vpc:Vpc",
    Firewall: "digitalocean:index/firewall:Firewall",
    SshKey: "digitalocean:index/sshKey:SshKey",
    Tag: "digitalocean:index/tag:Tag",
    ReservedIp: "digitalocean:index/reservedIp:ReservedIp",
    ReservedIpAssignment: "digitalocean:index/reservedIpAssignment:ReservedIpAssignment",
};
const droplet = (name: string) => plugin.resource(TYPES.Droplet, name);
const DROPLET = { image: "debian-12-x64", region: "fra1", size: "s-1vcpu-1gb" };
const userData = "#cloud-config\n";

async function make(resource: PluginResource, given: Properties): Promise<Existing> {
    const { inputs, failures } = await resource.check(given);
    expect(failures).toEqual({});
    return resource.create(inputs);
}

/** What `up` and `refresh` must find unchanged. */
async function expectSettled(resource: PluginResource, existing: Existing, given: Properties): Promise<void> {
    const { inputs } = await resource.check(given, existing.inputs);
    expect(inputs).toEqual(existing.inputs);
    expect(await resource.diff(existing, inputs)).toMatchObject({ kinds: {}, changed: false });
    expect(await resource.read(existing)).toEqual(existing);
}

const PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRvb2xpbmdrZXlmb3J0ZXN0c29ubHkxMjM0NTY3ODkw";

describe("every resource is made, found unchanged, and removed", () => {
    const cases: [type: keyof typeof TYPES, given: Properties, state: Properties][] = [
        [
            "Vpc",
            { region: "fra1", ipRange: "10.99.0.0/24", description: "d" },
            { region: "fra1", ipRange: "10.99.0.0/24", description: "d", default: false },
        ],
        ["SshKey", { publicKey: `${PUBLIC_KEY} someone\n` }, { publicKey: `${PUBLIC_KEY} someone` }],
        ["Tag", { name: "web:blue" }, { name: "web:blue", totalResourceCount: 0, dropletsCount: 0 }],
        ["ReservedIp", { region: "fra1" }, { region: "fra1" }],
        [
            "Firewall",
            {
                inboundRules: [
                    {
                        protocol: "tcp",
                        portRange: "22",
                        sourceAddresses: ["198.51.100.7/32", "192.0.2.0/24"],
                    },
                    { protocol: "icmp", sourceAddresses: ["0.0.0.0/0"] },
                ],
                outboundRules: [
                    { protocol: "udp", portRange: "all", destinationAddresses: ["0.0.0.0/0", "::/0"] },
                    { protocol: "tcp", portRange: "all", destinationTags: ["web"] },
                ],
                tags: ["web"],
            },
            { status: "succeeded", tags: ["web"], pendingChanges: [], dropletIds: null },
        ],
        [
            "Droplet",
            { ...DROPLET, userData, tags: ["web", "a"], monitoring: true },
            {
                ...DROPLET,
                status: "active",
                locked: false,
                memory: 1024,
                vcpus: 1,
                disk: 25,
                priceMonthly: 6,
                monitoring: true,
                resizeDisk: true,
                gracefulShutdown: false,
                userData: createHash("sha1").update(userData).digest("hex"),
            },
        ],
    ];

    test.each(cases)("%s", async (type, given, state) => {
        if (type === "Vpc") await make(plugin.resource(TYPES.Vpc, "default"), { region: "fra1" });
        if (type === "Firewall") await make(plugin.resource(TYPES.Tag, "web"), { name: "web" });
        const resource = plugin.resource(TYPES[type], "thing");
        const existing = await make(resource, given);
        expect(existing.state).toMatchObject(state);
        if (!("name" in given) && type !== "ReservedIp")
            expect(existing.state.name).toMatch(/^thing-[0-9a-f]{7}$/);
        await expectSettled(resource, existing, given);
        await resource.delete(existing);
        expect((await resource.read(existing)).id).toBe("");
        const again = resource.delete(existing);
        if (type !== "Droplet") await again;
        // In the official provider's words: it does not take a droplet that is gone for one that it has deleted.
        else
            await expect(again).rejects.toThrow(
                `Error waiting for droplet to be unlocked for destroy (${existing.id}): ` +
                    "unexpected state 'Not Found', wanted target 'false'",
            );
    });

    test("ReservedIpAssignment follows the droplet it names, and leaves the address alone when it has moved on", async () => {
        const address = await make(plugin.resource(TYPES.ReservedIp, "ip"), { region: "fra1" });
        const [first, second] = await Promise.all([make(droplet("a"), DROPLET), make(droplet("b"), DROPLET)]);
        const resource = plugin.resource(TYPES.ReservedIpAssignment, "assignment");
        const given = { ipAddress: address.id, dropletId: first.id };
        const existing = await make(resource, given);
        expect(existing.state).toMatchObject({ ipAddress: address.id, dropletId: Number(first.id) });
        await expectSettled(resource, existing, given);

        const { inputs } = await resource.check({ ...given, dropletId: Number(second.id) }, existing.inputs);
        expect(await resource.diff(existing, inputs)).toMatchObject({
            kinds: { dropletId: "UPDATE_REPLACE" },
            deleteBeforeReplace: false,
        });
        const moved = await resource.create(inputs);
        expect((await resource.read(existing)).id).toBe("");
        await resource.delete(existing);
        expect(await resource.read(moved)).toEqual(moved);
        await resource.delete(moved);
        expect((await resource.read(moved)).id).toBe("");

        const unknown = { id: `${first.id}-${address.id}`, inputs: {}, state: {} };
        await expect(resource.read(unknown)).rejects.toThrow("can't be imported");
        await plugin.resource(TYPES.ReservedIp, "ip").delete(address);
    });
});

test("a firewall rule without ports, or a droplet with what is not served, is refused before anything is made", async () => {
    const rule = { protocol: "tcp", sourceAddresses: ["0.0.0.0/0"] };
    const { failures } = await plugin.resource(TYPES.Firewall, "open").check({ inboundRules: [rule] });
    expect(failures.inboundRules).toContain("`portRange` of a rule is required");
    const wish = { ...DROPLET, backups: true, ipv6: true, gracefulShutdown: true, publicNetworking: false };
    expect(Object.keys((await droplet("web").check(wish)).failures).sort()).toEqual([
        "backups",
        "gracefulShutdown",
        "ipv6",
        "publicNetworking",
    ]);
});

describe("Droplet", () => {
    test("a preview knows the inputs and nothing that the service decides", async () => {
        const { inputs } = await droplet("web-0").check({
            ...DROPLET,
            vpcUuid: UNKNOWN,
            userData: secret(userData),
        });
        const { id, state } = await droplet("web-0").create(inputs, { preview: true });
        expect(id).toBe("");
        expect(state).toMatchObject({ ...DROPLET, backups: false, vpcUuid: UNKNOWN });
        expect(Object.keys(inputs)).not.toEqual(expect.arrayContaining(["backups"]));
        expect(inputs.__defaults).toEqual(["name", "resizeDisk"]);
        for (const name of [
            "ipv4Address",
            "ipv4AddressPrivate",
            "dropletUrn",
            "createdAt",
            "status",
            "priceHourly",
        ]) {
            expect(state[name], name).toBe(UNKNOWN);
        }
        expect(state.userData).toEqual(secret(createHash("sha1").update(userData).digest("hex")));
    });

    test("size, name and tags change in place, and a preview of that keeps the addresses known", async () => {
        const existing = await make(droplet("web-1"), { ...DROPLET, tags: ["one", "two"] });
        const wanted = { ...DROPLET, size: "s-1vcpu-2gb", name: "renamed", tags: ["two", "three"] };
        const { inputs } = await droplet("web-1").check(wanted, existing.inputs);
        expect(await droplet("web-1").diff(existing, inputs)).toEqual({
            kinds: { size: "UPDATE", name: "UPDATE", "tags[0]": "DELETE", "tags[1]": "ADD" },
            replaces: [],
            deleteBeforeReplace: false,
            changed: true,
        });
        const preview = await droplet("web-1").update(existing, inputs, { preview: true });
        expect(preview.state).toMatchObject({ ...wanted, ipv4Address: existing.state.ipv4Address });
        const updated = await droplet("web-1").update(existing, inputs);
        expect(updated.state).toMatchObject({
            name: "renamed",
            size: "s-1vcpu-2gb",
            memory: 2048,
            status: "active",
        });
        expect([...(updated.state.tags as string[])].sort()).toEqual(["three", "two"]);
        expect(updated.state.ipv4Address).toBe(existing.state.ipv4Address);
    });

    test("what changed behind Pulumi's back is in the refreshed inputs, user data stays", async () => {
        const existing = await make(droplet("web-2"), { ...DROPLET, userData: secret(userData) });
        const other = { ...existing.inputs, size: "s-1vcpu-2gb" };
        await droplet("web-2").update(existing, other);
        const refreshed = await droplet("web-2").read(existing);
        expect(refreshed.inputs).toEqual(other);
        expect(refreshed.state).toMatchObject({ size: "s-1vcpu-2gb", userData: existing.state.userData });
        const { inputs } = await droplet("web-2").check(existing.inputs, refreshed.inputs);
        expect((await droplet("web-2").diff(refreshed, inputs)).kinds).toEqual({ size: "UPDATE" });
    });

    test("an import has what the API tells", async () => {
        const existing = await make(droplet("web-3"), DROPLET);
        const imported = await droplet("web-3").read({ id: existing.id, inputs: {}, state: {} });
        expect(imported.inputs).toMatchObject({ ...DROPLET, name: existing.state.name, __defaults: [] });
    });

    test("one that does not get ready in time is kept in state, and says what it was waiting for", async () => {
        slowMachines = true;
        onTestFinished(() => {
            slowMachines = false;
        });
        const { inputs } = await droplet("slow").check({ ...DROPLET, userData: secret(userData) });
        const error: unknown = await droplet("slow")
            .create(inputs, { timeout: 1 })
            .catch((reason: unknown) => reason);
        const { id, state, reasons } = initFailure(error);
        expect(id).toMatch(/^\d+$/);
        expect(state).toMatchObject({ size: DROPLET.size });
        expect(JSON.stringify(state)).not.toContain("cloud-config");
        expect(reasons.join()).toBe(
            `Error waiting for droplet (${id}) to become ready: context deadline exceeded`,
        );
        await droplet("slow").delete({ id, inputs, state });
    });

    test("the service's refusal is the error", async () => {
        const { inputs } = await droplet("web").check({ ...DROPLET, size: "s-99vcpu-1gb" });
        await expect(droplet("web").create(inputs)).rejects.toThrow(
            /Error creating droplet: POST http.*\/v2\/droplets: 422 \(request ".+"\) /,
        );
    });
});

test("getSizes lists them all, and refuses filters", async () => {
    const token = "digitalocean:index/getSizes:getSizes";
    const { sizes } = await plugin.invoke(token, {});
    const found = sizes as { slug: string; regions: string[] }[];
    expect(found.length).toBeGreaterThan(20);
    const { regions, ...size } = found.find(({ slug }) => slug === "s-2vcpu-4gb") ?? {};
    expect(regions).toContain("fra1");
    expect(size).toEqual({
        slug: "s-2vcpu-4gb",
        available: true,
        transfer: 4,
        priceMonthly: 24,
        priceHourly: 0.03571,
        memory: 4096,
        vcpus: 2,
        disk: 80,
    });
    const filters = [{ key: "slug", values: ["s-2vcpu-4gb"] }];
    await expect(plugin.invoke(token, { filters })).rejects.toThrow("the list of sizes takes no filters");
});

test("getImage finds by slug or id, getImages lists them, and none is an error with the API's status", async () => {
    const token = "digitalocean:index/getImage:getImage";
    const found = await plugin.invoke(token, { slug: "debian-12-x64" });
    expect(found).toMatchObject({
        slug: "debian-12-x64",
        image: String(found.id as number),
        distribution: "Debian",
        private: false,
        minDiskSize: expect.any(Number) as number,
        status: "available",
    });
    expect(found.regions).toContain("fra1");
    expect(await plugin.invoke(token, { id: found.id as number })).toEqual(found);
    await expect(plugin.invoke(token, { slug: "debian-1" })).rejects.toThrow(
        /^.*image not found: GET http.*\/v2\/images\/debian-1: 404 \(request ".+"\) /,
    );
    await expect(plugin.invoke(token, { id: 404 })).rejects.toThrow(/image ID 404 not found: GET .*: 404 /);
    const { images } = await plugin.invoke("digitalocean:index/getImages:getImages", {});
    expect(images).toContainEqual(found);
});

test("getDroplets lists them with their slugs and tags, getAccount says how many there may be", async () => {
    const made = await make(droplet("listed"), { ...DROPLET, tags: ["listed"] });
    const { droplets } = await plugin.invoke("digitalocean:index/getDroplets:getDroplets", {});
    const { image, size, region } = DROPLET;
    expect(droplets).toContainEqual(
        expect.objectContaining({ id: Number(made.id), image, size, region, tags: ["listed"] }),
    );
    await droplet("listed").delete(made);
    expect(await plugin.invoke("digitalocean:index/getAccount:getAccount", {})).toMatchObject({
        dropletLimit: 25,
        status: "active",
    });
});

test("getTag finds by name, and none is an error with the API's status", async () => {
    const token = "digitalocean:index/getTag:getTag";
    const tag = plugin.resource(TYPES.Tag, "tag");
    const made = await make(tag, { name: "env:monitoring" });
    expect(await plugin.invoke(token, { name: "env:monitoring" })).toMatchObject({ name: "env:monitoring" });
    await tag.delete(made);
    await expect(plugin.invoke(token, { name: "nobody" })).rejects.toThrow(
        /Error retrieving tag: GET .*: 404 /,
    );
});

test("getReservedIp tells the droplet that it leads to, and none is an error with the API's status", async () => {
    const token = "digitalocean:index/getReservedIp:getReservedIp";
    const reserved = plugin.resource("digitalocean:index/reservedIp:ReservedIp", "ip");
    const made = await make(reserved, { region: "fra1" });
    const ipAddress = made.id;
    expect(await plugin.invoke(token, { ipAddress })).toMatchObject({
        ipAddress,
        dropletId: 0,
        region: "fra1",
    });
    await reserved.delete(made);
    await expect(plugin.invoke(token, { ipAddress })).rejects.toThrow(
        /Error retrieving reserved ip: GET .*: 404 /,
    );
});

describe("DNS records", () => {
    const where = "digitalocean:index/getRecords:getRecords";
    const domain = async (name: string) => {
        const headers = { authorization: "Bearer dop_v1_test", "content-type": "application/json" };
        const body = JSON.stringify({ name });
        const answer = await fetch(`${endpoint}/v2/domains`, { method: "POST", headers, body });
        expect(answer.status).toBe(201);
    };

    test("are made, changed in place, and deleted; another domain or type replaces", async () => {
        await domain("a.example");
        const resource = plugin.resource(TYPES.DnsRecord, "www");
        const given = { domain: "a.example", type: "A", name: "www", value: "192.0.2.1", ttl: 300 };
        const made = await make(resource, given);
        expect(made.state).toMatchObject({
            ...{ ...given, id: made.id, fqdn: "www.a.example" },
            ...{ priority: 0, port: 0, weight: 0, flags: 0, tag: "" },
        });
        await expectSettled(resource, made, given);
        const { inputs } = await resource.check({ ...given, value: "192.0.2.2" }, made.inputs);
        expect(await resource.diff(made, inputs)).toMatchObject({ kinds: { value: "UPDATE" }, replaces: [] });
        const changed = await resource.update(made, inputs);
        expect(changed.state).toMatchObject({ value: "192.0.2.2", ttl: 300 });
        const records = (await plugin.invoke(where, { domain: "a.example" })).records as Properties[];
        expect(records.filter(({ type }) => type === "A")).toEqual([
            expect.objectContaining({ id: Number(made.id), name: "www", value: "192.0.2.2", tag: "" }),
        ]);
        for (const other of [{ domain: "b.example" }, { type: "TXT" }]) {
            const next = (await resource.check({ ...given, ...other })).inputs;
            expect((await resource.diff(made, next)).replaces).toContain(Object.keys(other)[0]);
        }
        await resource.delete(changed);
        await resource.delete(changed);
    });

    test("at the apex and with names as values are settled; ttl is the service's if none is given", async () => {
        await domain("c.example");
        const records: Properties[] = [
            { type: "A", name: "@", value: "192.0.2.1" },
            { type: "CNAME", name: "alias", value: "www.example.net." },
            { type: "MX", name: "mail", value: "mail.example.net.", priority: 10 },
            { type: "CAA", name: "@", value: "letsencrypt.org.", flags: 0, tag: "issue" },
        ];
        for (const given of records) {
            const resource = plugin.resource(TYPES.DnsRecord, text(given.type));
            const full = { domain: "c.example", ...given };
            const made = await make(resource, full);
            expect(made.state).toMatchObject({ ...given, ttl: 1800 });
            expect(made.state.fqdn).toBe(given.name === "@" ? "c.example" : `${text(given.name)}.c.example`);
            await expectSettled(resource, made, full);
        }
        expect(
            await plugin.invoke("digitalocean:index/getDomain:getDomain", { name: "c.example" }),
        ).toMatchObject({
            ...{ id: "c.example", domainUrn: "do:domain:c.example", ttl: 1800 },
            zoneFile: expect.stringContaining("c.example. 1800 IN A 192.0.2.1") as string,
        });
    });

    test("that are wrong are refused before or by the service; a missing domain is named", async () => {
        const resource = plugin.resource(TYPES.DnsRecord, "www");
        const given = { domain: "d.example", type: "A", name: "www", value: "192.0.2.1" };
        const { failures } = await resource.check({ ...given, type: "PTR", ttl: 0, flags: 256, tag: "x" });
        expect(Object.keys(failures).sort()).toEqual(["flags", "tag", "ttl", "type"]);
        await expect(make(resource, given)).rejects.toThrow(/Error creating record: POST .*: 404 /);
        const getDomain = "digitalocean:index/getDomain:getDomain";
        await expect(plugin.invoke(getDomain, { name: "d.example" })).rejects.toThrow(
            /domain not found: GET .*: 404 /,
        );
    });

    test("that somebody deleted are found gone", async () => {
        await domain("e.example");
        const resource = plugin.resource(TYPES.DnsRecord, "www");
        const made = await make(resource, {
            domain: "e.example",
            type: "A",
            name: "www",
            value: "192.0.2.1",
        });
        await resource.delete(made);
        expect((await resource.read(made)).id).toBe("");
    });
});

describe("alerts", () => {
    const email = "test@sandbox.invalid";
    const url = "https://hooks.slack.com/services/T0/B0/secret";
    const policy = {
        ...{ type: "v1/insights/droplet/cpu", compare: "GreaterThan", value: 85, window: "5m" },
        ...{ description: "CPU", tags: ["web"] },
    };
    const check = {
        ...{ name: "site", target: "http://192.0.2.1", type: "http" },
        regions: ["us_west", "eu_west"],
    };
    const expiry = {
        ...{ name: "certificate", type: "ssl_expiry", threshold: 14, comparison: "less_than" },
        period: "2m",
    };
    /** As an engine knows a state that it has read: what is in a secret there is plain in none of it. */
    const withoutSecrets = ({ state, inputs }: Existing) => JSON.stringify([state, inputs]);

    test("of machines keep an address in plain and Slack's URL as a secret; by default they are on", async () => {
        const resource = plugin.resource(TYPES.MonitorAlert, "cpu");
        const alerts = { emails: [email], slacks: [{ channel: "#ops", url: secret(url) }] };
        const given = { ...policy, alerts };
        const made = await make(resource, given);
        expect(made.state).toMatchObject({
            ...{ ...policy, enabled: true, entities: null, uuid: made.id },
            alerts: { emails: [email], slacks: secret([{ channel: "#ops", url }]) },
        });
        // As the bridge keeps what is one in Pulumi and a list in Terraform.
        expect(made.state.__pulumi_raw_state_delta).toMatchObject({
            obj: {
                ps: { alerts: { plu: { i: { obj: { renamed: { emails: "email", slacks: "slack" } } } } } },
            },
        });
        await expectSettled(resource, made, given);
        const next = {
            ...given,
            value: 90,
            alerts: { emails: [email], slacks: [{ channel: "#a", url: secret(url) }] },
        };
        const { inputs } = await resource.check(next, made.inputs);
        // No path into what holds a secret.
        expect(await resource.diff(made, inputs)).toMatchObject({
            ...{ kinds: { alerts: "UPDATE", value: "UPDATE" }, replaces: [] },
        });
        const changed = await resource.update(made, inputs);
        expect(changed.state).toMatchObject({ value: 90, uuid: made.id });
        await expectSettled(resource, changed, next);
        await resource.delete(changed);
    });

    test("without Slack have no secret, and settle", async () => {
        const resource = plugin.resource(TYPES.MonitorAlert, "memory");
        const given = { ...policy, alerts: { emails: [email] } };
        const made = await make(resource, given);
        expect(made.state.alerts).toEqual({ emails: [email], slacks: [] });
        await expectSettled(resource, made, given);
    });

    test("are found changed and gone; what is gone can't be deleted, as with the official provider", async () => {
        const headers = { authorization: "Bearer dop_v1_test", "content-type": "application/json" };
        const resource = plugin.resource(TYPES.MonitorAlert, "disk");
        const made = await make(resource, {
            ...policy,
            alerts: { slacks: [{ channel: "#ops", url: secret(url) }] },
        });
        const where = `${endpoint}/v2/monitoring/alerts/${made.id}`;
        const { policy: seen } = (await (await fetch(where, { headers })).json()) as { policy: object };
        const body = JSON.stringify({ ...seen, value: 99, enabled: false });
        expect((await fetch(where, { method: "PUT", headers, body })).status).toBe(200);
        const found = await resource.read(made);
        expect(found).toMatchObject({ state: { value: 99, enabled: false }, inputs: { value: 99 } });
        expect(found.state.alerts).toMatchObject({ slacks: secret([{ channel: "#ops", url }]) });
        expect(withoutSecrets(found).split(url)).toHaveLength(3);
        await resource.delete(made);
        expect((await resource.read(made)).id).toBe("");
        await expect(resource.delete(made)).rejects.toThrow(/Error deleting monitor alert: DELETE .*: 404 /);
    });

    test("of a site hang on its check, and go with it", async () => {
        const site = plugin.resource(TYPES.UptimeCheck, "site");
        const made = await make(site, check);
        expect(made.state).toMatchObject({
            ...check,
            id: made.id,
            enabled: true,
            regions: ["eu_west", "us_west"],
        });
        await expectSettled(site, made, check);
        const resource = plugin.resource(TYPES.UptimeAlert, "certificate");
        const notifications = [{ emails: [email], slacks: [{ channel: "#ops", url: secret(url) }] }];
        const given = { ...expiry, checkId: made.id, notifications };
        const alert = await make(resource, given);
        expect(alert.state).toMatchObject({ ...expiry, checkId: made.id });
        expect(alert.state.notifications).toEqual(
            secret([{ emails: [email], slacks: [{ channel: "#ops", url }] }]),
        );
        await expectSettled(resource, alert, given);
        const { inputs } = await resource.check({ ...given, threshold: 7 }, alert.inputs);
        expect(await resource.diff(alert, inputs)).toMatchObject({
            kinds: { threshold: "UPDATE" },
            replaces: [],
        });
        expect((await resource.update(alert, inputs)).state.threshold).toBe(7);

        const https = await site.check({ ...check, target: "https://a.example", type: "https" }, made.inputs);
        const moved = await site.update(made, https.inputs);
        expect(moved.state).toMatchObject({ target: "https://a.example", type: "https" });
        await site.delete(moved);
        expect((await resource.read(alert)).id).toBe("");
        await expect(resource.delete(alert)).rejects.toThrow(/Error deleting uptime alerts: DELETE .*: 404 /);
        await expect(site.delete(moved)).rejects.toThrow(/Error deleting uptime checks: DELETE .*: 404 /);
    });

    test("that are wrong are refused, before or by the service, without Slack's URL", async () => {
        const resource = plugin.resource(TYPES.MonitorAlert, "cpu");
        const wrong = { type: "cpu", compare: ">", value: -1, window: "2m" };
        const slacks = [{ channel: "", url: secret(url) }];
        const { failures } = await resource.check({ ...policy, ...wrong, alerts: { slacks } });
        expect(Object.keys(failures).sort()).toEqual(["alerts", "compare", "type", "value", "window"]);
        expect(JSON.stringify(failures)).not.toContain("hooks.slack");
        const strange = { ...policy, alerts: { emails: ["bob@example.com"] } };
        await expect(make(resource, strange)).rejects.toThrow(
            /Error creating Alert Policy: POST .*: 422 .*invalid email 'bob@example.com'/,
        );
    });
});

test("getVpc finds by id, and a region's default", async () => {
    const token = "digitalocean:index/getVpc:getVpc";
    await expect(plugin.invoke(token, { region: "nyc3" })).rejects.toThrow(
        "Error retrieving VPC: unable to find default VPC in nyc3 region",
    );
    const { id, state } = await make(plugin.resource(TYPES.Vpc, "net"), { region: "nyc3" });
    // As the API tells it, without what is the state's alone.
    for (const key of ["__meta", "__pulumi_raw_state_delta"]) Reflect.deleteProperty(state, key);
    for (const args of [{ region: "nyc3" }, { id }] as Properties[]) {
        expect(await plugin.invoke(token, args)).toEqual({ ...state, id });
    }
    await expect(plugin.invoke(token, { name: "net" })).rejects.toThrow("getVpc finds a VPC by its id, or");
});

describe("without a service", () => {
    const getSizes = async (env: Record<string, string>): Promise<{ error: Error; seconds: number }> => {
        const other = await startPlugin("digitalocean", env);
        onTestFinished(() => other.stop());
        const started = Date.now();
        const error: unknown = await other
            .invoke("digitalocean:index/getSizes:getSizes", {})
            .catch((e: unknown) => e);
        return { error: error as Error, seconds: (Date.now() - started) / 1000 };
    };

    test("a sandbox that does not run is named within seconds", async () => {
        const listener = createServer().listen(0, "127.0.0.1");
        await once(listener, "listening");
        const { port } = listener.address() as AddressInfo;
        await new Promise((resolve) => listener.close(resolve));
        const { error, seconds } = await getSizes({
            DIGITALOCEAN_API_URL: `http://127.0.0.1:${port}`,
            DIGITALOCEAN_TOKEN: "t",
        });
        expect(error.message).toContain(`http://127.0.0.1:${port}/v2/sizes`);
        expect(error.message).toMatch(
            /: Get "http:\S+": dial tcp 127\.0\.0\.1:\d+: connect: connection refused/,
        );
        expect(error.message).toContain("; giving up after 5 attempt(s)");
        expect(seconds).toBeLessThan(8);
    });

    test.each([
        ["no token", {}],
        ["a refused token", { DIGITALOCEAN_TOKEN: "wrong" }],
    ])("%s", async (_what, env) => {
        const { error } = await getSizes({ DIGITALOCEAN_API_URL: endpoint, ...env });
        expect(error.message).toContain(": 401 ");
        expect(error.message).toContain("Unable to authenticate you");
    });
});

test("a resource that is not served is named, with those that are", async () => {
    const volume = plugin.resource("digitalocean:index/volume:Volume", "data");
    await expect(volume.check({})).rejects.toThrow(
        /does not serve the resource digitalocean:index\/volume:Volume.*droplet:Droplet/,
    );
});

test("the plugin ends within seconds when the engine is gone", async () => {
    const other = await startPlugin("digitalocean");
    const exited = once(other.process, "exit", { signal: AbortSignal.timeout(5000) });
    other.process.stdin?.destroy();
    await exited;
    await other.stop();
});
