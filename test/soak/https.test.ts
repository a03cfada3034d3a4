import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Authority, rootsFile } from "../../sandbox/region/authority.ts";
import { get, type Tls, Visitors } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { callApi, dropletNamed, onLoadBalancer } from "../faults.mts";
import { up, upEndsWell } from "../world.mts";

const name = "www.example.com";

/** A certificate of an authority through what takes minutes, each step on the last; visitors of HTTP in all of it. */
describe("a site whose certificate comes by itself", () => {
    const site = servedSite({ replicas: 1 });
    // A load balancer that is replaced cuts what is in flight.
    visitedThroughout(site, ({ failures }) => {
        expect(failures.length, failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
    });
    let address = "";
    const tls = (): Tls => ({ servername: name, ca: readFileSync(rootsFile(site.world.instance), "utf8") });
    const ask = async () => {
        const answer = await get(`https://${address}/`, { tls: tls(), headers: { host: name } });
        return answer.status ?? answer.error;
    };
    const redirect = async () =>
        (await get(`http://${address}/`, { headers: { host: name } })).headers?.location;
    const served = () =>
        onLoadBalancer(site.world, "cat /etc/dropscale/acme/issued 2>/dev/null || echo none");

    beforeAll(async () => {
        address = (await site.world.outputs()).loadBalancerIp;
    });

    it("goes up while DNS leads nowhere, with a warning, and has it by itself when DNS is right", async () => {
        await callApi(site.world, "POST", "/v2/domains", { name: "example.com" });
        const roots = rootsFile(site.world.instance);
        await expect.poll(() => existsSync(roots), { timeout: 180_000 }).toBe(true);
        await site.world.configure({ domains: [name], acmeEmail: "me@example.com", acmeServer: "staging" });
        const text = await upEndsWell(site.world);
        expect(text).toContain(
            `warning: no certificate yet for ${name}: ${name}: not a name of this load balancer yet`,
        );
        expect(await redirect()).toBeUndefined();
        const record = { type: "A", name: "www", data: address, ttl: 30 };
        await callApi(site.world, "POST", "/v2/domains/example.com/records", record);
        await expect.poll(ask, { timeout: 300_000, interval: 2000 }).toBe(200);
        expect(await redirect()).toBe(`https://${name}/`);
    });

    it("renews it when a third of its five minutes is left, and no visitor notices", async () => {
        const before = await served();
        const visitors = new Visitors(`https://${address}`, tls());
        await expect.poll(served, { timeout: 400_000, interval: 5000 }).not.toBe(before);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("has it on a new load balancer before the address moves, or the address does not move", async () => {
        await site.world.configure({ acmeServer: undefined });
        await upEndsWell(site.world);
        expect(await ask()).toBe(200);
        const { id } = await dropletNamed(site.world, "load-balancer");
        const authority = new Authority(site.world.instance, console.error);
        await authority.stop();
        await site.world.configure({ loadBalancerSize: "s-1vcpu-2gb" });
        const refused = await up(site.world);
        expect(refused.code).not.toBe(0);
        expect(refused.text).toContain(
            `https://${name}/ works now, and this load balancer has no certificate`,
        );
        expect(await ask()).toBe(200);

        authority.follow({ domains: [{ name: "example.com" }] as never });
        // Another process, with roots of its own, which droplets come to trust.
        const roots = tls().ca;
        await expect.poll(() => tls().ca, { timeout: 60_000 }).not.toBe(roots);
        const visitors = new Visitors(`https://${address}`, tls());
        await upEndsWell(site.world).finally(() => visitors.stop());
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect(visitors.failures.join()).not.toMatch(/certificate|self.signed/i);
        expect((await dropletNamed(site.world, "load-balancer")).id).not.toBe(id);
        expect(await ask()).toBe(200);
    });
});
