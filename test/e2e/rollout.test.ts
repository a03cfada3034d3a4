import { describe, expect, it } from "vitest";
import { breakUserData, rolloutsOf } from "../rollouts.mts";
import { inSoak } from "../soak-only";
import { serversAnswering } from "./client";
import { servedSite, visitedThroughout } from "./served-site";

/** Two servers that are replaced one by one, by `npm run rollout`; `make soak` has larger batches. Every step builds on the last. */
describe("a roll-out on droplets that boot", () => {
    const site = servedSite({ replicas: 2 });
    visitedThroughout(site);

    const { rollout, hold, droplets, dropletCount } = rolloutsOf(site);

    it("stops at a batch that does not become ready; the others are untouched, and all serve", async () => {
        const before = await droplets();
        await breakUserData(site.world);
        const { code, text } = await rollout("--batch", "1", "--quiet");
        expect(code, text).toBe(1);
        expect(text).toMatch(/the set-up of web-0 failed, nothing was changed/);
        expect(text).toContain("stopped at: batch 1 of 2 (web-0). As before: web-1.");
        expect(hold()).toBe("hold: [1]");
        expect((await droplets())[1]).toBe(before[1]);
        // What did not get ready costs nothing any more.
        expect(text.match(/^deleted droplet web-0 \(\d+\), which served nobody$/gm)).toHaveLength(1);
        expect(await dropletCount()).toBe(3);
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-1"]);
    });

    it("stops after a batch where it can't ask, and ends with all servers replaced and no droplet left over", async () => {
        const before = await droplets();
        await site.world.configure({ userdata: undefined, readySeconds: undefined, generation: "c" });
        const paused = await rollout("--batch", "1", "--quiet", "--pause");
        expect(paused.code, paused.text).toBe(0);
        // What never served is made anew, the held server stays.
        expect(paused.text).toMatch(
            /^first, without replacing a server that serves: create web-0, .*, delete the old web-0\n1 batch: web-1$/m,
        );
        expect(hold()).toBe("hold: [1]");
        expect((await droplets())[1]).toBe(before[1]);

        const { code, text } = await rollout("--batch", "1", "--quiet");
        expect(code, text).toBe(0);
        expect(text).toMatch(
            /batch 1 of 1 \(web-1\): done in \d+ s, every server of the stack answers\n1 replaced in/,
        );
        expect(hold()).toBeUndefined();
        expect(before).not.toContain((await droplets())[1]);
        expect(await dropletCount()).toBe(3);
    });

    inSoak("does nothing where every server is what the config says", async () => {
        const before = await droplets();
        const { code, text } = await rollout("--batch", "1");
        expect({ code, text }).toEqual({
            code: 0,
            text: "every server of test matches the config: nothing to do\n",
        });
        expect(await droplets()).toEqual(before);
    });
});
