import { cpSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callApi, dropletNamed, expectConverged, inDroplet } from "../faults.mts";
import { type JobRun, Repository, runJob } from "../pipeline-run.mts";
import { inSoak } from "../soak-only";
import { makeWorld, type World } from "../world.mts";
import { connects, serversAnswering, Visitors } from "./client";
import { serveSlowly } from "./site";

const root = path.resolve(__dirname, "../..");

/**
 * From a pull request to a closed gate, by the commands of .github/workflows/ in fresh clones of a bare repository, on
 * a machine that `adminCidrs` does not hold. Every step builds on the last.
 */
describe("the pipeline", () => {
    let world: World;
    let made: World | undefined;
    let repository: Repository;
    /** Tells the pipeline's machine its address, as a service on the Internet would. */
    let addressService: Server;
    let env: NodeJS.ProcessEnv;
    let url: string;
    let visitors: Visitors | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2, adminCidrs: ["203.0.113.0/24"] });
        serveSlowly(world.folder);
        for (const name of ["tools", "policy"])
            cpSync(path.join(root, name), path.join(world.folder, name), { recursive: true });
        repository = new Repository(path.join(path.dirname(world.folder), "site.git"), world.folder);
        await repository.init();
        addressService = createServer((_request, response) =>
            response.end(`${world.instance.addresses.uplinkHost}\n`),
        );
        await new Promise<void>((resolve) => addressService.listen(0, "127.0.0.1", resolve));
        const { port } = addressService.address() as AddressInfo;
        env = { ...world.env, STACK: "test", DROPSCALE_ADDRESS_URL: `http://127.0.0.1:${port}` };
    });
    afterAll(async () => {
        await visitors?.stop();
        addressService.close();
        await made?.close();
    });

    const job = (workflow: string, name: string, branch = "main", more: Record<string, string> = {}) =>
        runJob(workflow, name, { repository, branch }, { ...env, ...more });
    async function endsWell(run: Promise<JobRun>): Promise<JobRun> {
        const { code, text, ...rest } = await run;
        expect(code, text).toBe(0);
        return { code, text, ...rest };
    }
    const sshOpen = async () => connects((await world.outputs()).loadBalancerIp, 22);
    const firewalls = async () =>
        ((await world.api("firewalls")).firewalls as { name: string }[]).map(({ name }) => name).sort();
    const standing = ["dropscale-test-backend", "dropscale-test-load-balancer"];

    it("makes the stack: the machine is admitted for this run, and the gate is closed after it", async () => {
        const open = async (command: string) => {
            if (command.includes("--remove")) expect(await sshOpen()).toBe(true);
        };
        const run = runJob("up", "up", { repository, branch: "main" }, env, { before: open });
        const { text } = await endsWell(run);
        expect(text).toMatch(/made dropscale-test-admit-[\d.]+-until-.* may reach SSH on the load balancer/);
        ({ url } = await world.outputs());
        expect(await serversAnswering(url, 2)).toEqual(["web-0", "web-1"]);
        expect(await firewalls()).toEqual(standing);
        expect(await sshOpen()).toBe(false);
        visitors = new Visitors(url);
    });

    it("shows what a pull request would do, as a comment, and does nothing", async () => {
        await world.configure({ replicas: 3 });
        await repository.push("scale-out", "Three servers");
        const plan = (await endsWell(job("preview", "plan", "scale-out"))).file("plan.md");
        expect(plan).toMatch(/^<!-- dropscale plan: test -->\n/);
        expect(plan).toContain("2 → 3 servers");
        expect(plan).toContain("$18 → $24");
        expect(plan).toContain("web-2");
        expect((await world.outputs()).servers).toHaveLength(2);
    });

    it("applies what is merged, once: a second run at the same time waits for the first", async () => {
        await repository.merge("scale-out");
        const [first, second] = await Promise.all([endsWell(job("up", "up")), endsWell(job("up", "up"))]);
        const texts = [first.text, second.text];
        // Where both take the lock in the same instant, both give it back and wait.
        expect(texts.join("\n")).toContain("another run holds test: waiting");
        expect(texts.filter((text) => text.includes("Droplet web-2 created"))).toHaveLength(1);
        expect(await serversAnswering(url, 3)).toEqual(["web-0", "web-1", "web-2"]);
        expect(await firewalls()).toEqual(standing);
        expect(await sshOpen()).toBe(false);
    });

    it("finds no drift where nobody has touched anything, and no visitor has noticed anything until now", async () => {
        const { file, text } = await endsWell(job("drift", "drift"));
        expect(file("output"), text).toBe("code=0\n");
        expect(file("drift.md")).toMatch(/^<!-- dropscale drift: test -->\n/);
        await visitors?.stop();
        expect(visitors?.requests).toBeGreaterThan(100);
        expect(visitors?.failures).toEqual([]);
    });

    it("finds a droplet that was deleted, and a haproxy.cfg that was edited, by hand", async () => {
        const { id } = await dropletNamed(world, "web-1");
        await callApi(world, "DELETE", `/v2/droplets/${id}`);
        const balancer = await dropletNamed(world, "load-balancer");
        await inDroplet(world, balancer.id, "echo '# fixed in a hurry' >> /etc/haproxy/haproxy.cfg");
        // As if Debian had a newer one: HAProxy is held, so nothing takes it.
        await inDroplet(
            world,
            balancer.id,
            "sed -i '/^Package: haproxy$/,/^$/s/^Version: .*/Version: 2.6.0-1/' /var/lib/dpkg/status",
        );
        const { file, text } = await endsWell(job("drift", "drift"));
        expect(file("output"), text).toBe("code=2\n");
        expect(file("drift.md")).toContain("web-1");
        expect(file("drift.md")).toContain("fixed in a hurry");
        expect(file("drift.md")).toMatch(/has updates waiting: haproxy 2\.6\.0-1 → 2\.6\.\d+/);
        expect(await firewalls()).toEqual(standing);
    });

    inSoak("fixes what is gone, when told to refresh, without a visitor who notices", async () => {
        visitors = new Visitors(url);
        await endsWell(job("up", "up", "main", { REFRESH: "--refresh" }));
        // One with the address of the old one gets traffic when it is healthy: nobody waits for that.
        await expectConverged(world, url, ["web-0", "web-1", "web-2"]);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });
});
