import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it, vi } from "vitest";
import { dropletNamed, inDroplet } from "../faults.mts";
import { healthPath, jobLog, lendBriefly, makeSite, prepareServers, Reader } from "../releases.mts";
import { makeWorld, upEndsWell } from "../world.mts";

const status = async (world: Awaited<ReturnType<typeof makeWorld>>) =>
    (await world.tool("status", ["test"])).stdout;

describe("content", () => {
    const sites: string[] = [];
    afterAll(() => {
        for (const site of sites) rmSync(site, { recursive: true, force: true });
    });

    it("outlives its load balancer, is whole after a push that was cut off, and is drift where a server has another", async () => {
        const world = await makeWorld("nspawn", { replicas: 2, healthPath });
        try {
            prepareServers(world.folder);
            lendBriefly(world.folder);
            await upEndsWell(world);
            const { url, servers } = await world.outputs();
            const [one, two] = ["one", "two"].map((word) => makeSite(word));
            sites.push(one ?? "", two ?? "");
            const push = (...args: string[]) =>
                world.tool("push", [...args, "--stack", "test"], { INIT_CWD: "" });
            expect(await push(one ?? "")).toMatchObject({ code: 0 });

            // A server that comes with another load balancer: the release is on the others alone.
            const reader = new Reader(url);
            await world.configure({ loadBalancerGeneration: "b", replicas: 3 });
            expect(await upEndsWell(world)).toMatch(
                /release [0-9a-f]{16} is served, and was got from web-[01]/,
            );
            await reader.stop();
            expect(reader.seen).toEqual(new Set(["one"]));
            // What was under way when the address moved; no page of another kind.
            expect(reader.failures.filter((failure) => failure.includes("<h1>"))).toEqual([]);
            expect(await status(world)).toMatch(/content: [0-9a-f]{16} on web-0 web-1 web-2\n/);

            // Two at once: one after the other.
            const both = await Promise.all([push(two ?? ""), push(one ?? "")]);
            expect(both.filter(({ code }) => code === 0).length).toBeGreaterThan(0);
            expect(await push(two ?? "")).toMatchObject({ code: 0 });

            // By hand, on one server.
            const [first] = servers;
            await inDroplet(
                world,
                Number(first?.dropletId),
                "cd /var/lib/dropscale/site && ln -sfn releases/$(ls -tr releases | head -n 1) current",
            );
            const drift = await world.tool("drift", ["test"]);
            expect(drift.code, drift.text).toBe(2);
            expect(drift.text).toMatch(
                /Content content is not as it should be: 1 server should serve \w+: web-0 serves/,
            );
            expect(await push(two ?? "")).toMatchObject({ code: 0 });
            expect(await world.tool("drift", ["test"])).toMatchObject({ code: 0 });

            // Whoever runs what runs once falls silent, and still has its right: the next one waits until that is over.
            await vi.waitFor(
                async () => {
                    expect(await status(world)).toContain("jobs that run once: on web-0");
                },
                { timeout: 90_000, interval: 2000 },
            );
            const holder = await dropletNamed(world, "web-0");
            await inDroplet(world, holder.id, "systemctl stop ssh");
            await vi.waitFor(
                async () => {
                    expect(await status(world)).toContain("jobs that run once: on web-1");
                },
                { timeout: 180_000, interval: 2000 },
            );
            await sleep(8000);
            const times = async (id: number, what: string) =>
                [
                    ...(await inDroplet(world, id, `cat ${jobLog}`)).matchAll(
                        new RegExp(`^${what} ([\\d.]+)$`, "gm"),
                    ),
                ].map(([, when]) => Number(when));
            const [last, next] = [
                await times(holder.id, "begin"),
                await times((await dropletNamed(world, "web-1")).id, "begin"),
            ];
            // Two seconds each, or ended before.
            expect((last.at(-1) ?? 0) + 2).toBeLessThan(next[0] ?? 0);
        } finally {
            await world.close();
        }
    });
});
