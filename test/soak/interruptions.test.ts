import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serveSlowly } from "../e2e/site";
import { ends, interrupt, moments, nexts } from "../interruptions.mts";
import { makeWorld, type World } from "../world.mts";

const cases = ends.flatMap((end) =>
    moments.flatMap((moment) => nexts.map((next) => ({ end, moment, next }))),
);

/** Every moment at which a run may end, in both ways, with every next config. */
describe("a run that ends in the middle, and then another config: all cases", () => {
    let world: World;
    let made: World | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2 });
        serveSlowly(world.folder);
    });
    afterAll(async () => {
        await made?.close();
    });

    it.each(cases)("$end, $moment, then the $next config", async (how) => {
        expect(await interrupt(world, how)).toEqual([]);
    });
});
