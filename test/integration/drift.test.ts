import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopSandbox } from "../../sandbox/process.ts";
import { stateBackend } from "../../sandbox/stack.ts";
import { callApi, dropletNamed } from "../faults.mts";
import { makeWorld, upEndsWell, type World } from "../world.mts";

/** All but what needs a machine: the commands on the load balancer, and what waits for them. */
const withoutMachines = ["--exclude", "**load-balancer-ready", "--exclude-dependents"];

/** The real engine and the real API, without machines. The tests build on each other. */
describe("the drift check", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { replicas: 3 });
    });
    afterAll(async () => {
        await world.close();
    });

    const drift = (...args: string[]) => world.tool("drift", ["test", ...args]);
    const exported = async () => (await world.pulumi(["stack", "export"])).stdout;

    it("finds none where nothing has been deployed, and after an `up`", async () => {
        for (const deploy of [false, true]) {
            if (deploy) await upEndsWell(world, ...withoutMachines);
            const { code, text } = await drift();
            expect({ code, text }).toEqual({ code: 0, text: "test: no drift, all is as Pulumi made it\n" });
        }
    });

    it("takes no change of the config for drift", async () => {
        await world.configure({ replicas: 5, size: "s-2vcpu-2gb" });
        const { code, text } = await drift("--quiet");
        await world.configure({ replicas: 3, size: undefined });
        expect({ code, text }).toEqual({ code: 0, text: "" });
    });

    it("names what was deleted, switched off, edited and made by hand, and changes nothing", async () => {
        const [gone, off] = await Promise.all(["web-0", "web-1"].map((name) => dropletNamed(world, name)));
        await callApi(world, "DELETE", `/v2/droplets/${gone?.id ?? 0}`);
        await callApi(world, "POST", `/v2/droplets/${off?.id ?? 0}/actions`, { type: "power_off" });
        const { firewalls } = (await world.api("firewalls")) as {
            firewalls: { id: string; name: string; inbound_rules: object[] }[];
        };
        const firewall = firewalls.find(({ name }) => name === "dropscale-test-load-balancer");
        const open = { protocol: "tcp", ports: "8080", sources: { addresses: ["0.0.0.0/0"] } };
        await callApi(world, "PUT", `/v2/firewalls/${firewall?.id ?? ""}`, {
            ...firewall,
            inbound_rules: [...(firewall?.inbound_rules ?? []), open],
        });
        const byHand = { name: "web-9-0123abc", region: "fra1", size: "s-1vcpu-1gb", image: "debian-12-x64" };
        await callApi(world, "POST", "/v2/droplets", { ...byHand, tags: ["dropscale-test-backend"] });

        const before = await exported();
        const [markdown, json] = ["drift.md", "drift.json"].map((name) => path.join(world.folder, name));
        const { code, text } = await drift("--markdown", markdown ?? "", "--json", json ?? "");
        expect(code, text).toBe(2);
        expect(await exported()).toBe(before);

        expect(text).toContain("test: 4 things are not as Pulumi made them");
        expect(text).toMatch(
            /^Droplet web-0 \(\d+\) is gone\n {2}→ `pulumi up --refresh --stack test` makes/m,
        );
        expect(text).toMatch(/^Droplet web-1 \(\d+\) is switched off\n {2}→ switch it on .*power-on \d+/m);
        expect(text).toMatch(/^Firewall network-load-balancer .* was changed: inboundRules$/m);
        expect(text).toMatch(/^ {4}\+ {2}- portRange: "8080"$/m);
        expect(text).toMatch(
            /^Droplet web-9-0123abc \(\d+\) is not in the state\n {2}→ `make doctor STACK=test`/m,
        );

        const issue = await readFile(markdown ?? "", "utf8");
        expect(issue).toMatch(/^<!-- dropscale drift: test -->\n\*\*test: 4 things/);
        const report = JSON.parse(await readFile(json ?? "", "utf8")) as { differences: { kind: string }[] };
        expect(report.differences.map(({ kind }) => kind).sort()).toEqual([
            "changed",
            "gone",
            "off",
            "orphan",
        ]);
        // The line of the private half; the first ones hold the public one.
        const line = (await world.outputs()).deployKey.split("\n")[4] ?? "";
        expect(line).toMatch(/^[\w+/]{60,}$/);
        for (const written of [text, issue, JSON.stringify(report)]) expect(written).not.toContain(line);
    });

    it("finds none after all of it was fixed as it said", async () => {
        const { id } = await dropletNamed(world, "web-1");
        await callApi(world, "POST", `/v2/droplets/${id}/actions`, { type: "power_on" });
        await upEndsWell(world, "--refresh", ...withoutMachines);
        expect((await world.tool("doctor", ["test", "--yes", "--killed", "--serving"])).code).toBe(0);
        const { code, text } = await drift("--markdown", "-");
        expect(code, text).toBe(0);
        expect(text).toBe("<!-- dropscale drift: test -->\n**test: no drift, all is as Pulumi made it**\n");
    });

    it("says that it can't be told while a run is under way, and writes no file", async () => {
        const locks = path.join(stateBackend(world.instance), ".pulumi/locks/organization/dropscale/test");
        await mkdir(locks, { recursive: true });
        const lock = path.join(locks, "some-id.json");
        const holder = { pid: 1, username: "ci", hostname: "elsewhere", timestamp: "2026-01-02T03:04:05Z" };
        await writeFile(lock, JSON.stringify(holder));
        const file = path.join(world.folder, "none.md");
        const { code, text } = await drift("--markdown", file);
        await rm(lock);
        expect(code).toBe(1);
        expect(text).toMatch(/^error: stack test is locked by ci@elsewhere/);
        await expect(stat(file)).rejects.toThrow();
    });

    it("refuses options that it does not have, and a stack that is none", async () => {
        const option = await drift("--force");
        expect(option.code).toBe(1);
        expect(option.text).toMatch(
            /^error: unknown option '--force'\n.*Usage: npm run dropscale -- drift .*--markdown <file>/s,
        );
        const stack = await world.tool("drift", ["nowhere"]);
        expect(stack.code).toBe(1);
        expect(stack.text).toMatch(/^error: no stack named 'nowhere' found/);
    });

    it("says that it can't be told where the API does not answer", async () => {
        await stopSandbox(world.instance.stateDir);
        const { code, text } = await drift();
        expect(code).toBe(1);
        expect(text).toContain("test: no drift was found, but not all could be looked at");
        expect(text).toMatch(/^not looked at: what Pulumi made: /m);
        expect(text).toMatch(/^not looked at: the account's droplets: .* does not answer/m);
        expect(text).not.toMatch(/\n\s+at /);
    });
});
