import { cpSync, symlinkSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { configured, Crowd, historyOf, startAutoscaler, stopAutoscaler, untilSaid } from "../autoscalers.mts";
import { serversAnswering } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { expectConverged } from "../faults.mts";
import { dropletCreated } from "../kills.mts";
import { type Running, start, upEndsWell } from "../world.mts";

const inSeconds = 60;
/** What two servers of eight slots each can't bear, and four can. */
const crowdSize = 40;

/** Two servers that may be four; whatever happens to the autoscaler, no visitor notices. Every step builds on the last. */
describe("the autoscaler among others", () => {
    const site = servedSite({ replicas: 2, autoscale: { min: 2, max: 4, slots: 8, inSeconds } });
    visitedThroughout(site);
    let scaler: Running | undefined;
    let crowd: Crowd | undefined;

    afterAll(async () => {
        await crowd?.stop();
        await stopAutoscaler(scaler);
    });

    function running(): Running {
        if (!scaler) throw new Error("no autoscaler has been started");
        return scaler;
    }
    const servers = (count: number) => Array.from({ length: count }, (_, slot) => `web-${slot}`);
    async function untilServedBy(count: number): Promise<void> {
        const poll = { timeout: 300_000, interval: 2000 };
        await expect.poll(() => serversAnswering(site.url, count + 1), poll).toEqual(servers(count));
    }

    it("is one, where two begin at the same moment", async () => {
        const both = [startAutoscaler(site.world), startAutoscaler(site.world)];
        const first = await Promise.race(both.map(async ({ ended }, i) => ({ i, ...(await ended) })));
        expect(first.code, first.text).toBe(1);
        expect(first.text).toMatch(/error: an autoscaler is at work on this stack already/);
        scaler = both[1 - first.i];
        if (!scaler) throw new Error("there are two");
        await untilSaid(scaler, /busy 0\.\d\d/, { seconds: 60 });
        expect(scaler.isRunning()).toBe(true);
    });

    describe.each([
        ["it alone", (pid: number) => pid],
        // As the kernel does where memory runs out, and systemd at the end of its patience.
        ["all that it has started", (pid: number) => -pid],
    ])("when %s is killed in the middle of `pulumi up`", (_who, target) => {
        let again: Running;

        beforeAll(async () => {
            await stopAutoscaler(scaler);
            await site.world.configure({ replicas: 2 });
            await upEndsWell(site.world);
        });

        it("can be started again at once", async () => {
            scaler = startAutoscaler(site.world);
            await untilSaid(scaler, /busy 0\.\d\d/, { seconds: 60 });
            const { reached } = dropletCreated(site.world);
            crowd = new Crowd(site.url, crowdSize);
            await untilSaid(scaler, /replicas 2 → 4: busy/);
            await expect.poll(reached, { timeout: 120_000, interval: 50 }).toBe(true);
            process.kill(target(scaler.pid), "SIGKILL");
            await scaler.ended;
            expect(configured(site.world.folder, "replicas")).toBe(4);
            again = scaler = startAutoscaler(site.world);
            await untilSaid(again, /waits: /);
        });

        it("says what to do, and goes on after that", async () => {
            await untilSaid(again, /another run holds the stack .* `make doctor` clears what it left/);
            const { code, text } = await site.world.tool("doctor", ["test", "--yes", "--killed"]);
            expect(code, text).toBe(0);
            await untilSaid(again, /the autoscaler was killed: decides anew/, { seconds: 60 });
            await untilServedBy(4);
            await untilSaid(again, /replicas \d → 4: busy(.*\n)*.*done in/);
            await expectConverged(site.world, site.url, servers(4));
            await crowd?.stop();
            const [last] = await historyOf(site.world);
            expect(last).toMatchObject({ by: "autoscaler", status: "success", desired_instance_count: 4 });
        });
    });

    describe("when the load is gone", () => {
        it("goes back to the fewest, but not before the window, and stays there", async () => {
            const goneMs = Date.now();
            await untilSaid(running(), /replicas 4 → 3: busy/);
            expect((Date.now() - goneMs) / 1000).toBeGreaterThan(inSeconds - 10);
            await untilSaid(running(), /replicas 3 → 2: busy/, { seconds: 600 });
            await untilServedBy(2);
            await untilSaid(running(), /replicas 3 → 2(.*\n)*.*done in/);
            await expectConverged(site.world, site.url, servers(2));
            const changes = (await historyOf(site.world)).length;
            // Nothing tells earlier that it will not flap.
            await sleep(120_000);
            expect(configured(site.world.folder, "replicas")).toBe(2);
            expect(await historyOf(site.world)).toHaveLength(changes);
        }, 1_500_000);
    });

    describe("when people scale at the same time", () => {
        beforeAll(() => {
            scaler ??= startAutoscaler(site.world);
        });

        it("leaves alone what a person applies in its folder, for the window", async () => {
            await site.world.configure({ replicas: 3 });
            await upEndsWell(site.world);
            const doneMs = Date.now();
            const after = running().printed().length;
            await untilServedBy(3);
            await untilSaid(running(), /replicas 3 → 2: busy/, { seconds: 600, after });
            expect((Date.now() - doneMs) / 1000).toBeGreaterThan(inSeconds);
            await untilSaid(running(), /replicas 3 → 2(.*\n)*.*done in/, { after });
            await untilServedBy(2);
        }, 900_000);

        it("takes over what a person applies from another folder, and leaves that alone", async () => {
            const folder = path.join(path.dirname(site.world.folder), "colleague");
            cpSync(site.world.folder, folder, {
                recursive: true,
                filter: (name) => path.basename(name) !== "node_modules",
            });
            symlinkSync(path.join(site.world.folder, "node_modules"), path.join(folder, "node_modules"));
            const pulumi = (...args: string[]) =>
                start("pulumi", [...args, "--stack", "test", "--non-interactive"], {
                    cwd: folder,
                    env: site.world.env,
                }).ended;
            expect((await pulumi("config", "set", "replicas", "4")).code).toBe(0);
            const { code, text } = await pulumi("up", "--yes", "--skip-preview");
            expect(code, text).toBe(0);
            const doneMs = Date.now();
            await untilSaid(running(), /replicas 2 → 4: applied elsewhere, by /, { seconds: 60 });
            expect(configured(site.world.folder, "replicas")).toBe(4);
            await untilServedBy(4);
            await untilSaid(running(), /applied elsewhere(.*\n)*.*replicas 4 → 3: busy/, { seconds: 600 });
            expect((Date.now() - doneMs) / 1000).toBeGreaterThan(inSeconds);
        }, 900_000);

        it("gives way to an edit that comes just when it has decided", async () => {
            const began = running().printed().length;
            await untilSaid(running(), /replicas 3 → 2: busy/, { seconds: 600, after: began });
            const after = running().printed().length;
            await site.world.configure({ replicas: 4 });
            // It may hold the stack already.
            await vi.waitFor(() => upEndsWell(site.world), { timeout: 120_000, interval: 1000 });
            await untilServedBy(4);
            await untilSaid(running(), /but \d of 4 servers have only just come up/, { after });
            expect(configured(site.world.folder, "replicas")).toBe(4);
        }, 900_000);

        it("has never been at work at the same time as anybody else", async () => {
            const times = (await historyOf(site.world))
                .map((change) =>
                    [change.created_at, change.updated_at].map((time) => Date.parse(String(time))),
                )
                .reverse();
            for (const [i, [from = 0]] of times.entries())
                expect(from).toBeGreaterThanOrEqual(times[i - 1]?.[1] ?? 0);
        });
    });
});
