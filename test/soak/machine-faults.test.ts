import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
    callApi,
    dropletNamed,
    expectConverged,
    inDroplet,
    onLoadBalancer,
    upWhileSshRefuses,
} from "../faults.mts";
import { makeWorld, up, upEndsWell, type World } from "../world.mts";
import { get, serversAnswering, slowPath, Visitors } from "../e2e/client";
import { serveSlowly } from "../e2e/site";

/**
 * Machines fail, in the middle of a change and behind Pulumi's back. Nobody who asks for a page notices, and the next
 * `up` ends where the config says. Every step builds on the last.
 */
describe("when a machine fails", () => {
    let world: World;
    let made: World | undefined;
    let url: string;
    let visitors: Visitors;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2 });
        serveSlowly(world.folder);
        await upEndsWell(world);
        url = (await world.outputs()).url;
    });
    afterAll(async () => {
        await made?.close();
    });
    beforeEach(() => {
        visitors = new Visitors(url);
    });
    afterEach(async () => {
        await visitors.stop();
    });

    const act = async (droplet: string, type: string) => {
        const { id } = await dropletNamed(world, droplet);
        await callApi(world, "POST", `/v2/droplets/${id}/actions`, { type });
    };
    /** Answers that a dead server had begun are cut; nothing else may fail. */
    async function onlyStreamsWereCut(): Promise<void> {
        await visitors.stop();
        expect(visitors.failures.filter((failure) => !failure.includes(`GET ${slowPath}:`))).toEqual([]);
        expect(visitors.failures.length).toBeLessThanOrEqual(Visitors.streams);
    }

    it("waits for a load balancer whose SSH refuses", async () => {
        await upWhileSshRefuses(world, 10);
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("grows while a server is sick: its process was killed", async () => {
        const { id } = await dropletNamed(world, "web-0");
        await inDroplet(world, id, "systemctl kill --signal=KILL nginx");
        await sleep(3000);
        await world.configure({ replicas: 3 });
        await upEndsWell(world);
        expect(await serversAnswering(url, 2)).toEqual(["web-1", "web-2"]);
        await onlyStreamsWereCut();
    });

    it("replaces a sick server and one that was powered off by one line of config", async () => {
        await act("web-1", "power_off");
        await sleep(3000);
        await world.configure({ retired: [0, 1] });
        await upEndsWell(world);
        await expectConverged(world, url, ["web-2", "web-3", "web-4"]);
        await onlyStreamsWereCut();
    });

    it("makes a server again that somebody deleted", async () => {
        const { id } = await dropletNamed(world, "web-3");
        await callApi(world, "DELETE", `/v2/droplets/${id}`);
        await sleep(3000);
        await upEndsWell(world, "--refresh");
        await expectConverged(world, url, ["web-2", "web-3", "web-4"]);
        await onlyStreamsWereCut();
    });

    it("goes on after the load balancer was cut off while it got its new haproxy.cfg", async () => {
        await visitors.stop();
        await world.configure({ replicas: 4 });
        const running = up(world);
        const isAsking = "grep -q asking /run/dropscale-haproxy.lock && echo yes";
        while ((await onLoadBalancer(world, isAsking).catch(() => "")) === "") await sleep(200);
        await act("load-balancer", "power_cycle");
        const { code, text } = await running;
        expect(code).not.toBe(0);
        expect(text).toMatch(
            /remote:Command \(haproxy\):\n.*error: wait: remote command exited without exit status/,
        );
        // It serves what it had.
        while ((await get(url)).status !== 200) await sleep(200);
        expect(await serversAnswering(url, 3)).toEqual(["web-2", "web-3", "web-4"]);
        await upEndsWell(world);
        await expectConverged(world, url, ["web-2", "web-3", "web-4", "web-5"]);
    });
});
