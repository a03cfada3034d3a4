import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { checkCertificate } from "../../lib/certificate";
import { issue } from "../certificates";
import { rootsFile } from "../../sandbox/region/authority.ts";
import { searchDroplet } from "../droplet-secrets.mts";
import { callApi, dropletNamed, inDroplet, onLoadBalancer } from "../faults.mts";
import { SecretSearch, watchProcesses } from "../secrets.mts";
import { upEndsWell } from "../world.mts";
import { connects, get, type Tls, Visitors } from "./client";
import { servedSite, visitedThroughout } from "./served-site";

const authority = issue(["Authority"], { kind: "ca" });
const [first, second] = [["www.example.com"], ["www.example.com", "example.com"]].map((names) =>
    issue(names, { issuer: authority }),
);
const tlsOf = (servername: string): Tls => ({ servername, ca: authority.certificate });

/** From HTTP to HTTPS, first with a certificate of its own and then with an authority's, and back, with visitors of HTTP by address through all of it. */
describe("a site with names", () => {
    const site = servedSite({ replicas: 1 });
    visitedThroughout(site);
    const address = async () => (await site.world.outputs()).loadBalancerIp;
    const take = async (issued: typeof first, domains: string[]) => {
        await site.world.configure({ domains });
        await site.world.configureSecret("tlsCertificate", `${issued?.certificate}${authority.certificate}`);
        await site.world.configureSecret("tlsKey", issued?.key ?? "");
        const text = await upEndsWell(site.world);
        const { certificate, url } = await site.world.outputs();
        expect(url).toBe("https://www.example.com");
        const facts = checkCertificate(issued?.certificate ?? "", issued?.key ?? "", domains).facts;
        expect(certificate?.fingerprint).toBe(facts?.fingerprint);
        return text;
    };
    const redirectOf = async (host: string) =>
        (await get(`http://${await address()}/a`, { headers: { host } })).headers?.location;
    /** What commands printed since the authority is known, and the processes that ran. */
    const printed: string[] = [];
    let stopWatching: ReturnType<typeof watchProcesses> | undefined;
    const status = async (servername: string) => {
        const tls = tlsOf(servername);
        const answer = await get(`https://${await address()}/`, { tls, headers: { host: servername } });
        return answer.status ?? answer.error;
    };

    it("comes to HTTPS: visitors are sent there, and browsers trust it", async () => {
        const text = await take(first, ["www.example.com"]);
        // As the region's DNS says, which knows no such name yet.
        expect(text).toContain("warning: www.example.com has no address in DNS: it should have one A record");
        expect(await status("www.example.com")).toBe(200);
        expect(await redirectOf("www.example.com")).toBe("https://www.example.com/a");
        expect(await redirectOf("example.com")).toBeUndefined();
    });

    it("takes another certificate and another name, and visitors of HTTPS don't notice", async () => {
        const visitors = new Visitors(`https://${await address()}`, tlsOf("www.example.com"));
        const text = await take(second, ["www.example.com", "example.com"]);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
        expect(visitors.requests).toBeGreaterThan(10);
        // No reload: haproxy.cfg is the same.
        expect(text).not.toContain("reloaded");
        expect(await status("example.com")).toBe(200);
        expect(await redirectOf("example.com")).toBe("https://example.com/a");
    });

    it("gets one from an authority in the place of its own, with a key that never leaves the load balancer", async () => {
        await callApi(site.world, "POST", "/v2/domains", { name: "example.com" });
        const roots = rootsFile(site.world.instance);
        await expect.poll(() => existsSync(roots), { timeout: 180_000 }).toBe(true);
        const both = { ...tlsOf("www.example.com"), ca: authority.certificate + readFileSync(roots, "utf8") };
        const visitors = new Visitors(`https://${await address()}`, both);
        const own = { tlsCertificate: undefined, tlsKey: undefined };
        await site.world.configure({
            ...own,
            domains: ["www.example.com"],
            acmeEmail: "me@example.com",
            dnsZone: "example.com",
        });
        stopWatching = watchProcesses();
        printed.push(await upEndsWell(site.world, "--diff"));
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
        const { certificate } = await site.world.outputs();
        expect(certificate).toMatchObject({
            names: ["www.example.com"],
            issuer: expect.stringContaining("Pebble") as string,
        });
        const answer = await get(`https://${await address()}/`, {
            tls: { ...both, ca: readFileSync(roots, "utf8") },
            headers: { host: "www.example.com" },
        });
        expect(answer).toMatchObject({ status: 200 });
        // The name that is no longer there is no longer redirected.
        expect(await redirectOf("www.example.com")).toBe("https://www.example.com/a");
        expect(await redirectOf("example.com")).toBeUndefined();
        const timer = "systemctl is-active dropscale-certificate.timer";
        expect(await onLoadBalancer(site.world, timer)).toBe("active\n");
        const { text } = await site.world.tool("status", ["test"]);
        expect(text).toMatch(/certificate: www\.example\.com, by Pebble.*, 89 days left; last tried .*: ok/);
        const drift = await site.world.tool("drift", ["test"]);
        expect(drift.text).not.toContain("certificate");
        printed.push(text, drift.text);
    });

    it("keeps the keys of the account and of the certificate to root on the load balancer", async () => {
        const { id } = await dropletNamed(site.world, "load-balancer");
        const read = (file: string) => inDroplet(site.world, id, `cat ${file}`);
        const keyOf = async (file: string) =>
            /-----BEGIN EC PRIVATE KEY-----[^]+/.exec(await read(file))?.[0] ?? "";
        const [account, own] = ["/etc/dropscale/acme/account.key", "/etc/haproxy/certs/site.pem"];
        const secrets = [
            { name: "account", value: await keyOf(account) },
            { name: "certificate", value: await keyOf(own) },
        ];
        const search = new SecretSearch(secrets);
        const seen = await searchDroplet(site.world, id, search.patterns);
        expect(seen.files.splice(0, 2)).toEqual(["root /root/.canary", "anybody /tmp/.canary"]);
        const staged = /^root \/etc\/haproxy\/staged-certificates\/[\w-]+\.secret$/;
        expect(seen).toEqual({
            files: [`root ${account}`, `root ${own}`, expect.stringMatching(staged)],
            ...{ logs: [], processes: [] },
        });
        const { id: server } = await dropletNamed(site.world, "web-0");
        expect((await searchDroplet(site.world, server, search.patterns)).files).toHaveLength(2);

        const exported = await site.world.pulumi(["stack", "export"]);
        expect([...printed, exported.text].flatMap((text) => search.inText("printed", text))).toEqual([]);
        const { looks, leaks } = stopWatching?.(search) ?? { looks: 0, leaks: [] };
        expect(looks).toBeGreaterThan(20);
        expect(leaks).toEqual([]);
        // The droplets' disks are the droplets.
        const root = path.dirname(site.world.folder);
        const isLeftOut = (file: string) =>
            file === path.join(root, "sandbox/droplets") || file.endsWith("/node_modules");
        expect(search.inFolder(root, isLeftOut)).toEqual([]);
    });

    it("goes back to HTTP alone", async () => {
        await site.world.configure({ domains: undefined, acmeEmail: undefined, dnsZone: undefined });
        const text = await upEndsWell(site.world);
        expect(text).toContain("will no longer listen on :443");
        expect(await connects(await address(), 443)).toBe(false);
        expect(await redirectOf("www.example.com")).toBeUndefined();
        expect((await site.world.outputs()).certificate).toBeUndefined();
        expect(JSON.stringify(await site.world.api("domains/example.com/records"))).not.toContain('"A"');
    });
});
