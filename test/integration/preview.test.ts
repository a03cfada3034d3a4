import { readFile, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopSandbox } from "../../sandbox/process.ts";
import { makeWorld, type World } from "../world.mts";

/** The real engine and the real API, without machines: what a reviewer sees before anything runs. */
describe("a preview", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
    });
    afterAll(async () => {
        await world.close();
    });

    it("shows count, names, sizes and cost in plain values, and no token", async () => {
        const { code, text } = await world.pulumi(["preview", "--diff"]);
        expect(code, text).toBe(0);
        expect(text).toMatch(/replicas\s*: 3/);
        expect(text).toMatch(/web-2\s*: "s-1vcpu-1gb"/);
        expect(text).toMatch(/monthlyCost\s*: 24/);
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

    it("refuses SSH for everybody, and shows it where the config insists", async () => {
        const open = ["0.0.0.0/1", "128.0.0.0/1"];
        await world.configure({ adminCidrs: open });
        const refused = await world.pulumi(["preview"]);
        await world.configure({ sshFromAnywhere: true });
        const allowed = await world.pulumi(["preview", "--diff"]);
        await world.configure({ sshFromAnywhere: undefined, adminCidrs: ["198.51.100.7/32"] });
        expect(refused.code).not.toBe(0);
        expect(refused.text).toContain("that is SSH for everybody");
        expect(allowed.code, allowed.text).toBe(0);
        expect(allowed.text).toMatch(/sshFromAnywhere\s*: true/);
        expect(allowed.text).toContain("warning: SSH to the load balancer is open to the whole Internet");
    });

    it("refuses a size that the account does not have, and names those that it has", async () => {
        await world.configure({ size: "s-9vcpu-9gb" });
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure({ size: undefined });
        expect(code).not.toBe(0);
        expect(text).toMatch(
            /'size' should be a size that there is, got "s-9vcpu-9gb"; the cheapest ones in fra1: .*s-1vcpu-1gb \(\$6\)/,
        );
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("refuses a VPC and a region that the account does not have", async () => {
        const vpcId = "5a4981aa-9653-4bd1-bef5-d6bff52042e4";
        await world.configure({ vpcId });
        const vpc = await world.pulumi(["preview"]);
        await world.configure({ vpcId: undefined, region: "xyz9" });
        const region = await world.pulumi(["preview"]);
        await world.configure({ region: undefined });
        expect(vpc.text).toContain(`'vpcId' should be the id of a VPC that the account has, got ${vpcId}`);
        expect(region.text).toMatch(/'region' should be one of .*fra1, .*got xyz9/);
        for (const { code, text } of [vpc, region]) {
            expect(code).not.toBe(0);
            expect(text).not.toMatch(/\n\s+at /);
        }
    });

    it("refuses user data with a leading blank, of the backends and of the load balancer at once", async () => {
        const files = ["nginx", "haproxy"].map((name) => path.join(world.folder, `userdata/${name}.yaml`));
        const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
        for (const [i, file] of files.entries()) await writeFile(file, ` ${texts[i] ?? ""}`);
        const { code, text } = await world.pulumi(["preview"]);
        for (const [i, file] of files.entries()) await writeFile(file, texts[i] ?? "");
        expect(code).not.toBe(0);
        expect(text).toMatch(/'userdata' should be .*user data should start with the line "#cloud-config"/);
        expect(text).toMatch(/userdata\/haproxy\.yaml: user data should start with the line "#cloud-config"/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("says that a token is refused", async () => {
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: "wrong" });
        expect(code).not.toBe(0);
        expect(text).toMatch(/the account could not be read: .*Unable to authenticate you/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("and all that is kept shows no private key, also when the keys are made", async () => {
        // All but what needs a machine: the commands on the load balancer, and what waits for them.
        const made = await world.pulumi([
            "up",
            "--yes",
            "--skip-preview",
            ...["--exclude", "**load-balancer-ready", "--exclude-dependents"],
        ]);
        expect(made.code, made.text).toBe(0);
        const plain = JSON.parse((await world.pulumi(["stack", "export", "--show-secrets"])).stdout) as {
            deployment: { resources: { type: string; outputs?: { stdout?: { plaintext: string } } }[] };
        };
        const privateKeys = plain.deployment.resources
            .filter(({ type }) => type === "command:local:Command")
            .map(({ outputs }) => JSON.parse(outputs?.stdout?.plaintext ?? '""') as string);
        expect(privateKeys).toHaveLength(2);
        const seen = [
            made,
            await world.pulumi(["preview", "--diff"]),
            await world.pulumi(["preview", "--json"]),
            await world.pulumi(["stack", "export"]),
            await world.pulumi(["stack", "output", "--json"]),
        ];
        for (const key of privateKeys) {
            // The line of the private half; the first ones hold the public one.
            const line = key.split("\n")[4] ?? "";
            expect(line).toMatch(/^[\w+/]{60,}$/);
            for (const { text } of seen) expect(text).not.toContain(line);
        }
        const destroyed = await world.pulumi(["destroy", "--yes", "--skip-preview"]);
        expect(destroyed.code, destroyed.text).toBe(0);
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
