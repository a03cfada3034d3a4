import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { makeWorld, type World } from "../world.mts";
import { serversAnswering, Visitors } from "./client";
import { serveSlowly } from "./site";

/** Three servers that are replaced in batches, by `npm run rollout`. Every step builds on the last. */
describe("a roll-out on droplets that boot", () => {
    let world: World;
    let made: World | undefined;
    let url: string;
    let visitors: Visitors;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 3 });
        serveSlowly(world.folder);
        const { code, text } = await world.pulumi(["up", "--yes", "--skip-preview"]);
        expect(code, text).toBe(0);
        ({ url } = await world.outputs());
    });
    afterAll(async () => {
        await made?.close();
    });
    /** Somebody visits the site through everything; nobody may notice. */
    beforeEach(() => {
        visitors = new Visitors(url);
    });
    afterEach(async () => {
        await visitors.stop();
        expect(visitors.requests).toBeGreaterThan(0);
        expect(visitors.failures).toEqual([]);
    });

    const rollout = (...args: string[]) => world.tool("rollout", ["--stack", "test", ...args]);
    const hold = () => /hold:.*/.exec(readFileSync(path.join(world.folder, "Pulumi.test.yaml"), "utf8"))?.[0];
    /** Id of the droplet of each server in service. */
    const droplets = async () => (await world.outputs()).servers.map(({ dropletId }) => dropletId);
    const dropletCount = async () => ((await world.api("droplets")).droplets as unknown[]).length;

    it("stops at a batch that does not become ready; the others are untouched, and all serve", async () => {
        const before = await droplets();
        writeFileSync(path.join(world.folder, "userdata/broken.yaml"), "#cloud-config\nruncmd: [exit 1]\n");
        await world.configure({ userdata: "broken", readySeconds: 120 });
        const { code, text } = await rollout("--batch", "2", "--quiet");
        expect(code, text).toBe(1);
        expect(text).toMatch(/the set-up of web-[01].* failed, nothing was changed/);
        expect(text).toContain("stopped at: batch 1 of 2 (web-0 web-1). As before: web-2.");
        expect(hold()).toBe("hold: [2]");
        expect((await droplets())[2]).toBe(before[2]);
        // What did not get ready costs nothing any more.
        expect(text.match(/^deleted droplet web-[01] \(\d+\), which served nobody$/gm)).toHaveLength(2);
        expect(await dropletCount()).toBe(4);
        expect(await serversAnswering(url, 3)).toEqual(["web-0", "web-1", "web-2"]);
    });

    it("rolls back by the old value: what never served is made anew, the held server stays", async () => {
        const before = await droplets();
        await world.configure({ userdata: undefined, readySeconds: undefined });
        const { code, text } = await rollout("--batch", "2", "--quiet");
        expect(code, text).toBe(0);
        for (const slot of [0, 1])
            for (const words of [`create web-${slot}`, `delete the old web-${slot}`])
                expect(text).toContain(words);
        expect(hold()).toBeUndefined();
        expect((await droplets())[2]).toBe(before[2]);
        expect(await dropletCount()).toBe(4);
        expect(await serversAnswering(url, 3)).toEqual(["web-0", "web-1", "web-2"]);
    });

    it("stops after a batch where it can't ask, and ends with all servers replaced and no droplet left over", async () => {
        const before = await droplets();
        await world.configure({ generation: "c" });
        const paused = await rollout("--batch", "2", "--quiet", "--pause");
        expect(paused.code, paused.text).toBe(0);
        expect(paused.text).toContain("2 batches: web-0 web-1 | web-2\n");
        expect(hold()).toBe("hold: [2]");
        expect((await droplets())[2]).toBe(before[2]);

        const { code, text } = await rollout("--batch", "2", "--quiet");
        expect(code, text).toBe(0);
        expect(text).toMatch(
            /batch 1 of 1 \(web-2\): done in \d+ s, every server of the stack answers\n1 replaced in/,
        );
        expect(hold()).toBeUndefined();
        expect(before).not.toContain((await droplets())[2]);
        expect(await dropletCount()).toBe(4);
    });

    it("does nothing where every server is what the config says", async () => {
        const before = await droplets();
        const { code, text } = await rollout("--batch", "2");
        expect({ code, text }).toEqual({
            code: 0,
            text: "every server of test matches the config: nothing to do\n",
        });
        expect(await droplets()).toEqual(before);
    });
});
