import { describe, expect, it } from "vitest";
import { runOverSsh } from "../../tools/live/ssh";
import { serversAnswering, Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { dropletNamed, expectConverged, inDroplet, onLoadBalancer } from "../faults.mts";
import { up, upEndsWell } from "../world.mts";

const names = ["load-balancer", "web-0", "web-1"];

/** New keys for a stack that serves: the commands of docs/operations.md, on droplets that boot. */
describe("a stack whose keys are rotated", () => {
    const site = servedSite({ replicas: 2 });

    const idsOf = () => Promise.all(names.map(async (name) => (await dropletNamed(site.world, name)).id));

    /** `up` that replaces a key's command; visitors lose at most what is in flight when the address moves. */
    async function rotate(key: string): Promise<void> {
        const visitors = new Visitors(site.url);
        await visitors.during(upEndsWell(site.world, "--replace", `**::${key}`));
        expect(visitors.requests).toBeGreaterThan(0);
        expect(visitors.failures.length, visitors.failures.join("\n")).toBeLessThanOrEqual(Visitors.clients);
        await expectConverged(site.world, site.url, ["web-0", "web-1"]);
    }

    it("has a new deploy key in the account and on every droplet, each replaced; the old one opens nothing", async () => {
        const before = { ids: await idsOf(), outputs: await site.world.outputs() };
        await rotate("keys-deploy");
        const ids = await idsOf();
        expect(ids.filter((id) => before.ids.includes(id))).toEqual([]);

        const outputs = await site.world.outputs();
        expect(outputs.deployKey).not.toBe(before.outputs.deployKey);
        expect(outputs.hostKey).toBe(before.outputs.hostKey);
        const { ssh_keys: inAccount } = (await site.world.api("account/keys")) as {
            ssh_keys: { public_key: string }[];
        };
        expect(inAccount).toHaveLength(1);
        const [, key = "nothing"] = inAccount[0]?.public_key.split(" ") ?? [];
        for (const id of ids) {
            const authorized = await inDroplet(site.world, id, "cat /root/.ssh/authorized_keys");
            expect(authorized.trim().split("\n")).toEqual([expect.stringContaining(key)]);
        }
        expect(await onLoadBalancer(site.world, "hostname")).toMatch(/^load-balancer-/);
        const host = { host: outputs.loadBalancerIp, hostKey: outputs.hostKey };
        await expect(runOverSsh("true", { ...host, privateKey: before.outputs.deployKey })).rejects.toThrow(
            /authentication methods failed/,
        );
    });

    it("has a new host key on a new load balancer, and the same servers, even where the old one is not trusted", async () => {
        const before = { ids: await idsOf(), outputs: await site.world.outputs() };
        await onLoadBalancer(
            site.world,
            "cd /etc/ssh && rm ssh_host_* && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key",
        );
        await inDroplet(site.world, before.ids[0] ?? 0, "systemctl restart ssh");
        const refused = await up(site.world);
        expect(refused.code).not.toBe(0);
        expect(refused.text).toContain("it shows the host key SHA256:");
        await rotate("keys-host");
        const [loadBalancer, ...servers] = await idsOf();
        expect(before.ids).not.toContain(loadBalancer);
        expect(servers).toEqual(before.ids.slice(1));
        expect((await site.world.outputs()).hostKey).not.toBe(before.outputs.hostKey);
        expect(await onLoadBalancer(site.world, "hostname")).toMatch(/^load-balancer-/);
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-1"]);
    });

    it("changes nothing at the next up", async () => {
        await upEndsWell(site.world, "--expect-no-changes");
    });
});
