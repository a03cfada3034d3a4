import { describe, expect, it } from "vitest";

import type { Cloud } from "../../model.ts";
import { activeDroplet, deferred, refusal, startApi, type TestApi, until, text } from "./api-harness.ts";

const rule = { protocol: "tcp", ports: "22", sources: { addresses: ["198.19.250.1"] } };

/** Machines that remember what the network was last told. */
function network() {
    const seen: { cloud?: Cloud } = {};
    const sync = (cloud: Cloud) => {
        seen.cloud = structuredClone(cloud);
        return Promise.resolve();
    };
    return { seen, machines: { sync } };
}

describe("VPCs", () => {
    const make = (api: TestApi, body: object) => api.request("POST", "/vpcs", { region: "fra1", ...body });

    it("get the next free /20 that overlaps none; the first of a region is its default", async () => {
        const api = await startApi();
        const one = (await api.client.vpc.createVpc({ name: "one", region: "fra1" })).data.vpc;
        expect(one).toMatchObject({ ip_range: "10.114.0.0/20", default: true, urn: `do:vpc:${one.id}` });
        const wide = (await make(api, { name: "wide", ip_range: "10.114.16.0/20" })).body.vpc;
        expect(wide.default).toBe(false);
        expect((await make(api, { name: "third" })).body.vpc.ip_range).toBe("10.114.32.0/20");
        expect((await make(api, { name: "other", region: "nyc3" })).body.vpc.default).toBe(true);
        expect((await api.client.vpc.listVpcs({})).data.vpcs).toHaveLength(4);
        expect((await make(api, { name: "x" })).status).toBe(201);
    });

    it.each([
        ["a name in use", { name: "one" }, "a VPC with the same name already exists in your account"],
        ["a bad name", { name: "a b" }, "name may only contain alphanumeric characters, dashes, and periods"],
        ["an unknown region", { name: "v", region: "muc1" }, '"muc1" is not a valid region'],
        [
            "an overlap",
            { name: "v", ip_range: "10.114.0.0/16" },
            "This range/size overlaps with another VPC network in your account: one 10.114.0.0/20.",
        ],
        [
            "a public range",
            { name: "v", ip_range: "203.0.113.0/24" },
            "ip_range 203.0.113.0/24 is not in the range of private addresses of RFC 1918",
        ],
        [
            "a range too small",
            { name: "v", ip_range: "10.0.0.0/29" },
            'ip_range "10.0.0.0/29" is not a network from /28 to /16',
        ],
        [
            "a range with host bits",
            { name: "v", ip_range: "10.0.0.1/24" },
            'ip_range "10.0.0.1/24" is not a network from /28 to /16',
        ],
        [
            "the anchors' range",
            { name: "v", ip_range: "10.17.4.0/24" },
            "ip_range 10.17.4.0/24 overlaps with a range reserved for DigitalOcean's own use",
        ],
    ])("refuse %s", async (_what, body, message) => {
        const api = await startApi();
        await make(api, { name: "one" });
        expect(await make(api, body)).toMatchObject({
            status: 422,
            body: { id: "unprocessable_entity", message },
        });
    });

    it("refuse to go while they are a default (403) or have members (409)", async () => {
        const gone = deferred();
        const api = await startApi({ machines: { destroy: () => gone.promise } });
        const first = (await make(api, { name: "one" })).body.vpc;
        const second = (await make(api, { name: "two" })).body.vpc;
        expect(await refusal(api.client.vpc.deleteVpc({ vpc_id: first.id }))).toEqual({
            status: 403,
            id: "forbidden",
            message: "Can not delete default VPCs",
        });
        const droplet = await activeDroplet(api, { vpc_uuid: second.id });
        expect(droplet.networks.v4[1]?.ip_address).toBe("10.114.16.2");
        const { body } = await api.request("GET", `/vpcs/${second.id}/members`);
        expect(body.members).toMatchObject([{ urn: `do:droplet:${droplet.id}`, name: "web-1" }]);
        await api.request("DELETE", `/droplets/${droplet.id}`);
        const refused = { status: 409, id: "conflict", message: "Can not delete VPC with members" };
        expect(await refusal(api.client.vpc.deleteVpc({ vpc_id: second.id }))).toEqual(refused);
        gone.resolve();
        await until(
            () => api.request("DELETE", `/vpcs/${second.id}`),
            ({ status }) => status === 204,
        );
        expect((await api.request("GET", `/vpcs/${second.id}`)).status).toBe(404);
    });

    it("change name, description and default", async () => {
        const api = await startApi();
        const first = (await make(api, { name: "one" })).body.vpc;
        const second = (await make(api, { name: "two" })).body.vpc;
        await api.request("PUT", `/vpcs/${second.id}`, { name: "three", description: "d", default: true });
        expect((await api.request("GET", `/vpcs/${second.id}`)).body.vpc).toMatchObject({
            name: "three",
            description: "d",
            default: true,
        });
        expect((await api.request("GET", `/vpcs/${first.id}`)).body.vpc.default).toBe(false);
        expect((await api.request("PUT", `/vpcs/${first.id}`, { name: "three" })).status).toBe(422);
        expect((await api.request("PUT", `/vpcs/${first.id}`, { description: "d" })).status).toBe(422);
        expect((await api.request("DELETE", `/vpcs/${first.id}`)).status).toBe(204);
    });

    it("appear by themselves for a droplet that names none, and refuse one of another region", async () => {
        const api = await startApi();
        const droplet = await activeDroplet(api);
        const { vpcs } = (await api.request("GET", "/vpcs")).body;
        expect(vpcs).toMatchObject([{ id: droplet.vpc_uuid, name: "default-fra1", default: true }]);
        const wrong = {
            name: "w",
            size: "s-1vcpu-1gb",
            image: "debian-12-x64",
            region: "nyc3",
            vpc_uuid: droplet.vpc_uuid,
        };
        expect(await api.request("POST", "/droplets", wrong)).toMatchObject({
            status: 422,
            body: { message: "The VPC default-fra1 is in fra1, not in nyc3." },
        });
    });
});

describe("firewalls", () => {
    it("are stored as the real service stores them, and hold before the answer is sent", async () => {
        const { seen, machines } = network();
        const api = await startApi({ machines });
        await api.client.tag.createTag({ name: "web" });
        const { status, body } = await api.request("POST", "/firewalls", {
            name: "fw",
            tags: ["web"],
            droplet_ids: null,
            inbound_rules: [
                { protocol: "TCP", ports: 80, sources: { addresses: ["0.0.0.0/0", "::/0"], tags: ["web"] } },
                { protocol: "icmp", sources: { addresses: ["10.0.0.0/8"] } },
            ],
            outbound_rules: [{ protocol: "udp", ports: "all", destinations: { addresses: ["0.0.0.0/0"] } }],
        });
        expect(status).toBe(202);
        expect(body.firewall).toMatchObject({
            status: "succeeded",
            pending_changes: [],
            tags: ["web"],
            droplet_ids: [],
            inbound_rules: [
                {
                    protocol: "tcp",
                    ports: "80",
                    sources: { addresses: ["0.0.0.0/0", "::/0"], tags: ["web"] },
                },
                { protocol: "icmp", ports: "0", sources: { addresses: ["10.0.0.0/8"] } },
            ],
            outbound_rules: [{ protocol: "udp", ports: "0", destinations: { addresses: ["0.0.0.0/0"] } }],
        });
        expect(seen.cloud?.firewalls).toMatchObject([{ name: "fw", outbound: [{ ports: "all" }] }]);
        const { data } = await api.client.firewall.getFirewall({ firewall_id: body.firewall.id });
        expect(data.firewall).toEqual(body.firewall);
    });

    it("are replaced as a whole by PUT, and deleted once", async () => {
        const { seen, machines } = network();
        const api = await startApi({ machines });
        await api.client.tag.createTag({ name: "web" });
        const made = await api.request("POST", "/firewalls", {
            name: "fw",
            tags: ["web"],
            inbound_rules: [rule],
        });
        const { id } = made.body.firewall;
        const put = await api.request("PUT", `/firewalls/${id}`, {
            name: "fw2",
            inbound_rules: [{ ...rule, ports: "8000-9000" }],
        });
        expect(put).toMatchObject({
            status: 200,
            body: { firewall: { id, name: "fw2", tags: [], inbound_rules: [{ ports: "8000-9000" }] } },
        });
        expect(seen.cloud?.firewalls[0]?.tags).toEqual([]);
        expect((await api.client.firewall.deleteFirewall({ firewall_id: id })).status).toBe(204);
        expect(seen.cloud?.firewalls).toEqual([]);
        expect((await api.request("DELETE", `/firewalls/${id}`)).status).toBe(404);
    });

    it.each([
        ["a name in use", { name: "taken" }, 409, "duplicate name"],
        ["a bad name", { name: "-x" }, 422, text("alphanumeric")],
        ["no rule", { inbound_rules: [] }, 422, "must have at least one rule"],
        ["an unknown tag", { tags: ["nope"] }, 422, "tag nope does not exist"],
        [
            "an unknown tag in a rule",
            { inbound_rules: [{ ...rule, sources: { tags: ["nope"] } }] },
            422,
            "tag nope does not exist",
        ],
        ["an unknown droplet", { droplet_ids: [1] }, 422, "droplet does not exist"],
        [
            "an unknown droplet in a rule",
            { inbound_rules: [{ ...rule, sources: { droplet_ids: [1] } }] },
            422,
            "droplet does not exist",
        ],
        [
            "a load balancer",
            { inbound_rules: [{ ...rule, sources: { load_balancer_uids: ["x"] } }] },
            422,
            "load balancer does not exist",
        ],
        [
            "a protocol",
            { inbound_rules: [{ ...rule, protocol: "vrrp" }] },
            422,
            'protocol "vrrp" is not one of tcp, udp and icmp',
        ],
        [
            "a port",
            { inbound_rules: [{ ...rule, ports: "http" }] },
            422,
            'ports "http" is not a port, a range (8000-9000) or "all"',
        ],
        ["a port too high", { inbound_rules: [{ ...rule, ports: "65536" }] }, 422, text("65536")],
        ["a range upside down", { inbound_rules: [{ ...rule, ports: "90-80" }] }, 422, text("90-80")],
        [
            "an address",
            { inbound_rules: [{ ...rule, sources: { addresses: ["10.0.0.0/33"] } }] },
            422,
            '"10.0.0.0/33" is not an address or CIDR',
        ],
        [
            "an address with text after it",
            { inbound_rules: [{ ...rule, sources: { addresses: ["10.0.0.1; drop"] } }] },
            422,
            text("is not an address"),
        ],
        [
            "a rule without sources",
            { inbound_rules: [{ protocol: "tcp", ports: "22" }] },
            422,
            text("inbound_rules"),
        ],
    ])("refuse %s", async (_what, change, status, message) => {
        const api = await startApi();
        await api.request("POST", "/firewalls", { name: "taken", inbound_rules: [rule] });
        const answer = await api.request("POST", "/firewalls", {
            name: "fw",
            inbound_rules: [rule],
            ...change,
        });
        expect(answer).toMatchObject({ status, body: { message } });
        expect((await api.request("GET", "/firewalls")).body.meta.total).toBe(1);
    });

    it("show at the droplets that they cover, by id and by tag", async () => {
        const api = await startApi();
        const droplet = await activeDroplet(api, { tags: ["web"] });
        const shown = async () =>
            (await api.request("GET", `/droplets/${droplet.id}/firewalls`)).body.firewalls.map(
                ({ name }) => name,
            );
        const make = (name: string, body: object) =>
            api.request("POST", "/firewalls", { name, inbound_rules: [rule], ...body });
        await make("other", {});
        expect(await shown()).toEqual([]);
        await make("by-tag", { tags: ["web"] });
        await make("by-id", { droplet_ids: [droplet.id] });
        expect(await shown()).toEqual(["by-tag", "by-id"]);
    });
});

describe("tags", () => {
    it("are made once, put on droplets and taken off, and the network follows before the answer", async () => {
        const { seen, machines } = network();
        const api = await startApi({ machines });
        const { id } = await activeDroplet(api);
        expect((await api.client.tag.createTag({ name: "web" })).status).toBe(201);
        expect((await api.client.tag.createTag({ name: "web" })).status).toBe(201);
        const tagging = {
            tag_name: "web",
            resources: [{ resource_id: String(id), resource_type: "droplet" }],
        };
        expect((await api.request("POST", "/tags/web/resources", tagging)).status).toBe(204);
        expect(seen.cloud?.droplets[0]?.tags).toEqual(["web"]);
        expect((await api.client.tag.getTag({ tag_name: "web" })).data.tag).toMatchObject({
            name: "web",
            resources: {
                count: 1,
                droplets: { count: 1, last_tagged_uri: text(`/droplets/${id}`) },
            },
        });
        expect((await api.request("DELETE", "/tags/web/resources", tagging)).status).toBe(204);
        expect(seen.cloud?.droplets[0]?.tags).toEqual([]);
        expect((await api.client.tag.listTags({})).data.tags).toHaveLength(1);
    });

    it("come off everything when they are deleted", async () => {
        const { seen, machines } = network();
        const api = await startApi({ machines });
        await activeDroplet(api, { tags: ["web", "eu"] });
        await api.request("POST", "/firewalls", {
            name: "fw",
            tags: ["web"],
            inbound_rules: [{ ...rule, sources: { tags: ["web", "eu"] } }],
        });
        expect((await api.client.tag.deleteTag({ tag_name: "web" })).status).toBe(204);
        expect(seen.cloud?.droplets[0]?.tags).toEqual(["eu"]);
        expect(seen.cloud?.firewalls[0]).toMatchObject({ tags: [], inbound: [{ tags: ["eu"] }] });
        expect((await api.request("GET", "/tags/web")).status).toBe(404);
    });

    it("refuse names and things that can't be", async () => {
        const api = await startApi();
        expect((await api.request("POST", "/tags", { name: "здорово" })).status).toBe(400);
        await api.client.tag.createTag({ name: "web" });
        const tag = (resource: object, name = "web") =>
            api.request("POST", `/tags/${name}/resources`, { resources: [resource] });
        expect((await tag({ resource_id: "1", resource_type: "droplet" })).status).toBe(404);
        expect((await tag({ resource_id: "1", resource_type: "volume" })).status).toBe(422);
        expect((await tag({ resource_id: "1", resource_type: "constructor" })).status).toBe(422);
        expect((await tag({ resource_id: "1", resource_type: "droplet" }, "nope")).status).toBe(404);
    });
});

describe("reserved IPs", () => {
    it("come from the upper half of the range, lowest first, and are free again after deletion", async () => {
        const api = await startApi();
        const make = async () =>
            (await api.request("POST", "/reserved_ips", { region: "fra1" })).body.reserved_ip.ip;
        expect([await make(), await make()]).toEqual(["127.96.0.0", "127.96.0.1"]);
        expect((await api.request("DELETE", "/reserved_ips/127.96.0.0")).status).toBe(204);
        expect((await api.request("GET", "/reserved_ips/127.96.0.0")).status).toBe(404);
        expect(await make()).toBe("127.96.0.0");
        expect((await api.request("GET", "/reserved_ips")).body.meta.total).toBe(2);
        expect((await api.request("POST", "/reserved_ips", { region: "muc1" })).status).toBe(422);
        expect((await api.request("POST", "/reserved_ips", {})).status).toBe(422);
    });

    it("move from droplet to droplet by an action that ends when the network has followed", async () => {
        const followed = deferred();
        let hold = false;
        const sync = () => (hold ? followed.promise : Promise.resolve());
        const api = await startApi({ machines: { sync } });
        const [one, two] = [await activeDroplet(api), await activeDroplet(api)];
        const created = await api.request("POST", "/reserved_ips", { droplet_id: one.id });
        expect(created.status).toBe(202);
        expect(created.body.links.actions[0]?.rel).toBe("assign_ip");
        const { ip } = created.body.reserved_ip;
        const look = async () => (await api.request("GET", `/reserved_ips/${ip}`)).body.reserved_ip;
        await until(look, (it) => !it.locked);
        expect((await look()).droplet?.id).toBe(one.id);

        hold = true;
        const act = (body: object) => api.request("POST", `/reserved_ips/${ip}/actions`, body);
        const { status, body } = await act({ type: "assign", droplet_id: two.id });
        expect(status).toBe(201);
        expect(body.action).toMatchObject({
            type: "assign_ip",
            status: "in-progress",
            resource_id: 2136997888,
        });
        expect((await look()).locked).toBe(true);
        expect((await act({ type: "unassign" })).status).toBe(422);
        followed.resolve();
        const done = await until(
            () => api.request("GET", `/reserved_ips/${ip}/actions/${body.action.id}`),
            (it) => it.body.action.completed_at !== null,
        );
        expect(done.body.action.status).toBe("completed");
        expect((await look()).droplet?.id).toBe(two.id);

        await act({ type: "unassign" });
        await until(look, (it) => !it.locked);
        expect((await look()).droplet).toBeNull();
        expect(await act({ type: "unassign" })).toMatchObject({
            status: 422,
            body: { message: "The reserved IP is not assigned to a Droplet." },
        });
        expect((await api.request("GET", `/reserved_ips/${ip}/actions`)).body.meta.total).toBe(3);
    });

    it("refuse what is no droplet, one elsewhere, one that has another", async () => {
        const api = await startApi();
        const droplet = await activeDroplet(api);
        const { ip } = (await api.request("POST", "/reserved_ips", { region: "nyc3" })).body.reserved_ip;
        const act = async (body: object) =>
            (await api.request("POST", `/reserved_ips/${ip}/actions`, body)).body.message;
        expect(await act({ type: "assign", droplet_id: 1 })).toBe("droplet_id 1 is not one of your Droplets");
        expect(await act({ type: "assign" })).toBe("droplet_id 0 is not one of your Droplets");
        expect(await act({ type: "assign", droplet_id: droplet.id })).toContain("both must be in one region");
        expect(await act({ type: "move" })).toContain("assign");
        await api.request("POST", "/reserved_ips", { droplet_id: droplet.id });
        const second = await api.request("POST", "/reserved_ips", { droplet_id: droplet.id });
        expect(second).toMatchObject({
            status: 422,
            body: { message: text("already has") },
        });
    });
});
