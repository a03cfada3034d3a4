import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveSlowly } from "../e2e/site.ts";
import { ends, interrupt, moments, nexts } from "../interruptions.mts";
import { makeWorld, type World } from "../world.mts";

/**
 * A run ends in the middle, and the next one has another config: it makes haproxy.cfg what that config says before it
 * deletes a droplet, and nobody who visits the site notices. Every moment at which a run may end, in both ways, with every
 * next config; each case begins where the last one has put things right.
 */
describe("a run that ends in the middle, and then another config", () => {
    let world: World;
    let made: World | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2 });
        serveSlowly(world.folder);
    });
    afterAll(async () => {
        await made?.close();
    });

    const cases = ends.flatMap((end) =>
        moments.flatMap((moment) => nexts.map((next) => ({ end, moment, next }))),
    );
    it.each(cases)("$end, $moment, then the $next config", async (how) => {
        expect(await interrupt(world, how)).toEqual([]);
    });
});
