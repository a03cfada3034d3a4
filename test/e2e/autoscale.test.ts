import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Crowd, historyOf, startAutoscaler, stopAutoscaler } from "../autoscalers.mts";
import { makeWorld, type Running, upEndsWell, type World } from "../world.mts";
import { serversAnswering, Visitors } from "./client";
import { serveSlowly } from "./site";

/** A pool of two that may have four, and the autoscaler beside it, with the hand that runs `pulumi up`. */
describe("the autoscaler", () => {
    let world: World;
    let made: World | undefined;
    let url: string;
    let scaler: Running;
    let visitors: Visitors | undefined;
    let crowd: Crowd | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", {
            replicas: 2,
            // The visitors' three streams are less than half of what two servers may do.
            autoscale: { min: 2, max: 4, slots: 4, inSeconds: 60 },
        });
        serveSlowly(world.folder);
        await upEndsWell(world);
        ({ url } = await world.outputs());
        visitors = new Visitors(url);
        scaler = startAutoscaler(world);
    });
    afterAll(async () => {
        await Promise.all([visitors?.stop(), crowd?.stop(), stopAutoscaler(scaler)]);
        await made?.close();
    });
    const status = async () => (await world.tool("status", ["test"])).stdout;

    it("looks, and says in `make status` what it sees", async () => {
        await expect
            .poll(status, { timeout: 40_000, interval: 3000 })
            .toMatch(/^autoscaler \(.*, --apply up\): busy 0\.\d\d/m);
        expect(scaler.printed()).not.toMatch(/replicas \d/);
    });

    it("lets no second one in, by whichever hand", async () => {
        const { code, text } = await world.tool("autoscale", ["--stack", "test", "--apply", "up", "--once"]);
        expect(text).toMatch(
            /error: an autoscaler is at work on this stack already, on .+: stop that one first/,
        );
        expect(code).toBe(1);
        const dry = await world.tool("autoscale", ["--stack", "test", "--once"]);
        expect(dry.text).toMatch(/busy 0\.\d\d/);
        expect(dry.code).toBe(0);
    });

    it("adds the servers that a crowd needs, and no visitor notices", async () => {
        crowd = new Crowd(url, 24);
        const asked = Date.now();
        const poll = { timeout: 180_000, interval: 1000 };
        await expect.poll(async () => serversAnswering(url, 4), poll).toHaveLength(4);
        console.error(
            `six times the load: served by four after ${Math.round((Date.now() - asked) / 1000)} s`,
        );
        expect(scaler.printed()).toMatch(/replicas \d → \d: busy \d\.\d\d \(target 0\.60/);
        expect(visitors?.failures).toEqual([]);
    });

    it("leaves its reason in the history, and its number in the config", async () => {
        await expect.poll(scaler.printed, { timeout: 60_000 }).toMatch(/→ 4: .*\n(.*\n)*.*done in/);
        const [last] = await historyOf(world);
        expect(last).toMatchObject({
            ...{
                reason: "SCALE_UP",
                status: "success",
                current_instance_count: 2,
                desired_instance_count: 4,
            },
        });
        expect(JSON.stringify(last)).toMatch(/autoscale: replicas \d → 4: busy/);
        const plan = await world.tool("plan", ["test"]);
        expect(plan.text).toMatch(/^test: nothing to do: 4 servers/m);
    });

    it("ends in order at SIGINT", async () => {
        process.kill(scaler.pid, "SIGINT");
        expect((await scaler.ended).code).toBe(0);
        expect(await status()).toMatch(/^the autoscaler \(.*\) was stopped \d+ s ago: nothing scales$/m);
    });
});
