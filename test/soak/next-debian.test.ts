import { describe, expect, it } from "vitest";
import { get, serversAnswering, Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { dropletNamed, inDroplet, onLoadBalancer } from "../faults.mts";
import { upEndsWell } from "../world.mts";

const next = "debian-13-x64";

/** The way of a running stack to the next Debian, and its HAProxy 3.0: the load balancer first, then the servers. */
describe("the next Debian", () => {
    const site = servedSite({ replicas: 1 });

    /** `up` with a change, and what visitors noticed of it. */
    async function failuresOf(change: Record<string, unknown>): Promise<string[]> {
        await site.world.configure(change);
        const visitors = new Visitors(site.url);
        await visitors.during(upEndsWell(site.world));
        expect(visitors.requests).toBeGreaterThan(0);
        return visitors.failures;
    }

    it("becomes the load balancer's: set up as before, with what is cut at the move", async () => {
        expect(await onLoadBalancer(site.world, "haproxy -v")).toMatch(/^HAProxy version 2\.6/);
        const failures = await failuresOf({ loadBalancerImage: next });
        expect(failures.length, failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        expect(await onLoadBalancer(site.world, "haproxy -v")).toMatch(/^HAProxy version 3\.0/);
        expect(await onLoadBalancer(site.world, "cat /etc/debian_version")).toMatch(/^13/);
        expect(await serversAnswering(site.url, 1)).toEqual(["web-0"]);
    });

    it("has the same doors: keys alone, and metadata for root alone", async () => {
        const { id } = await dropletNamed(site.world, "load-balancer");
        const onHost = (command: string) => inDroplet(site.world, id, command);
        const settings = await onHost("sshd -T -C user=root,host=x,addr=203.0.113.9");
        expect(settings).toMatch(/^authenticationmethods publickey$/m);
        expect(settings).toMatch(/^permitrootlogin without-password$/m);
        expect(await onHost("passwd --status root")).toMatch(/^root L /);
        expect(await onHost("apt-mark showhold")).toBe("haproxy\n");
        const ask = "curl -s --max-time 5 http://169.254.169.254/metadata/v1/id";
        expect(await onHost(ask)).toBe(String(id));
        expect(await onHost(`runuser -u haproxy -- ${ask} || echo refused $?`)).toBe("refused 7\n");
    });

    it("scales as before: nobody notices, neither up nor down", async () => {
        expect(await failuresOf({ replicas: 2 })).toEqual([]);
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-1"]);
        expect(await failuresOf({ replicas: 1 })).toEqual([]);
    });

    it("becomes the servers', new before old: nobody notices", async () => {
        expect(await failuresOf({ image: next })).toEqual([]);
        const { id } = await dropletNamed(site.world, "web-0");
        expect(await inDroplet(site.world, id, "cat /etc/debian_version")).toMatch(/^13/);
        expect((await get(site.url)).status).toBe(200);
    });
});
