import { rm } from "node:fs/promises";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopSandbox } from "../../sandbox/process.ts";
import { makeWorld, type World } from "../engine.ts";

/** The real engine and the real API, without machines: what a reviewer sees before anything runs. */
describe("a preview", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
    });
    afterAll(async () => {
        await world.close();
    });

    it("shows count, names, sizes and cost in plain values, and no secret", async () => {
        const { code, text } = await world.pulumi(["preview", "--diff"]);
        expect(code, text).toBe(0);
        expect(text).toMatch(/replicas\s*: 3/);
        expect(text).toMatch(/web-2\s*: "s-1vcpu-1gb"/);
        expect(text).toMatch(/monthlyCost\s*: 24/);
        expect(text).not.toContain("PRIVATE KEY-----\\n");
        expect(text).not.toContain(world.sandbox.token);
    });

    it("makes nothing", async () => {
        expect(await world.api("droplets")).toMatchObject({ droplets: [], meta: { total: 0 } });
        expect(await world.api("tags")).toMatchObject({ tags: [] });
    });

    it("refuses wrong config of several keys in one message, without a stack trace", async () => {
        await world.configure({ replicas: 1001, region: "frankfurt", healthPath: "healthz", adminCidrs: [] });
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure({
            replicas: undefined,
            region: undefined,
            healthPath: undefined,
            adminCidrs: ["198.51.100.7/32"],
        });
        expect(code).not.toBe(0);
        expect(text).toContain("'replicas' should be a whole number from 0 to 1000, got 1001");
        expect(text).toContain("'region' should be a region's slug such as fra1, got frankfurt");
        expect(text).toContain("'healthPath' should be a path that starts with /");
        expect(text).toContain("pulumi config set --path 'adminCidrs[0]' ADDRESS/32");
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("refuses a size that the account does not have, and names those that it has", async () => {
        await world.configure({ size: "s-9vcpu-9gb" });
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure({ size: undefined });
        expect(code).not.toBe(0);
        expect(text).toMatch(
            /'size' should be a size that region fra1 has, got "s-9vcpu-9gb"; the cheapest ones: .*s-1vcpu-1gb \(\$6\)/,
        );
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("says that a token is refused", async () => {
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: "wrong" });
        expect(code).not.toBe(0);
        expect(text).toMatch(/the account could not be read: .*Unable to authenticate you/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("says how to start the sandbox when it does not run", async () => {
        await stopSandbox(world.instance.stateDir);
        const { code, text } = await world.pulumi(["preview"]);
        expect(code).not.toBe(0);
        expect(text).toContain(world.sandbox.url);
        expect(text).toContain("make up");
        expect(text).not.toMatch(/\n\s+at /);
        await rm(path.join(world.folder, "Pulumi.test.yaml"), { force: true });
    });
});
