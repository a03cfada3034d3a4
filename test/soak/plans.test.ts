import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { callApi } from "../faults.mts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import { asDeployed, happening, runPlan } from "../plan-runs.mts";
import { up, upEndsWell } from "../world.mts";

/** Plans of every kind of change, by the real engine; the unit tests have the same words for made-up previews. */
describe("a plan of each kind of change", () => {
    let made: DeployableWorld | undefined;
    let world: DeployableWorld;
    beforeAll(async () => {
        world = made = await makeDeployableWorld();
        await upEndsWell(world);
    });
    afterAll(async () => {
        await made?.close();
    });
    afterEach(async () => {
        await world.configure(asDeployed);
    });

    const planOf = (change: Record<string, unknown>, ...args: string[]) => runPlan(world, change, ...args);

    it("says that one is swapped for another", async () => {
        const { plan } = await planOf({ retired: [0, 42] });
        expect(plan.summary).toBe("3 servers, web-3 for web-0, $24 a month, no request lost");
        expect(plan.servers.list.map(({ action, why }) => [action, ...why])).toEqual([
            ["delete", "retired"],
            ["keep"],
            ["keep"],
            ["create", "in place of web-0"],
        ]);
        expect(plan.droplets).toMatchObject({ before: 4, whileRunning: 5, after: 4 });
        expect(plan.warnings).toEqual([expect.stringContaining("'retired' 42 has no effect")]);
    });

    it("names the input for which servers are replaced, and those that are held", async () => {
        const { plan } = await planOf({ size: "s-1vcpu-2gb", hold: [0, 7] });
        expect(happening(plan, "replace")).toEqual(["web-1", "web-2"]);
        expect(plan.servers.list.map(({ held, why, size }) => [held, size, ...why])).toEqual([
            [true, "s-1vcpu-1gb", "held, keeps size s-1vcpu-1gb"],
            [false, "s-1vcpu-2gb", "size s-1vcpu-1gb → s-1vcpu-2gb"],
            [false, "s-1vcpu-2gb", "size s-1vcpu-1gb → s-1vcpu-2gb"],
        ]);
        expect(plan.monthlyCost).toMatchObject({ before: 24, after: 36, whileRunning: 48 });
        expect(plan.warnings).toEqual([expect.stringContaining("'hold' 7 has no effect")]);
    });

    it("tells another generation from other user data", async () => {
        const generation = await planOf({ generation: "2026-11" });
        expect(generation.plan.servers.list[0]?.why).toEqual(["generation (empty) → 2026-11"]);
        expect(generation.plan.settings).toEqual([
            { key: "generation", before: "(empty)", after: "2026-11" },
        ]);
        const file = path.join(world.folder, "userdata/nginx.yaml");
        const text = readFileSync(file, "utf8");
        writeFileSync(file, text.replace("server_tokens off;", "server_tokens off;\n          gzip on;"));
        const edited = await planOf({ generation: undefined });
        writeFileSync(file, text);
        expect(edited.plan.servers.list[0]?.why).toEqual([
            expect.stringMatching(/^user data \w{12} → \w{12} \(userdata\/nginx: \+1 -0 lines\)$/),
        ]);
        expect(edited.plan.userDataDiff.match(/^[+-].*/gm)).toEqual(["+          gzip on;"]);
        expect(generation.plan.userDataDiff.match(/^[+-].*/gm)).toEqual(["+# generation: 2026-11"]);
        expect(edited.plan.summary).toBe("3 servers, all replaced, $24 a month, no request lost");
    });

    it("shows what changes in haproxy.cfg alone", async () => {
        const { plan } = await planOf({ appPort: 8080 });
        expect(plan.summary).toBe("3 servers, new haproxy.cfg, $24 a month, no request lost");
        expect(plan.haproxyDiff.match(/^\+.*:8080 /gm)).toHaveLength(3);
        expect(plan.haproxyDiff.match(/^-.*:80 /gm)).toHaveLength(3);
    });

    it("warns of a load balancer that is replaced, and of what it cuts", async () => {
        const { plan, text } = await planOf({ loadBalancerSize: "s-1vcpu-2gb" });
        expect(plan.loadBalancer).toMatchObject({
            action: "replace",
            why: ["size s-1vcpu-1gb → s-1vcpu-2gb"],
            haproxyRuns: true,
        });
        expect(plan.lostRequests.which).toBe("in-flight");
        expect(plan.haproxyDiff).toBe("");
        expect(plan.warnings).toEqual(["the load balancer is replaced: better in a quiet hour"]);
        expect(text).toContain("then haproxy.cfg is applied to the new one, and the address moves to it");
    });

    it("shows whom a firewall lets in", async () => {
        const { uplinkHost } = world.instance.addresses;
        const { plan } = await planOf({ adminCidrs: ["198.51.100.0/24"] });
        await world.configure({ adminCidrs: [`${uplinkHost}/32`] });
        expect(plan.summary).toBe("3 servers, firewall changed, $24 a month, no request lost");
        expect(plan.others).toEqual([
            {
                action: "update",
                kind: "firewall",
                name: "network-load-balancer",
                what: [`port 22 from ${uplinkHost}/32 → 198.51.100.0/24`],
            },
        ]);
    });

    it("shows who else is let in to the servers, once the account has the tag", async () => {
        const backendSources = [
            { from: "monitoring", ports: 9100 },
            { from: "198.51.100.7/32", ports: "9100-9105" },
        ];
        const refused = await planOf({ backendSources });
        expect(refused.code).toBe(1);
        expect(refused.plan.refusals.join()).toContain(
            "'backendSources' should name tags that the account has, got monitoring; give it to a host first",
        );
        await callApi(world, "POST", "/v2/tags", { name: "monitoring" });
        const { code, plan, text } = await planOf({ backendSources });
        expect(code, text).toBe(0);
        expect(plan.summary).toBe("3 servers, firewall changed, $24 a month, no request lost");
        expect(plan.settings).toEqual([
            { key: "backendSources", before: null, after: "{198.51.100.7/32:9100-9105, monitoring:9100}" },
        ]);
        expect(plan.others).toEqual([
            {
                action: "update",
                kind: "firewall",
                name: "network-backend",
                what: ["port 9100 from nobody → monitoring", "port 9100-9105 from nobody → 198.51.100.7/32"],
            },
        ]);
        await upEndsWell(world);
        const { firewalls } = (await world.api("firewalls")) as {
            firewalls: { name: string; inbound_rules: object[] }[];
        };
        const backend = firewalls.find(({ name }) => name === "dropscale-test-backend");
        expect(backend?.inbound_rules).toEqual([
            { protocol: "tcp", ports: "0", sources: { tags: ["dropscale-test-load-balancer"] } },
            { protocol: "tcp", ports: "9100", sources: { tags: ["monitoring"] } },
            { protocol: "tcp", ports: "9100-9105", sources: { addresses: ["198.51.100.7/32"] } },
        ]);
        await world.configure({ backendSources: undefined });
        await upEndsWell(world);
    });

    it("advises a new stack instead of another region", async () => {
        const { plan } = await planOf({ region: "ams3" });
        expect(plan.lostRequests.which).toBe("all");
        expect(plan.lostRequests.why).toContain("the address changes");
        expect(plan.warnings[0]).toMatch(/^another region .*: make a new stack instead/);
    });

    it("shows what an update that failed has left to delete", async () => {
        await world.configure({ generation: "c" });
        world.ssh.exitCode = 1;
        const failed = await up(world);
        world.ssh.exitCode = 0;
        expect(failed.code).not.toBe(0);
        const { text, plan } = await planOf({});
        expect(plan.leftovers).toEqual(
            [0, 1, 2].map((slot): unknown => expect.stringMatching(`^the old web-${slot} \\(\\d+\\)$`)),
        );
        expect(plan).toMatchObject({ changes: true, droplets: { before: 7, after: 4 } });
        expect(plan.monthlyCost).toMatchObject({ before: 42, after: 24 });
        expect(text).toContain("left by a run that did not end well");
        await upEndsWell(world);
        await world.configure({ generation: undefined });
        await upEndsWell(world);
    });
});
