import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import {
    callApi,
    dropletNamed,
    expectConverged,
    inDroplet,
    upWhileSshRefuses,
    withFaults,
} from "../faults.mts";
import { up, upEndsWell } from "../world.mts";

/** What fails on a load balancer, and while its droplet is replaced. Every step builds on the last. */
describe("when a load balancer fails or is replaced", () => {
    const site = servedSite({ replicas: 3 });

    it("waits for one whose SSH refuses for a minute", async () => {
        const visitors = new Visitors(site.url);
        await upWhileSshRefuses(site.world, 60);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("serves from the first one when the address can't be moved", async () => {
        const { id: first } = await dropletNamed(site.world, "load-balancer");
        const visitors = new Visitors(site.url);
        await site.world.configure({ loadBalancerSize: "s-1vcpu-2gb" });
        const { code, text } = await withFaults(
            site.world,
            [{ on: "action assign_ip", error: "the network is busy" }],
            () => up(site.world),
        );
        expect(code).not.toBe(0);
        expect(text).toMatch(/ReservedIpAssignment \(address\):\n.*\n?.*assign by .* failed: .*"errored"/);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);

        const movers = new Visitors(site.url);
        await upEndsWell(site.world);
        await movers.stop();
        // What is under way at the move is cut, once for each client.
        expect(movers.failures.length, movers.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect((await dropletNamed(site.world, "load-balancer")).id).not.toBe(first);
        await expectConverged(site.world, site.url, ["web-0", "web-1", "web-2"]);
    });

    it("lets the second one serve though a server is sick", async () => {
        const { id } = await dropletNamed(site.world, "web-0");
        await inDroplet(site.world, id, "systemctl stop nginx");
        await sleep(3000);
        const visitors = new Visitors(site.url);
        await site.world.configure({ loadBalancerSize: undefined });
        const text = await upEndsWell(site.world);
        await visitors.stop();
        expect(text).toMatch(/warning: no good answer, left to HAProxy's own check: web-0 \(/);
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        await inDroplet(site.world, id, "systemctl start nginx");
        await expectConverged(site.world, site.url, ["web-0", "web-1", "web-2"]);
    });

    it("is made again with the same address when somebody deleted it", async () => {
        const { id } = await dropletNamed(site.world, "load-balancer");
        await callApi(site.world, "DELETE", `/v2/droplets/${id}`);
        await upEndsWell(site.world, "--refresh");
        expect((await site.world.outputs()).url).toBe(site.url);
        await expectConverged(site.world, site.url, ["web-0", "web-1", "web-2"]);
    });
});
