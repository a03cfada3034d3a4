import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { interrupt } from "../interruptions.mts";
import { after, dropletCreated, killDuring, unreadableState } from "../kills.mts";
import { makeWorld, type World } from "../world.mts";
import { serveSlowly } from "./site";

/** Which moment: `make soak` has some thirty more, of every kind of change, and every next config after them. */
const seed = Number(process.env.SEED ?? 1);

describe("pulumi up killed in the middle", () => {
    let world: World;
    let made: World | undefined;
    const [seconds = 0] = fc.sample(fc.double({ min: 0, max: 2, noNaN: true }), { seed, numRuns: 1 });

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2 });
        serveSlowly(world.folder);
    });
    afterAll(async () => {
        await made?.close();
    });

    it("the first one, while droplets are being made: the next makes what the config says, and no second of any", async () => {
        const first = { name: "first up", config: {} };
        const kill = await killDuring(world, first, after(seconds, dropletCreated(world)), undefined);
        expect(kill.killed, `the run was over before ${kill.moment}`).toBe(true);
        expect(kill.problems, JSON.stringify(kill, null, 4)).toEqual([]);
        // Else this would not be the moment at which droplets are lost.
        expect(kill.found.join("\n")).toMatch(
            new RegExp(`pending: creating .*[^]*is not in state|^${unreadableState}`),
        );
    });

    it("another one, in the drain: the next, with the config from before, makes haproxy.cfg first, and nobody notices", async () => {
        expect(await interrupt(world, { end: "kill", moment: "in the drain", next: "old" })).toEqual([]);
    });
});
