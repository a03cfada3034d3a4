import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
    addressMoved,
    after,
    dropletCreated,
    dropletDeleted,
    type Kill,
    killDuring,
    unreadableState,
} from "../kills.mts";
import { makeWorld, type World } from "../world.mts";
import { serveSlowly } from "./site";

/** Which moments: `make soak` has many more. */
const seed = Number(process.env.SEED ?? 1);

describe("pulumi up killed in the middle", () => {
    let world: World;
    let made: World | undefined;
    const seconds = fc.sample(fc.double({ min: 0, max: 2, noNaN: true }), { seed, numRuns: 3 });

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 2 });
        serveSlowly(world.folder);
    });
    afterAll(async () => {
        await made?.close();
    });

    function expectGoodEnd(kill: Kill): void {
        expect(kill.killed, `the run was over before ${kill.moment}`).toBe(true);
        expect(kill.problems, JSON.stringify(kill, null, 4)).toEqual([]);
    }

    it("the first one, while droplets are being made: the next makes what the config says, and no second of any", async () => {
        const first = { name: "first up", config: {} };
        const kill = await killDuring(world, first, after(seconds[0] ?? 0, dropletCreated(world)), undefined);
        expectGoodEnd(kill);
        // Else this would not be the moment at which droplets are lost.
        expect(kill.found.join("\n")).toMatch(
            new RegExp(`pending: creating .*[^]*is not in state|^${unreadableState}`),
        );
    });

    it("scaling in, while a droplet is being deleted", async () => {
        const { url } = await world.outputs();
        const moment = after((seconds[1] ?? 0) / 4, dropletDeleted(world));
        expectGoodEnd(
            await killDuring(world, { name: "replicas 2 => 1", config: { replicas: 1 } }, moment, url),
        );
    });

    it("replacing the load balancer, when the address has just moved", async () => {
        const { url } = await world.outputs();
        const change = {
            name: "load balancer replaced",
            config: { loadBalancerSize: "s-1vcpu-2gb" },
            movesAddress: true,
        };
        const moment = after((seconds[2] ?? 0) / 4, addressMoved(world));
        expectGoodEnd(await killDuring(world, change, moment, url));
    });
});
