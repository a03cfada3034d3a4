import { describe, expect, it } from "vitest";
import { get, Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { onLoadBalancer } from "../faults.mts";
import { upEndsWell } from "../world.mts";

/** What somebody does to haproxy.cfg by hand is found, and fixed as the drift check says. The tests build on each other. */
describe("haproxy.cfg edited on the load balancer", () => {
    const site = servedSite({ replicas: 2 });

    const drift = () => site.world.tool("drift", ["test"]);
    const fix = ["--replace", "**:Command::haproxy-staged"];
    const running = "echo '@1 show info' | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock";

    it("is no drift before", async () => {
        const { code, text } = await drift();
        expect({ code, text }).toEqual({ code: 0, text: "test: no drift, all is as Pulumi made it\n" });
    });

    it("is found, not fixed by a plain `up`, and fixed without losing a request as the check says", async () => {
        const visitors = new Visitors(site.url);
        await onLoadBalancer(
            site.world,
            "sed -i 's/maxconn 6000/maxconn 7000/' /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
        );
        const found = await drift();
        expect(found.code, found.text).toBe(2);
        expect(found.text).toContain("haproxy.cfg load balancer was edited on the host");
        expect(found.text).toContain("-    maxconn 6000\n    +    maxconn 7000");
        expect(found.text).toContain(`pulumi up --replace '${fix[1] ?? ""}' --stack test`);

        await upEndsWell(site.world);
        expect((await drift()).code).toBe(2);
        await upEndsWell(site.world, ...fix);
        const fixed = await drift();
        expect(fixed.code, fixed.text).toBe(0);
        expect(await onLoadBalancer(site.world, running)).toContain("Maxconn: 6000");
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
        expect(visitors.requests).toBeGreaterThan(100);
    });

    it("and a HAProxy that was stopped is found, and started", async () => {
        await onLoadBalancer(site.world, "systemctl stop haproxy");
        const found = await drift();
        expect(found.code, found.text).toBe(2);
        expect(found.text).toContain("is as Pulumi wrote it, but HAProxy does not run it");
        await upEndsWell(site.world, ...fix);
        expect((await drift()).code).toBe(0);
        expect((await get(site.url)).status).toBe(200);
    });
});
