import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { configured, Crowd, historyOf, startAutoscaler, stopAutoscaler, untilSaid } from "../autoscalers.mts";
import { get, serversAnswering, slowPath, Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { callApi, dropletNamed, expectConverged, inDroplet } from "../faults.mts";
import type { Running } from "../world.mts";

const autoscale = {
    ...{ min: 3, max: 5, slots: 8 },
    // Nothing is taken away here.
    inSeconds: 7200,
    heal: { downSeconds: 30, perHour: 2 },
};

/** Launches that fail, and machines that are destroyed behind everybody's back. Every step builds on the last. */
describe("the autoscaler, when machines fail", () => {
    const site = servedSite({ replicas: 3, readySeconds: 60, autoscale });
    let scaler: Running;
    let crowd: Crowd | undefined;
    let visitors: Visitors | undefined;

    beforeAll(async () => {
        scaler = startAutoscaler(site.world);
        await untilSaid(scaler, /busy 0\.\d\d/, { seconds: 60 });
    });
    afterAll(async () => {
        await crowd?.stop();
        await visitors?.stop();
        await stopAutoscaler(scaler);
    });

    const status = async () => (await site.world.tool("status", ["test"])).stdout;
    const names = async () => (await site.world.outputs()).servers.map(({ name }) => name);
    const dropletCount = async () => ((await site.world.api("droplets")).droplets as unknown[]).length;
    async function onBalancer(command: string): Promise<void> {
        await inDroplet(site.world, (await dropletNamed(site.world, "load-balancer")).id, command);
    }
    async function untilServedBy(...names: string[]): Promise<void> {
        const poll = { timeout: 300_000, interval: 2000 };
        await expect.poll(() => serversAnswering(site.url, names.length + 1), poll).toEqual(names);
    }

    it("puts back a launch that fails, clears it, and does not repeat it", async () => {
        visitors = new Visitors(site.url);
        const known = (await site.world.outputs()).servers.map(({ privateIp }) => privateIp).join(", ");
        // No new server gets an answer to the load balancer.
        await onBalancer(
            `nft 'table inet hold { chain out { type filter hook output priority 0; ip daddr != { ${known} } tcp dport 80 drop; }; }'`,
        );
        crowd = new Crowd(site.url, 40);
        await untilSaid(scaler, /replicas 3 → 5: busy/);
        await expect.poll(dropletCount, { timeout: 120_000 }).toBe(6);
        expect(configured(site.world.folder, "replicas")).toBe(5);
        await untilSaid(scaler, /waits \d min: the last change failed/, { seconds: 400 });
        expect(configured(site.world.folder, "replicas")).toBe(3);
        expect(await dropletCount()).toBe(4);
        // It is on the load balancer with the next look.
        await expect
            .poll(status, { timeout: 30_000 })
            .toMatch(/^autoscaler \(.*\): waits \d min: the last change failed/m);
        // It is still wanted, and a refusal is repeated after a minute: this is none.
        const changes = await historyOf(site.world);
        expect(changes[0]).toMatchObject({ by: "autoscaler", status: "error", desired_instance_count: 5 });
        await sleep(90_000);
        expect(await historyOf(site.world)).toHaveLength(changes.length);
        expect(configured(site.world.folder, "replicas")).toBe(3);
    }, 900_000);

    it("goes on as soon as a person has edited the config", async () => {
        await onBalancer("nft delete table inet hold");
        await site.world.configure({ autoscale: { ...autoscale, max: 4 } });
        await untilSaid(scaler, /replicas 3 → 4: busy/, { seconds: 60 });
        await untilServedBy("web-0", "web-1", "web-2", "web-3");
        await untilSaid(scaler, /replicas 3 → 4(.*\n)*.*done in/);
        await crowd?.stop();
        await visitors?.stop();
        expect(visitors?.failures).toEqual([]);
    });

    it("replaces a server whose droplet was destroyed", async () => {
        visitors = new Visitors(site.url);
        const { id } = await dropletNamed(site.world, "web-1");
        await callApi(site.world, "DELETE", `/v2/droplets/${id}`);
        await untilSaid(scaler, /web-1 has been DOWN for \d+ s .*: it is replaced/);
        await untilServedBy("web-0", "web-2", "web-3", "web-4");
        await untilSaid(scaler, /it is replaced(.*\n)*.*done in/);
        await expectConverged(site.world, site.url, ["web-0", "web-2", "web-3", "web-4"]);
        expect(configured(site.world.folder, "retired")).toEqual([1]);
        await visitors.stop();
        // Answers that it had begun are cut; nothing else may fail.
        expect(visitors.failures.filter((failure) => !failure.includes(`GET ${slowPath}:`))).toEqual([]);
        expect(visitors.failures.length).toBeLessThanOrEqual(Visitors.streams);
    });

    it("replaces a server that is sick, which goes when the new one serves", async () => {
        visitors = new Visitors(site.url);
        const [sick, ...others] = await names();
        expect(sick).toBe("web-0");
        const { id } = await dropletNamed(site.world, "web-0");
        await inDroplet(site.world, id, "systemctl stop nginx");
        await untilSaid(scaler, /web-0 has been DOWN for \d+ s .*: it is replaced/);
        let fewest = Infinity;
        const done = /web-0 has been DOWN(.*\n)*.*done in/;
        while (!done.test(scaler.printed()) && scaler.isRunning()) {
            fewest = Math.min(fewest, await dropletCount());
            // Others need the API, too. A droplet takes longer than that to boot.
            await sleep(2000);
        }
        // The load balancer is one.
        expect(fewest).toBe(others.length + 2);
        const now = await names();
        expect(now).toEqual([...others, expect.stringMatching(/^web-[35]$/)]);
        await expectConverged(site.world, site.url, now);
    });

    it("replaces no more than it may in an hour, and says so loudly", async () => {
        const { id } = await dropletNamed(site.world, "web-2");
        await inDroplet(site.world, id, "systemctl stop nginx");
        await untilSaid(scaler, /web-2 has been DOWN .*, and 2 were replaced within an hour/);
        const poll = { timeout: 60_000, interval: 3000 };
        await expect.poll(status, poll).toMatch(/^autoscaler .*as many as heal\.perHour allows/m);
        await inDroplet(site.world, id, "systemctl start nginx");
        await expectConverged(site.world, site.url, ["web-2", "web-3", "web-4", "web-5"]);
        await visitors?.stop();
        expect(visitors?.failures.filter((failure) => !failure.includes(`GET ${slowPath}:`))).toEqual([]);
        expect(visitors?.failures.length).toBeLessThanOrEqual(2 * Visitors.streams);
    });

    it("changes nothing where only the way to the load balancer is broken", async () => {
        visitors = new Visitors(site.url);
        const { id } = await dropletNamed(site.world, "load-balancer");
        const changes = (await historyOf(site.world)).length;
        // Those that are logged in, too.
        await onBalancer("systemctl stop ssh && pkill sshd");
        await untilSaid(scaler, /nothing is seen since \d+ looks, so nothing is changed/);
        await sleep(2 * autoscale.heal.downSeconds * 1000);
        await onBalancer("systemctl start ssh");
        const seenAgain = /nothing is seen since(.*\n)*.*busy 0/;
        await untilSaid(scaler, seenAgain, { seconds: 120 });
        expect((await dropletNamed(site.world, "load-balancer")).id).toBe(id);
        expect(await historyOf(site.world)).toHaveLength(changes);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("rebuilds a load balancer whose droplet was destroyed, at the same address", async () => {
        const { id } = await dropletNamed(site.world, "load-balancer");
        await callApi(site.world, "DELETE", `/v2/droplets/${id}`);
        const servers = await names();
        await expect.poll(async () => (await get(site.url)).status).toBeUndefined();
        await untilSaid(scaler, /the load balancer has not answered for .*: it is replaced/);
        await expect
            .poll(async () => (await get(site.url)).status, { timeout: 300_000, interval: 1000 })
            .toBe(200);
        await untilSaid(scaler, /load balancer has not answered(.*\n)*.*done in/);
        expect((await site.world.outputs()).url).toBe(site.url);
        await expectConverged(site.world, site.url, servers);
        // It watches the new one.
        await expect.poll(status, { timeout: 60_000, interval: 3000 }).toMatch(/^autoscaler \(.*\): busy/m);
    });

    it("is missed when it dies without a word", async () => {
        process.kill(scaler.pid, "SIGKILL");
        const poll = { timeout: 180_000, interval: 3000 };
        await expect
            .poll(status, poll)
            .toMatch(/^the autoscaler .* has not been heard of for .*: nothing scales/m);
    });
});
