import { readFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSandbox, stopSandbox } from "../../sandbox/process.ts";
import { makeWorld, type Outcome, type World } from "../world.mts";

/** The real engine and the real API, without machines: what a roll-out refuses before it does anything. */
describe("a roll-out that can't start", () => {
    let world: World;
    let made: World | undefined;
    beforeAll(async () => {
        made = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
        world = made;
        // All but what needs a machine: the commands on the load balancer, and what waits for them.
        const without = ["--exclude", "**load-balancer-ready", "--exclude-dependents"];
        const { code, text } = await world.pulumi(["up", "--yes", "--skip-preview", ...without]);
        expect(code, text).toBe(0);
        await world.configure({ generation: "b" });
    });
    afterAll(async () => {
        await made?.close();
    });

    const config = () => readFileSync(path.join(world.folder, "Pulumi.test.yaml"), "utf8");
    const dropletIds = async () =>
        ((await world.api("droplets")).droplets as { id: number }[]).map(({ id }) => id);

    /** What it said; nothing may have changed. */
    async function refused(...args: string[]): Promise<Outcome & { stderr: string }> {
        const before = [config(), await dropletIds()];
        const outcome = await world.tool("rollout", args);
        expect(outcome.code).toBe(1);
        expect(outcome.text).not.toMatch(/\n\s+at /);
        expect([config(), await dropletIds()]).toEqual(before);
        return { ...outcome, stderr: outcome.text.slice(outcome.stdout.length) };
    }

    it.each([
        [
            ["--batch", "0"],
            "option '--batch <number>' argument '0' is invalid. It should be a whole number from 1 to 9999",
        ],
        [
            ["--batch", "two"],
            "option '--batch <number>' argument 'two' is invalid. It should be a whole number from 1 to 9999",
        ],
        [
            ["--batch", "1.5"],
            "option '--batch <number>' argument '1.5' is invalid. It should be a whole number from 1 to 9999",
        ],
        [["--size", "2"], "unknown option '--size'"],
        [["prod"], "too many arguments for 'rollout'"],
    ])("refuses %j, and says what is allowed", async (args, message) => {
        const { stderr, stdout } = await refused(...args);
        expect(stderr).toContain(`error: ${message}`);
        expect(stderr).toMatch(
            /Usage: npm run dropscale -- rollout .*--stack <name> .*--batch <number> .*--pause /s,
        );
        expect(stdout).toBe("");
    });

    it("says which file it misses", async () => {
        const { stderr } = await refused("--stack", "nowhere");
        expect(stderr).toMatch(
            /^error: there is no Pulumi\.nowhere\.yaml in .*: run this in the project's folder/,
        );
    });

    it("refuses a hold that is no list", async () => {
        await world.configure({ hold: "web-1" });
        const { stderr } = await refused("--stack", "test");
        await world.configure({ hold: undefined });
        expect(stderr).toBe(
            "error: Pulumi.test.yaml: 'hold' should be a list of slot numbers such as [1], got \"web-1\"\n",
        );
    });

    it("passes on what the program says of the config", async () => {
        await world.configure({ replicas: 1001, hold: [1] });
        const { stderr } = await refused("--stack", "test");
        await world.configure({ replicas: undefined, hold: undefined });
        expect(stderr).toContain("'replicas' should be a whole number from 0 to 1000, got 1001");
    });

    it("is refused by the doctor, in its words, while something is to be cleared", async () => {
        const orphan = await fetch(`${world.sandbox.url}/v2/droplets`, {
            method: "POST",
            headers: {
                authorization: `Bearer ${world.sandbox.token}`,
                "content-type": "application/json",
            },
            body: JSON.stringify({
                name: "web-9-0123abc",
                region: "fra1",
                size: "s-1vcpu-1gb",
                image: "debian-12-x64",
                tags: ["dropscale-test-backend"],
            }),
        });
        const { droplet } = (await orphan.json()) as { droplet: { id: number } };
        const { stderr } = await refused("--stack", "test");
        expect(stderr).toContain("error: something is to be cleared first");
        expect(stderr).toContain("web-9-0123abc");
        // The load balancer is no machine here, and can't be asked.
        const doctor = await world.tool("doctor", ["test", "--yes", "--killed", "--serving"]);
        expect(doctor.text).toContain(String(droplet.id));
        expect(await dropletIds()).not.toContain(droplet.id);
    });

    it("counts before it starts whether the account has room", async () => {
        await stopSandbox(world.instance.stateDir);
        const port = Number(new URL(world.sandbox.url).port);
        await startSandbox(world.instance, { port, dropletLimit: 5 });
        // Four exist. Without a haproxy.cfg none of the three servers serves: they are replaced at once.
        const { stderr, stdout } = await refused("--stack", "test", "--batch", "2");
        expect(stderr).toMatch(
            /^error: the account's limit is 5 droplets, 4 exist, this change needs 7: not even --batch 1 fits; .*ask for more: https/,
        );
        expect(stdout).toBe("");
    });
});
