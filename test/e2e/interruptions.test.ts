import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { interrupt } from "../interruptions.mts";
import { makeWorld, type World } from "../world.mts";
import { serveSlowly } from "./site";

/**
 * A run ends in the middle, and the next one has another config: it makes haproxy.cfg what that config says before it
 * deletes a droplet, and nobody who visits the site notices. `make soak` has every moment with every next config.
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

    it.each([
        { end: "kill", moment: "in the drain", next: "old" },
        { end: "cut", moment: "after the reload", next: "third" },
        { end: "kill", moment: "before the reload", next: "old" },
    ] as const)("$end, $moment, then the $next config", async (how) => {
        expect(await interrupt(world, how)).toEqual([]);
    });
});
