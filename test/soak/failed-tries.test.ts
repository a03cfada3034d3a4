import { beforeAll, describe, expect, it } from "vitest";
import { type FailedTries, failedTries, rowOf } from "../failed-tries.mts";
import { up } from "../world.mts";

/** As in the integration test of this name: what `deploy`, a roll-out and a first deployment make of them. */
describe("tries that fail", () => {
    const made = failedTries();
    let tries: FailedTries;
    let world: FailedTries["world"];
    beforeAll(() => {
        tries = made();
        ({ world } = tries);
    });

    const tool = (name: string, ...args: string[]) => world.tool(name, ["test", ...args]);

    it("leave nothing behind where `deploy` makes them, nor where a roll-out does", async () => {
        world.ssh.exitCode = 1;
        await world.configure({ generation: "d" });
        const deployed = await tool("deploy", "--quiet");
        expect(deployed.code).toBe(1);
        expect(deployed.text).toMatch(/^deleted droplet web-0 \(\d+\), which served nobody$/m);
        expect(await tries.droplets()).toEqual(tries.serving);
        const rolled = await world.tool("rollout", ["--stack", "test", "--quiet"]);
        world.ssh.exitCode = 0;
        expect(rolled.code).toBe(1);
        expect(rolled.text).toContain("stopped at: before the batches");
        expect(await tries.droplets()).toEqual(tries.serving);
    });

    it("are no obstacle to `deploy`: what no run will use again goes first", async () => {
        await tries.fail({ generation: "e" });
        const first = await tries.notServing("web-");
        await tries.fail({ generation: "f" });
        const { code, text } = await tool("deploy", "--quiet");
        expect(code, text).toBe(0);
        for (const droplet of first)
            expect(text).toContain(`(${droplet.split(" ")[1] ?? ""}), which served nobody`);
        expect(await tries.droplets()).toHaveLength(3);
        tries.serving = await tries.droplets();
    });

    it("of a load balancer are told apart by the one that answers", async () => {
        await tries.fail({ loadBalancerSize: "s-1vcpu-2gb" });
        const [second] = await tries.notServing("load-balancer");
        const { stdout } = await tool("status");
        expect(rowOf(stdout, tries.serving[0] ?? "")).toContain(" serves until its successor does ");
        expect(rowOf(stdout, second ?? "")).toContain(" waits: gets no request ");
        const { code, text } = await tool("doctor", "--yes");
        expect(code, text).toBe(0);
        expect(await tries.droplets()).toEqual(tries.serving);
    });

    it("of a first deployment don't pile up: what has a successor is cleared, and the rest is gone on with", async () => {
        const other = await world.addStack("second", { replicas: 1 });
        world.ssh.exitCode = 1;
        for (const generation of ["a", "b"]) {
            await other.configure({ generation });
            expect((await up(other)).code).not.toBe(0);
        }
        expect(await tries.droplets()).toHaveLength(6);
        const { code, text } = await world.tool("doctor", ["second", "--yes"]);
        expect(code, text).toBe(0);
        expect(text.match(/^deleted droplet/gm)).toHaveLength(1);
        expect(await tries.droplets()).toHaveLength(5);
    });
});
