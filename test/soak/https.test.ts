import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { rootsFile } from "../../sandbox/region/authority.ts";
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

    /** The account has the domain, and with it the sandbox has an authority. */
    const haveDomain = async () => {
        const { domains } = (await site.world.api("domains")) as { domains: { name: string }[] };
        if (domains.length === 0) await callApi(site.world, "POST", "/v2/domains", { name: "example.com" });
        const roots = rootsFile(site.world.instance);
        await expect.poll(() => existsSync(roots), { timeout: 180_000 }).toBe(true);
    };
    /** The name leads to the load balancer. */
    const lead = async () => {
        if (JSON.stringify(await site.world.api("domains/example.com/records")).includes(address)) return;
        const record = { type: "A", name: "www", data: address, ttl: 30 };
        await callApi(site.world, "POST", "/v2/domains/example.com/records", record);
    };

    beforeAll(async () => {
        address = (await site.world.outputs()).loadBalancerIp;
    });

    it("goes up while DNS leads nowhere, with a warning, and has it by itself when DNS is right", async () => {
        await haveDomain();
        await site.world.configure({ domains: [name], acmeEmail: "me@example.com", acmeServer: "staging" });
        const text = await upEndsWell(site.world);
        expect(text).toContain(
            `warning: no certificate yet for ${name}: ${name}: not a name of this load balancer yet`,
        );
        expect(await redirect()).toBeUndefined();
        expect((await site.world.tool("status", ["test"])).text).toContain(
            "the certificate is not there yet",
        );
        const preview = async () => (await site.world.pulumi(["preview"])).text;
        expect(await preview()).toContain(`${name} has no address in DNS`);
        await lead();
        expect(await preview()).not.toContain("in DNS");
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
        await site.world.configure({ domains: [name], acmeEmail: "me@example.com", acmeServer: undefined });
        await haveDomain();
        await lead();
        await upEndsWell(site.world);
        expect(await ask()).toBe(200);
        const { id } = await dropletNamed(site.world, "load-balancer");
        const nobody = { acmeServer: "https://127.0.0.1:9/dir", loadBalancerSize: "s-1vcpu-2gb" };
        await site.world.configure(nobody);
        const refused = await up(site.world);
        expect(refused.code, refused.text).not.toBe(0);
        expect(refused.text).toContain(
            `https://${name}/ works now, and this load balancer has no certificate`,
        );
        expect(await ask()).toBe(200);

        await site.world.configure({ acmeServer: undefined });
        const visitors = new Visitors(`https://${address}`, tls());
        await upEndsWell(site.world).finally(() => visitors.stop());
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect(visitors.failures.join()).not.toMatch(/certificate|self.signed/i);
        expect((await dropletNamed(site.world, "load-balancer")).id).not.toBe(id);
        expect(await ask()).toBe(200);
    });
});
