import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { ensureHostPackages, run } from "../../sandbox/host.ts";
import { rootsFile } from "../../sandbox/region/authority.ts";
import { AUTHORITY_IN_ROUTER } from "../../sandbox/region/names.ts";
import { openInChromium } from "../chromium.mts";
import { get, type Tls, Visitors } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { callApi, dropletNamed, onLoadBalancer } from "../faults.mts";
import { testssl } from "../testssl.mts";
import { startTlsLoad } from "../tls-load.mts";
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
    const ask = async (host = name) => {
        const answer = await get(`https://${address}/`, {
            tls: { ...tls(), servername: host },
            headers: { host },
        });
        return answer.status ?? answer.error;
    };
    const redirect = async (host = name) =>
        (await get(`http://${address}/`, { headers: { host } })).headers?.location;
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
    const lead = async (record = "www") => {
        const { domain_records: all } = (await site.world.api("domains/example.com/records")) as {
            domain_records: { name: string; data: string }[];
        };
        if (all.some((one) => one.name === record && one.data === address)) return;
        const made = { type: "A", name: record, data: address, ttl: 30 };
        await callApi(site.world, "POST", "/v2/domains/example.com/records", made);
    };
    /** Whether the authority can be reached. */
    const connectAuthority = (state: "up" | "down") =>
        run("ip", ["-n", site.world.instance.id, "link", "set", AUTHORITY_IN_ROUTER, state]);

    beforeAll(async () => {
        const needs = {
            ...{ wrk: "wrk", h2load: "nghttp2-client", testssl: "testssl.sh" },
            ...{ chromium: "chromium", certutil: "libnss3-tools" },
        };
        await ensureHostPackages({ log: console.error, needs });
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
        const load = startTlsLoad(`https://${address}/`, name);
        await expect.poll(served, { timeout: 400_000, interval: 5000 }).not.toBe(before);
        await visitors.stop();
        const counts = await load.stop();
        console.log("renewed under", counts);
        expect(visitors.failures).toEqual([]);
        for (const [kind, { requests, failures }] of Object.entries(counts)) {
            expect(failures, kind).toBe("");
            expect(requests, kind).toBeGreaterThan(1000);
        }
    });

    it("goes up while the authority can't be reached, with a warning; the new name is served over HTTP until it can", async () => {
        const other = "other.example.com";
        await lead("other");
        await site.world.configure({ domains: [name, other] });
        await connectAuthority("down");
        let text: string;
        try {
            text = await upEndsWell(site.world);
        } finally {
            await connectAuthority("up");
        }
        expect(text).toMatch(
            /warning: no certificate yet for other\.example\.com: the authority gives none for www\.example\.com other\.example\.com: /,
        );
        expect(await redirect(other)).toBeUndefined();
        const plain = await get(`http://${address}/`, { headers: { host: other } });
        expect(plain).toMatchObject({ status: 200 });
        await expect.poll(() => ask(other), { timeout: 400_000, interval: 2000 }).toBe(200);
        expect([await ask(), await redirect(other)]).toEqual([200, `https://${other}/`]);
    });

    it("has it on a new load balancer before the address moves, or the address does not move", async () => {
        await site.world.configure({ domains: [name], acmeServer: undefined, hsts: 31_536_000 });
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
        await visitors.during(upEndsWell(site.world));
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect(visitors.failures.join()).not.toMatch(/certificate|self.signed/i);
        expect((await dropletNamed(site.world, "load-balancer")).id).not.toBe(id);
        expect(await ask()).toBe(200);
    });

    it("is what a browser calls secure: redirected, TLS 1.3, HTTP/2, nothing to complain of", async () => {
        const { screenshot, ...page } = await openInChromium(`http://${name}/`, address, tls().ca);
        const file = path.join(mkdtempSync(path.join(tmpdir(), "dropscale-https-")), "https.png");
        writeFileSync(file, screenshot);
        console.log(`screenshot: ${file}`);
        expect(page).toEqual({
            ...{
                url: `https://${name}/`,
                security: "secure",
                tls: "TLS 1.3",
                protocol: "h2",
                complaints: [],
            },
        });
    });

    it("gives testssl.sh nothing to say above LOW", async () => {
        expect(await testssl(name, address, rootsFile(site.world.instance))).toEqual([]);
    });
});
