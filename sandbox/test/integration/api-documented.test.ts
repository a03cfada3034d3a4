import Fastify from "fastify";
import { Type } from "typebox";
import { describe, expect, it } from "vitest";

import { checkAnswers } from "../../api/answer-check.ts";
import { One } from "../../api/answers.ts";
import type { Api } from "../../api/http.ts";
import { activeDroplet, finishedAction, startApi, type TestApi, until, wish } from "./api-harness.ts";

const unknownId = "2f0b3f4e-2f0b-4f4e-8f0b-3f4e2f0b3f4e";
const notFound = { id: "not_found", message: "The resource you were accessing could not be found." };
const rule = (port: string, addresses: string[] = ["192.0.2.0/24"]) => ({
    protocol: "tcp",
    ports: port,
    sources: { addresses },
});

describe("the check of answers", () => {
    const key = { id: 1, name: "k", public_key: "ssh-ed25519 A", fingerprint: "08:10" };
    const limits = { "ratelimit-limit": 5000, "ratelimit-remaining": 1, "ratelimit-reset": 1 };

    /** What becomes of an answer of this status, headers and body. */
    async function sent(status: number, headers: object, body: unknown) {
        const log: string[] = [];
        const api: Api = Fastify();
        checkAnswers(api, (line) => log.push(line));
        const response = { 200: One.ssh_key, 204: Type.Null() };
        api.get("/v2/account/keys/:id", { schema: { response } }, (_request, reply) =>
            reply
                .code(status as 200)
                .headers(headers)
                .send(body as never),
        );
        const { statusCode } = await api.inject("/v2/account/keys/1");
        return { statusCode, said: log[0] };
    }

    it.each([
        ["as documented", 200, limits, { ssh_key: key }, undefined],
        ["nothing, as documented", 204, limits, undefined, undefined],
        ["with a field too few", 200, limits, { ssh_key: { ...key, name: undefined } }, "/ssh_key must have"],
        ["with a field too many", 200, limits, { ssh_key: { ...key, more: 1 } }, "/ssh_key/more"],
        ["with another type", 200, limits, { ssh_key: { ...key, id: "1" } }, "/ssh_key/id must be integer"],
        ["with another status", 201, limits, { ssh_key: key }, "no such status is documented"],
        ["of an error that says nothing", 404, limits, {}, "the body must have"],
        ["without the rate limit", 200, {}, { ssh_key: key }, "header ratelimit-limit is undefined"],
    ])("an answer %s", async (_what, status, headers, body, problem) => {
        const { statusCode, said } = await sent(status, headers, body);
        if (problem === undefined) expect([statusCode, said]).toEqual([status, undefined]);
        else {
            expect(statusCode).toBe(500);
            expect(said).toContain(
                `GET /v2/account/keys/:id ${status}: the sandbox's answer is not as documented: `,
            );
            expect(said).toContain(problem);
        }
    });

    it("takes no route that does not say what it answers", () => {
        const api: Api = Fastify();
        checkAnswers(api, () => undefined);
        expect(() => api.get("/v2/volumes", () => ({ volumes: [] }))).toThrow("GET /v2/volumes does not say");
    });
});

describe("what is found nowhere", () => {
    it.each([
        ...["/../v2/nonsense", "/droplets/1/nonsense", "/droplets/", "/../", "/../v1/droplets"],
        ...["/%zz", "/appsx"],
    ])("is 404 in DigitalOcean's words, whatever is asked of it: %s", async (path) => {
        const api = await startApi();
        for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
            const sent = method === "GET" ? undefined : "no JSON";
            const headers = { "content-type": "application/x-www-form-urlencoded" };
            const answer = await api.request(method, path, sent, headers);
            expect(answer, method).toMatchObject({ status: 404, body: notFound });
            expect(Object.keys(answer.body).sort()).toEqual(["id", "message", "request_id"]);
            expect(answer.headers.get("x-sandbox")).toBeNull();
        }
    });

    it("is 404 for a name that nothing can have, too", async () => {
        const api = await startApi();
        for (const name of ["a".repeat(256), "a".repeat(8000), "%ff", "a%2Fb"]) {
            for (const method of ["GET", "DELETE"]) {
                expect(await api.request(method, `/tags/${name}`)).toMatchObject({
                    status: 404,
                    body: notFound,
                });
            }
        }
    });

    it.each([
        ["GET", "/load_balancers"],
        ["GET", "/monitoring/sinks"],
        ["GET", "/monitoring/metrics/load_balancer/frontend_http_responses"],
        ["POST", "/volumes/1/actions"],
        ["GET", "/droplets/autoscale"],
        ["GET", "/droplets/7/destroy_with_associated_resources"],
        ["GET", "/droplets/backups/policies"],
        ["POST", "/images"],
        ["POST", "/images/7/actions"],
        ["GET", `/vpcs/${unknownId}/peerings`],
    ])("says that the sandbox lacks it, where DigitalOcean has it: %s %s", async (method, path) => {
        const api = await startApi();
        const answer = await api.request(method, path, method === "POST" ? {} : undefined);
        expect(answer).toMatchObject({ status: 404, body: notFound });
        const note = "the sandbox has no such endpoint; DigitalOcean has";
        expect(answer.headers.get("x-sandbox")).toBe(note);
        expect(api.log).toContain(`${method} /v2${path}: ${note}`);
    });

    it.each([
        ...["backups", "kernels", "neighbors", "snapshots", "firewalls", "actions"].map(
            (list) => `/droplets/7/${list}`,
        ),
        `/vpcs/${unknownId}/members`,
        `/vpcs/${unknownId}/members?resource_type=kubernetes`,
        "/reserved_ips/192.0.2.1/actions",
    ])("has no lists either: %s", async (path) => {
        expect(await (await startApi()).request("GET", path)).toMatchObject({ status: 404, body: notFound });
    });
});

describe("a request without a token", () => {
    it("is told the rate limit as any other, and counts for nothing", async () => {
        const api = await startApi();
        const remaining = async (headers: object) =>
            (await api.request("GET", "/account", undefined, headers)).headers.get("ratelimit-remaining");
        expect(await remaining({})).toBe("99999");
        expect(await remaining({ authorization: "" })).toBe("99999");
        expect(await remaining({})).toBe("99998");
    });
});

describe("what the sandbox does not do", () => {
    it.each([
        [{ ipv6: true }, "IPv6"],
        [{ backups: true }, "backups"],
        [{ backup_policy: { plan: "daily" } }, "backups"],
        [{ volumes: [unknownId] }, "volumes"],
        [{ public_networking: false }, "Droplets without a public address"],
    ])("at a creation is refused: %j", async (field, what) => {
        const api = await startApi();
        const answer = await api.request("POST", "/droplets", { ...wish, ...field });
        expect(answer).toMatchObject({ status: 422, body: { message: `The sandbox has no ${what}.` } });
        expect(answer.headers.get("x-sandbox")).toBe(`the sandbox has no ${what}; DigitalOcean has`);
        const off = Object.fromEntries(
            Object.keys(field).map((name) => [name, name === "volumes" ? [] : null]),
        );
        expect(
            (await api.request("POST", "/droplets", { ...wish, ...off, public_networking: true })).status,
        ).toBe(202);
    });

    it("as an action is refused, at one droplet and at all of a tag", async () => {
        const api = await startApi();
        const { id } = await activeDroplet(api, { tags: ["web"] });
        const types =
            "enable_backups disable_backups change_backup_policy restore password_reset rebuild change_kernel enable_ipv6";
        for (const type of types.split(" ")) {
            const answer = await api.request("POST", `/droplets/${id}/actions`, { type });
            expect(answer.status).toBe(422);
            expect(answer.headers.get("x-sandbox")).toContain(`droplet action ${type}`);
        }
        const bulk = await api.request("POST", "/droplets/actions?tag_name=web", { type: "enable_ipv6" });
        expect(bulk.headers.get("x-sandbox")).toContain("droplet action enable_ipv6");
        const unknown = await api.request("POST", `/droplets/${id}/actions`, { type: "explode" });
        expect([unknown.status, unknown.headers.get("x-sandbox")]).toEqual([422, null]);
    });
});

describe("tags", () => {
    it.each([100, 101, 255])("of %i characters are read, put on things and deleted", async (length) => {
        const api = await startApi();
        const name = "a".repeat(length);
        expect((await api.request("POST", "/tags", { name })).status).toBe(201);
        expect((await api.request("GET", `/tags/${name}`)).status).toBe(200);
        expect((await api.request("POST", `/tags/${name}/resources`, { resources: [] })).status).toBe(204);
        expect((await api.request("DELETE", `/tags/${name}`)).status).toBe(204);
        expect((await api.request("GET", `/tags/${name}`)).status).toBe(404);
    });

    it("are one where only case differs, and stay as they were written first", async () => {
        const api = await startApi();
        for (const name of ["Web", "web", "WEB"]) {
            expect((await api.request("POST", "/tags", { name })).body).toMatchObject({
                tag: { name: "Web" },
            });
        }
        const droplet = await activeDroplet(api, { tags: ["web", "WEB", "Eu", "eu"] });
        expect(droplet.tags).toEqual(["Web", "Eu"]);
        const firewall = {
            name: "fw",
            tags: ["wEB"],
            inbound_rules: [{ ...rule("80"), sources: { tags: ["EU"] } }],
        };
        const made = (await api.request("POST", "/firewalls", firewall)).body.firewall;
        expect(made).toMatchObject({ tags: ["Web"], inbound_rules: [{ sources: { tags: ["Eu"] } }] });
        expect((await api.request("GET", "/tags")).body.tags.map(({ name }) => name)).toEqual(["Web", "Eu"]);
        // Documented: a URL needs the capitals that the tag has.
        expect((await api.request("GET", "/tags/web")).status).toBe(404);
    });

    it("with wrong characters are refused in both forms: the one of tags, and the one of everything else", async () => {
        const { status, body } = await (await startApi()).request("POST", "/tags", { name: "a b" });
        const message = 'Error validating resource tag: "tag-name "a b" contains invalid characters"';
        expect(status).toBe(400);
        expect(body).toMatchObject({
            id: "bad_request",
            message,
            error: message,
            messages: null,
            root_causes: [message],
        });
    });

    it("can't be asked for together with a name or type", async () => {
        const api = await startApi();
        const status = async (query: string) => (await api.request("GET", `/droplets?${query}`)).status;
        expect(await status("tag_name=a&name=b")).toBe(400);
        expect(await status("tag_name=a&type=droplets")).toBe(400);
        expect(await status("tag_name=a")).toBe(200);
        expect(await status("name=b&type=droplets")).toBe(200);
    });
});

describe("droplets", () => {
    it("have neighbors, and neither backups nor kernels", async () => {
        const api = await startApi();
        const [one, two] = [await activeDroplet(api), await activeDroplet(api)];
        await activeDroplet(api, { region: "nyc3" });
        const lists = async (list: string) => (await api.request("GET", `/droplets/${one.id}/${list}`)).body;
        expect((await lists("neighbors")).droplets.map(({ id }) => id)).toEqual([two.id]);
        expect(await lists("backups")).toEqual({ backups: [], links: {}, meta: { total: 0 } });
        expect(await lists("kernels")).toEqual({ kernels: [], links: {}, meta: { total: 0 } });
    });

    it("of one tag act together, or not at all", async () => {
        const api = await startApi();
        const [one, two] = [
            await activeDroplet(api, { tags: ["web"] }),
            await activeDroplet(api, { tags: ["web"] }),
        ];
        await activeDroplet(api);
        const act = (type: string) => api.request("POST", "/droplets/actions?tag_name=web", { type });
        const { status, body } = await act("power_off");
        expect(status).toBe(201);
        expect(body.actions.map((action) => [action.type, action.resource_id])).toEqual([
            ["power_off", one.id],
            ["power_off", two.id],
        ]);
        const states = () => api.request("GET", "/droplets");
        const { droplets } = (await until(states, (it) => it.body.droplets.every(({ locked }) => !locked)))
            .body;
        expect(droplets.map((droplet) => droplet.status)).toEqual(["off", "off", "active"]);
        expect((await act("rename")).status).toBe(422);
        expect((await api.request("POST", "/droplets/actions", { type: "power_on" })).status).toBe(422);
    });
});

describe("images", () => {
    it("of one's own get a name, a description and a distribution, each by itself", async () => {
        const api = await startApi();
        const { id } = await activeDroplet(api);
        await finishedAction(api, id, { type: "snapshot", name: "one" });
        const own = (await api.request("GET", `/droplets/${id}/snapshots`)).body.snapshots[0]?.id ?? 0;
        const change = async (changes: object) =>
            (await api.request("PUT", `/images/${own}`, changes)).body.image;
        const before = { name: "one", description: "", distribution: "Debian" };
        expect(await change({})).toMatchObject(before);
        expect(await change({ description: "golden" })).toMatchObject({ ...before, description: "golden" });
        expect(await change({ distribution: "Ubuntu" })).toMatchObject({
            description: "golden",
            distribution: "Ubuntu",
        });
        expect(await change({ name: "two" })).toMatchObject({ name: "two", description: "golden" });
        expect((await api.request("GET", `/images/${own}`)).body.image).toMatchObject({ name: "two" });
        expect((await api.request("PUT", `/images/${own}`, { distribution: "Slackware" })).status).toBe(422);
        expect((await api.request("PUT", "/images/debian-12-x64", { name: "mine" })).status).toBe(403);
    });
});

describe("VPCs", () => {
    it("change by PATCH in what it names, and in nothing else", async () => {
        const api = await startApi();
        await api.request("POST", "/vpcs", { name: "default", region: "fra1" });
        const made = (await api.request("POST", "/vpcs", { name: "one", region: "fra1", description: "d" }))
            .body.vpc;
        const patch = async (changes: object) =>
            (await api.request("PATCH", `/vpcs/${made.id}`, changes)).body.vpc;
        expect(await patch({ name: "two" })).toEqual({ ...made, name: "two" });
        expect(await patch({ description: "" })).toEqual({ ...made, name: "two", description: "" });
        expect(await patch({ default: true })).toEqual({
            ...made,
            name: "two",
            description: "",
            default: true,
        });
        expect((await api.request("PATCH", `/vpcs/${made.id}`, { name: "default" })).status).toBe(422);
        expect((await api.request("PATCH", `/vpcs/${unknownId}`, {})).status).toBe(404);
    });
});

describe("firewalls", () => {
    async function firewall(api: TestApi) {
        const body = { name: "fw", inbound_rules: [rule("22")] };
        const { id } = (await api.request("POST", "/firewalls", body)).body.firewall;
        return {
            look: async () => (await api.request("GET", `/firewalls/${id}`)).body.firewall,
            add: async (part: string, what: object) =>
                (await api.request("POST", `/firewalls/${id}/${part}`, what)).status,
            take: async (part: string, what: object) =>
                (await api.request("DELETE", `/firewalls/${id}/${part}`, what)).status,
        };
    }

    it("get and lose droplets, tags and rules one by one, and the network follows", async () => {
        const seen: { rules: number; tags: string[]; dropletIds: number[] }[] = [];
        const api = await startApi({
            machines: {
                sync: ({ firewalls: [first] }) => {
                    if (first) seen.push({ ...first, rules: first.inbound.length + first.outbound.length });
                    return Promise.resolve();
                },
            },
        });
        const { id } = await activeDroplet(api, { tags: ["web"] });
        const { look, add, take } = await firewall(api);
        for (let times = 0; times < 2; times++) {
            expect(await add("droplets", { droplet_ids: [id] })).toBe(204);
            expect(await add("tags", { tags: ["web"] })).toBe(204);
            expect(await add("rules", { inbound_rules: [rule("80", ["192.0.2.1", "192.0.2.2"])] })).toBe(204);
        }
        expect(await look()).toMatchObject({
            droplet_ids: [id],
            tags: ["web"],
            inbound_rules: [{ ports: "22" }, { ports: "80" }],
        });
        expect(seen.at(-1)).toMatchObject({ dropletIds: [id], tags: ["web"], rules: 2 });
        expect(await take("droplets", { droplet_ids: [id] })).toBe(204);
        expect(await take("tags", { tags: ["web"] })).toBe(204);
        expect(await take("rules", { inbound_rules: [rule("80", ["192.0.2.2", "192.0.2.1"])] })).toBe(204);
        expect(await look()).toMatchObject({ droplet_ids: [], tags: [], inbound_rules: [{ ports: "22" }] });
        expect(seen.at(-1)).toMatchObject({ dropletIds: [], tags: [], rules: 1 });
    });

    it("refuse what there is none of, nothing at all, and to lose their last rule", async () => {
        const api = await startApi();
        const { look, add, take } = await firewall(api);
        expect(await add("droplets", { droplet_ids: [7] })).toBe(422);
        expect(await add("tags", { tags: ["nope"] })).toBe(422);
        expect(await add("rules", { inbound_rules: [rule("0-1")] })).toBe(422);
        for (const part of ["droplets", "tags", "rules"]) expect(await add(part, {})).toBe(422);
        expect(await take("rules", { inbound_rules: [rule("22")] })).toBe(422);
        expect(await look()).toMatchObject({ inbound_rules: [{ ports: "22" }], tags: [], droplet_ids: [] });
    });
});

describe("reserved IPs", () => {
    it("have none of the actions of an earlier one with their address", async () => {
        const api = await startApi();
        const { id } = await activeDroplet(api);
        const reserve = async () =>
            (await api.request("POST", "/reserved_ips", { region: "fra1" })).body.reserved_ip.ip;
        const first = await reserve();
        const { action } = (
            await api.request("POST", `/reserved_ips/${first}/actions`, { type: "assign", droplet_id: id })
        ).body;
        await until(
            () => api.request("DELETE", `/reserved_ips/${first}`),
            ({ status }) => status === 204,
        );
        expect(await reserve()).toBe(first);
        expect((await api.request("GET", `/reserved_ips/${first}/actions`)).body).toMatchObject({
            actions: [],
        });
        expect((await api.request("GET", `/reserved_ips/${first}/actions/${action.id}`)).status).toBe(404);
        expect((await api.request("GET", `/actions/${action.id}`)).status).toBe(200);
    });
});
