import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";
import { runOverSsh } from "../../tools/live/ssh";
import { onLoadBalancer } from "../faults.mts";
import { interrupt } from "../interruptions.mts";
import { makeWorld, type World } from "../world.mts";
import { get, serversAnswering, Visitors } from "./client";
import { serveSlowly } from "./site";

interface Droplet {
    id: number;
    name: string;
    size_slug: string;
    tags: string[];
    networks: { v4: { type: string; ip_address: string }[] };
}

/** One stack from nothing to nothing, in the order in which a person would go. Every step builds on the last. */
describe("a stack on droplets that boot", () => {
    let world: World;
    let made: World | undefined;
    let url: string;
    let visitors: Visitors | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { logOneIn: 100 });
        serveSlowly(world.folder);
    });
    afterAll(async () => {
        await made?.close();
    });
    /** Somebody visits the site through every change; nobody may notice. */
    beforeEach(() => {
        visitors = url ? new Visitors(url) : undefined;
    });
    afterEach(noVisitorNoticed);
    async function noVisitorNoticed(): Promise<void> {
        await visitors?.stop();
        expect(visitors?.failures ?? []).toEqual([]);
        visitors = undefined;
    }

    const up = async () => {
        const outcome = await world.pulumi(["up", "--yes", "--skip-preview"]);
        expect(outcome.code, outcome.text).toBe(0);
        return outcome.text;
    };
    const droplets = async () => (await world.api("droplets")).droplets as Droplet[];
    const backends = async () => (await droplets()).filter(({ name }) => name.startsWith("web-"));
    const serverNames = async () => (await world.outputs()).servers.map(({ name }) => name);

    it("goes up: three servers, each of which answers", async () => {
        await up();
        const outputs = await world.outputs();
        expect(outputs).toMatchObject({ monthlyCost: 24, url: `http://${outputs.loadBalancerIp}` });
        expect(outputs.servers).toHaveLength(3);
        expect(await serversAnswering(outputs.url, 3)).toEqual(["web-0", "web-1", "web-2"]);
        url = outputs.url;
    });

    it("serves a page that tells which server it came from", async () => {
        const { body = "" } = await get(url);
        const { servers } = await world.outputs();
        const server = servers.find(({ dropletId }) => body.includes(`<dd>${dropletId}</dd>`));
        expect(server, body).toBeDefined();
        expect(body).toContain(`<dd>${server?.privateIp ?? ""}</dd>`);
        expect(body).toContain("<dd>fra1</dd>");
        expect((await get(`${url}/healthz`)).body).toBe("ok\n");
    });

    it("logs requests, and only those who may can reach the load balancer's SSH with its own host key", async () => {
        // Of what ends well the log has one in a hundred here, of what fails all.
        await get(`${url}/missing?who=logged`);
        expect(
            await onLoadBalancer(
                world,
                "journalctl --unit haproxy --no-pager --output cat | grep who=logged",
            ),
        ).toMatch(/web pool\/web-\d .* 404 .* "GET \/missing\?who=logged HTTP\/1.1"/);
        const { loadBalancerIp, deployKey } = await world.outputs();
        const other = splitKeyPair(
            execFileSync("sh", ["-c", keygenScript("x")], { encoding: "utf8" }),
        ).publicKey;
        await expect(
            runOverSsh("true", { host: loadBalancerIp, privateKey: deployKey, hostKey: other }),
        ).rejects.toThrow(/it shows the host key .*, expected /);
    });

    it("shows in `make status` what DigitalOcean and HAProxy say of each server", async () => {
        const { stdout: text } = await world.tool("status", ["test"]);
        expect(text).toContain(`${url}   $24 a month`);
        expect(text).toContain("the load balancer has all updates");
        for (const { name, dropletId, privateIp } of (await world.outputs()).servers) {
            expect(text).toMatch(
                new RegExp(`${name} .* ${dropletId} .* ${privateIp} .* s-1vcpu-1gb .* active .* UP `),
            );
        }
    });

    it("changes nothing on a second up, nor after a refresh", async () => {
        for (const refresh of [[], ["--refresh"]]) {
            const { code, text } = await world.pulumi([
                "up",
                "--yes",
                "--skip-preview",
                "--expect-no-changes",
                ...refresh,
            ]);
            expect(code, text).toBe(0);
        }
    });

    it("shows five in the preview: the count, the two names, the cost", async () => {
        await world.configure({ replicas: 5 });
        const { code, text } = await world.pulumi(["preview", "--diff"]);
        expect(code, text).toBe(0);
        expect(text).toMatch(/replicas\s*: 3 => 5/);
        expect(text).toMatch(/\+ web-3\s*: "s-1vcpu-1gb"/);
        expect(text).toMatch(/\+ web-4\s*: "s-1vcpu-1gb"/);
        expect(text).toMatch(/monthlyCost\s*: 24 => 36/);
        expect(text).toContain("+ 2 to create");
        expect(await droplets()).toHaveLength(4);
    });

    it("grows to five, and all five answer", async () => {
        const before = (await backends()).map(({ id }) => id);
        await up();
        expect(await serversAnswering(url, 5)).toEqual(["web-0", "web-1", "web-2", "web-3", "web-4"]);
        expect((await backends()).map(({ id }) => id)).toEqual(expect.arrayContaining(before));
    });

    it("takes out exactly the server that is retired", async () => {
        const before = await backends();
        await world.configure({ replicas: 3, retired: [1, 4] });
        await up();
        expect(await serverNames()).toEqual(["web-0", "web-2", "web-3"]);
        const kept = before.filter(({ name }) => /^web-[023]-/.test(name)).map(({ id }) => id);
        expect((await backends()).map(({ id }) => id).sort()).toEqual(kept.sort());
    });

    it("shrinks to two from the end", async () => {
        await world.configure({ replicas: 2 });
        await up();
        expect(await serversAnswering(url, 2)).toEqual(["web-0", "web-2"]);
        expect(await backends()).toHaveLength(2);
    });

    it("is killed in the drain: the next run, with the config from before, makes haproxy.cfg first, and nobody notices", async () => {
        // One of some thirty cases; `make soak` has all.
        expect(await interrupt(world, { end: "kill", moment: "in the drain", next: "old" })).toEqual([]);
    });

    it("serves a page of its own when there is no server, and comes back", async () => {
        await noVisitorNoticed();
        await world.configure({ replicas: 0 });
        await up();
        const { status, headers } = await get(url);
        expect(status).toBe(503);
        expect(headers).toHaveProperty("retry-after");
        expect(await backends()).toEqual([]);
        await world.configure({ replicas: 1 });
        await up();
        expect(await serversAnswering(url, 1)).toEqual(["web-0"]);
    });

    it("is told at once that adminCidrs lack this machine's address", async () => {
        await noVisitorNoticed();
        await world.configure({ adminCidrs: ["203.0.113.0/24"] });
        const { code, text } = await world.pulumi(["preview"]);
        expect(code).not.toBe(0);
        expect(text).toContain(`adminCidrs does not hold ${world.instance.addresses.uplinkHost}`);
        await world.configure({ adminCidrs: [`${world.instance.addresses.uplinkHost}/32`] });
    });

    it("replaces the load balancer: the address stays, and moves only when the second one serves", async () => {
        await noVisitorNoticed();
        const before = (await droplets()).find(({ name }) => name.startsWith("load-balancer-"))?.id;
        const clients = new Visitors(url);
        await world.configure({ loadBalancerSize: "s-1vcpu-2gb" });
        await up();
        await clients.stop();
        const balancers = (await droplets()).filter(({ name }) => name.startsWith("load-balancer-"));
        expect(balancers).toHaveLength(1);
        expect(balancers[0]?.id).not.toBe(before);
        expect((await world.outputs()).url).toBe(url);
        // What is in flight or kept alive on the first one is cut at the move, once for each client.
        expect(clients.failures.length, clients.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect(await serversAnswering(url, 1)).toEqual(["web-0"]);
    });

    it("leaves nothing after destroy but the region's default VPC, which nobody can delete", async () => {
        await destroy();
        const namespaces = execFileSync("ip", ["netns", "list"], { encoding: "utf8" }).split("\n");
        expect(namespaces.filter((line) => line.startsWith(`${world.instance.id}-`))).toEqual([]);
    });

    async function destroy(): Promise<void> {
        await noVisitorNoticed();
        const { code, text } = await world.pulumi(["destroy", "--yes", "--skip-preview", "--refresh"]);
        expect(code, text).toBe(0);
        for (const kind of ["droplets", "firewalls", "reserved_ips", "tags"]) {
            expect(await world.api(kind), kind).toMatchObject({ [kind]: [] });
        }
        expect(await world.api("account/keys")).toMatchObject({ ssh_keys: [] });
        expect((await world.api("vpcs")).vpcs).toMatchObject([{ name: "dropscale-test", default: true }]);
        url = "";
    }
});
