import { rmSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { inDroplet } from "../faults.mts";
import { healthPath, jobLog, lendBriefly, makeSite, prepareServers, Reader } from "../releases.mts";
import { makeWorld, upEndsWell, type World } from "../world.mts";
import { get } from "./client";

/** Content on droplets that boot. Every step builds on the last. */
describe("content", () => {
    let world: World;
    let made: World | undefined;
    let url = "";
    const sites: string[] = [];

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2, healthPath });
        prepareServers(world.folder);
        lendBriefly(world.folder);
        await upEndsWell(world);
        ({ url } = await world.outputs());
    });
    afterAll(async () => {
        await made?.close();
        for (const site of sites) rmSync(site, { recursive: true, force: true });
    });

    const site = (...args: Parameters<typeof makeSite>): string => {
        const folder = makeSite(...args);
        sites.push(folder);
        return folder;
    };
    const push = (...args: string[]) => world.tool("push", [...args, "--stack", "test"], { INIT_CWD: "" });
    /** What readers saw while something was done; nobody may have missed a page or a file of it. */
    const readDuring = async (work: () => Promise<unknown>): Promise<Set<string>> => {
        const reader = new Reader(url);
        try {
            await work();
        } finally {
            await sleep(500);
            await reader.stop();
        }
        expect(reader.failures).toEqual([]);
        expect(reader.pages).toBeGreaterThan(20);
        return reader.seen;
    };
    const pushed = async (...args: string[]) => {
        const { code, text } = await push(...args);
        expect(code, text).toBe(0);
        return text;
    };
    const status = async () => (await world.tool("status", ["test"])).stdout;
    const jobsOn = async (dropletId: string): Promise<[string, number][]> => {
        const text = await inDroplet(world, Number(dropletId), `cat ${jobLog} 2>/dev/null || true`).catch(
            () => "",
        );
        return [...text.matchAll(/^(\w+) ([\d.]+)$/gm)].map(([, what = "", when]) => [what, Number(when)]);
    };

    it("is the servers' own page until something is pushed, and then the release, without a lost request", async () => {
        expect((await get(url)).body).toMatch(/<h1>web-[01]-/);
        expect(await pushed(site("one"))).toMatch(
            /: 3 files, \d+ bytes; sending it\n1 of 2 serve (\w+): web-0\n2 of 2 serve \1: web-1\nrelease \1 is served by all of 2\n/,
        );
        const two = site("two");
        const seen = await readDuring(async () => {
            expect(await pushed(two)).toContain("served by all of 2, was");
        });
        expect(seen).toEqual(new Set(["one", "two"]));
    });

    it("stops at a server that does not answer its health path with it, and gives that one back what it had", async () => {
        const sick = site("sick", { isHealthy: false });
        const seen = await readDuring(async () => {
            const { code, text } = await push(sick);
            expect(code, text).toBe(1);
            expect(text).toMatch(
                /the push was stopped:\n {2}web-0 answers \/ok\.txt with 404 for 10 s and has (\w+) again\n {2}web-0 serves \1\n {2}web-1 serves \1\n/,
            );
        });
        // One server showed it, until it had another one again.
        expect([...seen].filter((word) => word !== "two" && word !== "sick")).toEqual([]);
    });

    it("goes back in seconds", async () => {
        const started = Date.now();
        const seen = await readDuring(async () => {
            await pushed("--rollback"); // of the push that was stopped
            await pushed("--rollback");
        });
        expect((Date.now() - started) / 1000).toBeLessThan(60);
        expect(seen).toEqual(new Set(["two", "one"]));
        expect(await status()).toMatch(/content: [0-9a-f]{16} on web-0 web-1\n/);
    });

    it("by the config: a changed folder and a new server in one run; jobs that run once move with their slot", async () => {
        const { servers } = await world.outputs();
        const [first, second] = servers.map(({ dropletId }) => dropletId);
        await vi.waitFor(
            async () => {
                expect(await jobsOn(first ?? "")).not.toEqual([]);
            },
            {
                timeout: 60_000,
                interval: 1000,
            },
        );
        expect(await jobsOn(second ?? "")).toEqual([]);
        expect(await status()).toContain("jobs that run once: on web-0\n");

        sites.push(makeSite("three", { folder: path.join(world.folder, "dist") }));
        await world.configure({ content: "dist", retired: [0] });
        const preview = await world.pulumi(["preview", "--diff"]);
        expect(preview.text).toMatch(/index\.html\s*: "\d+ bytes, [0-9a-f]{12}"/);
        let before: [string, number][] = [];
        const done = new AbortController();
        const watch = (async () => {
            while (!done.signal.aborted) {
                await sleep(300);
                const jobs = await jobsOn(first ?? "");
                if (jobs.length > 0) before = jobs;
            }
        })();
        const seen = await readDuring(async () => {
            await upEndsWell(world);
        });
        done.abort();
        await watch;
        expect(seen).toEqual(new Set(["one", "three"]));
        expect(await status()).toMatch(
            /content: [0-9a-f]{16} on web-1 web-2\njobs that run once: on web-1\n/,
        );

        await vi.waitFor(
            async () => {
                expect(await jobsOn(second ?? "")).not.toEqual([]);
            },
            {
                timeout: 60_000,
                interval: 1000,
            },
        );
        const [begun] = await jobsOn(second ?? "");
        const [what, when] = before.at(-1) ?? [];
        // Whatever ran on the first one had ended before it ran on another.
        expect(what).toBe("end");
        expect(when).toBeLessThan(begun?.[1] ?? 0);
    });
});
