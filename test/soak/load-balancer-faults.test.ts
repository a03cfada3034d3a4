import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Visitors } from "../e2e/client";
import { serveSlowly } from "../e2e/site";
import {
    callApi,
    dropletNamed,
    expectConverged,
    inDroplet,
    upWhileSshRefuses,
    withFaults,
} from "../faults.mts";
import { makeWorld, up, upEndsWell, type World } from "../world.mts";

/** What fails on a load balancer, and while its droplet is replaced. Every step builds on the last. */
describe("when a load balancer fails or is replaced", () => {
    let world: World;
    let made: World | undefined;
    let url: string;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 3 });
        serveSlowly(world.folder);
        await upEndsWell(world);
        url = (await world.outputs()).url;
    });
    afterAll(async () => {
        await made?.close();
    });

    it("waits for one whose SSH refuses for a minute", async () => {
        const visitors = new Visitors(url);
        await upWhileSshRefuses(world, 60);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("serves from the first one when the address can't be moved", async () => {
        const { id: first } = await dropletNamed(world, "load-balancer");
        const visitors = new Visitors(url);
        await world.configure({ loadBalancerSize: "s-1vcpu-2gb" });
        const { code, text } = await withFaults(
            world,
            [{ on: "action assign_ip", error: "the network is busy" }],
            () => up(world),
        );
        expect(code).not.toBe(0);
        expect(text).toMatch(/ReservedIpAssignment \(address\):\n.*\n?.*assign by .* failed: .*"errored"/);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);

        const movers = new Visitors(url);
        await upEndsWell(world);
        await movers.stop();
        // What is under way at the move is cut, once for each client.
        expect(movers.failures.length, movers.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect((await dropletNamed(world, "load-balancer")).id).not.toBe(first);
        await expectConverged(world, url, ["web-0", "web-1", "web-2"]);
    });

    it("lets the second one serve though a server is sick", async () => {
        const { id } = await dropletNamed(world, "web-0");
        await inDroplet(world, id, "systemctl stop nginx");
        await sleep(3000);
        const visitors = new Visitors(url);
        await world.configure({ loadBalancerSize: undefined });
        const text = await upEndsWell(world);
        await visitors.stop();
        expect(text).toMatch(/warning: no good answer, left to HAProxy's own check: web-0 \(/);
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        await inDroplet(world, id, "systemctl start nginx");
        await expectConverged(world, url, ["web-0", "web-1", "web-2"]);
    });

    it("is made again with the same address when somebody deleted it", async () => {
        const { id } = await dropletNamed(world, "load-balancer");
        await callApi(world, "DELETE", `/v2/droplets/${id}`);
        await upEndsWell(world, "--refresh");
        expect((await world.outputs()).url).toBe(url);
        await expectConverged(world, url, ["web-0", "web-1", "web-2"]);
    });
});
