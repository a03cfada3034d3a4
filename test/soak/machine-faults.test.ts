import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import {
    callApi,
    dropletNamed,
    expectConverged,
    inDroplet,
    onLoadBalancer,
    upWhileSshRefuses,
} from "../faults.mts";
import { up, upEndsWell } from "../world.mts";
import { get, serversAnswering, slowPath, Visitors } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";

/**
 * Machines fail, in the middle of a change and behind Pulumi's back. Nobody who asks for a page notices, and the next
 * `up` ends where the config says. Every step builds on the last.
 */
describe("when a machine fails", () => {
    const site = servedSite({ replicas: 2 });
    const visitors = visitedThroughout(site, () => undefined);

    const act = async (droplet: string, type: string) => {
        const { id } = await dropletNamed(site.world, droplet);
        await callApi(site.world, "POST", `/v2/droplets/${id}/actions`, { type });
    };
    /** Answers that a dead server had begun are cut; nothing else may fail. */
    async function onlyStreamsWereCut(): Promise<void> {
        await visitors().stop();
        expect(visitors().failures.filter((failure) => !failure.includes(`GET ${slowPath}:`))).toEqual([]);
        expect(visitors().failures.length).toBeLessThanOrEqual(Visitors.streams);
    }

    it("waits for a load balancer whose SSH refuses", async () => {
        await upWhileSshRefuses(site.world, 10);
        await visitors().stop();
        expect(visitors().failures).toEqual([]);
    });

    it("grows while a server is sick: its process was killed", async () => {
        const { id } = await dropletNamed(site.world, "web-0");
        await inDroplet(site.world, id, "systemctl kill --signal=KILL nginx");
        await sleep(3000);
        await site.world.configure({ replicas: 3 });
        await upEndsWell(site.world);
        expect(await serversAnswering(site.url, 2)).toEqual(["web-1", "web-2"]);
        await onlyStreamsWereCut();
    });

    it("replaces a sick server and one that was powered off by one line of config", async () => {
        await act("web-1", "power_off");
        await sleep(3000);
        await site.world.configure({ retired: [0, 1] });
        await upEndsWell(site.world);
        await expectConverged(site.world, site.url, ["web-2", "web-3", "web-4"]);
        await onlyStreamsWereCut();
    });

    it("makes a server again that somebody deleted", async () => {
        const { id } = await dropletNamed(site.world, "web-3");
        await callApi(site.world, "DELETE", `/v2/droplets/${id}`);
        await sleep(3000);
        await upEndsWell(site.world, "--refresh");
        await expectConverged(site.world, site.url, ["web-2", "web-3", "web-4"]);
        await onlyStreamsWereCut();
    });

    it("goes on after the load balancer was cut off while it got its new haproxy.cfg", async () => {
        await visitors().stop();
        // It goes on asking the new server until then, however early that one is ready; gone with the restart.
        const { id } = await dropletNamed(site.world, "load-balancer");
        await inDroplet(
            site.world,
            id,
            "nft 'table inet hold { chain out { type filter hook output priority 0; tcp dport 22 drop; }; }'",
        );
        await site.world.configure({ replicas: 4 });
        const running = up(site.world);
        const isAsking = "grep -q asking /run/dropscale-haproxy.lock && echo yes";
        while ((await onLoadBalancer(site.world, isAsking).catch(() => "")) === "") await sleep(200);
        await act("load-balancer", "power_cycle");
        const { code, text } = await running;
        expect(code).not.toBe(0);
        expect(text).toMatch(
            /remote:Command \(haproxy\):\n.*error: wait: remote command exited without exit status/,
        );
        // It serves what it had.
        while ((await get(site.url)).status !== 200) await sleep(200);
        expect(await serversAnswering(site.url, 3)).toEqual(["web-2", "web-3", "web-4"]);
        await upEndsWell(site.world);
        await expectConverged(site.world, site.url, ["web-2", "web-3", "web-4", "web-5"]);
    });
});
