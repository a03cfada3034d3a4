import { spawn } from "node:child_process";
import { once } from "node:events";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { serversAnswering } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { breakUserData, rolloutsOf } from "../rollouts.mts";
import { type Outcome } from "../world.mts";

const tool = path.resolve(__dirname, "../../tools/main.ts");

/** A roll-out that a person interrupts. */
describe("a roll-out that is interrupted", () => {
    const site = servedSite({ replicas: 3 });
    visitedThroughout(site);

    const { rollout, hold, droplets, dropletCount } = rolloutsOf(site);

    /** Starts a roll-out as a terminal does, and presses Ctrl-C when it has said something. */
    async function interruptedAt(words: string, ...args: string[]): Promise<Outcome> {
        const child = spawn("tsx", [tool, "rollout", "--stack", "test", ...args], {
            cwd: site.world.folder,
            env: site.world.env,
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
        });
        let stdout = "";
        let stderr = "";
        let pressed = false;
        child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
        child.stdout.on("data", (data: Buffer) => {
            stdout += data.toString();
            if (pressed || !stdout.includes(words)) return;
            pressed = true;
            // To the whole group, as terminals do.
            process.kill(-(child.pid ?? 0), "SIGINT");
        });
        const [code] = (await once(child, "close")) as [number | null];
        return { code: code ?? 1, stdout, text: stdout + stderr };
    }

    it("stops at Ctrl-C in the middle of a batch: the rest is untouched, and everything serves", async () => {
        const before = await droplets();
        await site.world.configure({ generation: "b" });
        const { code, text } = await interruptedAt("asking 2 new server(s): web-0, web-1", "--batch", "2");
        expect(code, text).toBe(1);
        expect(text).toContain("2 batches: web-0 web-1 | web-2\n");
        expect(text).toContain(
            "error: it was interrupted\nstopped at: batch 1 of 2 (web-0 web-1). As before: web-2.",
        );
        expect(hold()).toBe("hold: [2]");
        expect((await droplets())[2]).toBe(before[2]);
        expect(await serversAnswering(site.url, 3)).toEqual(["web-0", "web-1", "web-2"]);
    });

    it("goes on from there: what the interrupted batch left is deleted, and the rest is replaced", async () => {
        const before = await droplets();
        const { code, text } = await rollout("--batch", "2", "--quiet");
        expect(code, text).toBe(0);
        // The command that asked was let to its end; what comes after it was not begun.
        expect(text).toContain("1 batch: web-2\n");
        expect(hold()).toBeUndefined();
        const after = await droplets();
        expect([after.slice(0, 2), after[2] === before[2]]).toEqual([before.slice(0, 2), false]);
        expect(await dropletCount()).toBe(4);
    });

    it("rolls back by the old value: what never served is made anew, the held server stays", async () => {
        const before = await droplets();
        await breakUserData(site.world);
        expect((await rollout("--batch", "1", "--quiet")).text).toContain(
            "stopped at: batch 1 of 3 (web-0).",
        );
        await site.world.configure({ userdata: undefined, readySeconds: undefined });
        const { code, text } = await rollout("--batch", "1", "--quiet");
        expect(code, text).toBe(0);
        for (const words of ["create web-0", "delete the old web-0"]) expect(text).toContain(words);
        expect(hold()).toBeUndefined();
        expect((await droplets()).slice(1)).toEqual(before.slice(1));
        expect(await dropletCount()).toBe(4);
        expect(await serversAnswering(site.url, 3)).toEqual(["web-0", "web-1", "web-2"]);
    });
});
