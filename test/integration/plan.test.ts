import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startSandbox, stopSandbox } from "../../sandbox/process.ts";
import { stateBackend } from "../../sandbox/stack.ts";
import type { Plan } from "../../tools/plan/model";
import { callApi } from "../faults.mts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import { up, upEndsWell } from "../world.mts";

/** The real engine and the real API, without machines. A stack is deployed once; each test plans a change of it. */
describe("a plan", () => {
    let made: DeployableWorld | undefined;
    let world: DeployableWorld;
    beforeAll(async () => {
        made = await makeDeployableWorld();
        world = made;
    });
    afterAll(async () => {
        await made?.close();
    });

    /** Everything that tests change. */
    const asDeployed = Object.fromEntries(
        [
            "replicas",
            "retired",
            "hold",
            "size",
            "generation",
            "appPort",
            "loadBalancerSize",
            "region",
            "backendSources",
        ].map((key) => [key, undefined]),
    );
    afterEach(async () => {
        await world.configure(asDeployed);
    });

    interface Planned {
        code: number;
        text: string;
        plan: Plan;
    }

    /** What `make plan` says of a change of the config. */
    async function planOf(change: Record<string, unknown>, ...args: string[]): Promise<Planned> {
        await world.configure(change);
        const file = path.join(world.folder, "plan.json");
        const { code, text } = await world.tool("plan", ["test", "--json", file, ...args]);
        return { code, text, plan: JSON.parse(readFileSync(file, "utf8")) as Plan };
    }

    const happening = ({ servers }: Plan, action: string) =>
        servers.list.filter((server) => server.action === action).map(({ name }) => name);

    it("names what a first deployment makes", async () => {
        const { code, text, plan } = await planOf({});
        expect(code, text).toBe(0);
        expect(text).toContain("test: first deployment: 3 servers and a load balancer, $0 → $24 a month");
        expect(plan).toMatchObject({
            version: 1,
            applicable: true,
            changes: true,
            servers: { before: 0, after: 3 },
            monthlyCost: { before: 0, after: 24, difference: 24, whileRunning: 24 },
            droplets: { before: 0, after: 4, account: { existing: 0, limit: 25 } },
            lostRequests: { which: "none" },
            policy: { violations: [] },
        });
        expect(plan.haproxyDiff).toContain("+    server web-2 <address of web-2>:80");
    });

    it("has nothing to say when nothing is to do", async () => {
        await upEndsWell(world);
        const { code, text, plan } = await planOf({});
        expect(code, text).toBe(0);
        expect(text).toMatch(/^test: nothing to do: 3 servers, \$24 a month\n/);
        expect(plan).toMatchObject({
            changes: false,
            haproxyDiff: "",
            settings: [],
            others: [],
            warnings: [],
        });
    });

    it("writes nothing where the state is: a key that only reads is enough", async () => {
        const files = () =>
            readdirSync(stateBackend(world.instance), { recursive: true, encoding: "utf8" }).map((name) => {
                const { size, mtimeMs, ctimeMs } = statSync(path.join(stateBackend(world.instance), name));
                return [name, size, mtimeMs, ctimeMs];
            });
        const before = files();
        await planOf({ replicas: 4 }, "--refresh", "--markdown", path.join(world.folder, "plan.md"));
        expect(files()).toEqual(before);
    });

    it("shows servers that come, with placeholders for addresses that are not known yet", async () => {
        const { plan, text } = await planOf({ replicas: 5 });
        expect(plan.summary).toBe("3 → 5 servers, $24 → $36 a month, no request lost");
        expect(happening(plan, "create")).toEqual(["web-3", "web-4"]);
        expect(happening(plan, "keep")).toEqual(["web-0", "web-1", "web-2"]);
        expect(plan.haproxyDiff).toMatch(/^ {5}server web-2 10\.\S+:80 tcp-ut 3s$/m);
        expect(plan.haproxyDiff).toMatch(/^\+ {4}server web-3 <address of web-3>:80 tcp-ut 3s$/m);
        expect(plan.haproxyDiff).not.toContain("gen=");
        expect(text).toContain("+ web-3 web-4");
    });

    it("refuses by policy what shrinks to one, and still shows all of it", async () => {
        const { code, plan } = await planOf({ replicas: 1 });
        expect(code).toBe(1);
        expect(plan.applicable).toBe(false);
        expect(plan.policy.violations.map(({ rule }) => rule).sort()).toEqual(["max-shrink", "min-replicas"]);
        expect(plan.summary).toBe("refused: 3 → 1 server, $24 → $12 a month, no request lost");
        expect(happening(plan, "delete")).toEqual(["web-1", "web-2"]);
        expect(plan.warnings).toEqual([
            "one server is left: when it dies, nothing serves",
            "shrinks below half: 3 servers become 1, each gets 3.0 times the requests",
        ]);
    });

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

    it("passes on what the program refuses, without a stack trace, in every form", async () => {
        const { code, text, plan } = await planOf(
            { replicas: 1001, region: "frankfurt" },
            "--markdown",
            path.join(world.folder, "plan.md"),
        );
        const markdown = readFileSync(path.join(world.folder, "plan.md"), "utf8");
        expect(code).toBe(1);
        expect(plan).toMatchObject({ applicable: false, changes: false, servers: { before: 3, after: 3 } });
        for (const form of [text, markdown, plan.refusals.join("\n")]) {
            expect(form).toContain("'replicas' should be a whole number from 0 to 1000, got 1001");
            expect(form).toContain("'region' should be a region's slug such as fra1, got frankfurt");
            expect(form).not.toMatch(/\n\s+at /);
        }
        expect(markdown).toMatch(/^<!-- dropscale plan: test -->\n\n:x: \*\*test: refused/);
    });

    it("writes a comment with the engine's own diff, and no secret in any form", async () => {
        const { text, plan } = await planOf(
            { loadBalancerSize: "s-1vcpu-2gb", generation: "b" },
            "--markdown",
            path.join(world.folder, "plan.md"),
        );
        const markdown = readFileSync(path.join(world.folder, "plan.md"), "utf8");
        expect(markdown).toMatch(
            /^<!-- dropscale plan: test -->\n\n\*\*test: 3 servers, all replaced, load balancer replaced, /,
        );
        expect(markdown).toContain("<details><summary>pulumi preview --diff</summary>");
        expect(markdown).toContain("+-digitalocean:index/droplet:Droplet: (replace)");
        const { deployKey } = await world.outputs();
        const secrets = [world.sandbox.token, "PRIVATE KEY", deployKey.split("\n")[1] ?? ""];
        for (const form of [text, markdown, JSON.stringify(plan)])
            for (const secret of secrets) expect(form).not.toContain(secret);
    });

    it("shows no secret of the environment, however its variable is called, nor in a file that one names", async () => {
        const file = path.join(world.folder, "passphrase");
        writeFileSync(file, "correct horse battery staple\n");
        const env = {
            DIGITALOCEAN_ACCESS_TOKEN: "dop_v1_0123456789abcdef",
            SPACES_SECRET_ACCESS_KEY: "s3cr3t/of+the=bucket",
            AWS_ACCESS_KEY_ID: "DO00EXAMPLE_KEY_ID",
            GITLAB_TOKEN: "glpat-0123456789_abcdef",
            PULUMI_CONFIG_PASSPHRASE_FILE: file,
            TF_STATE_URL: "postgres://me:hunter2hunter2@db/state",
        };
        const secrets = [...Object.values(env).slice(0, 4), "correct horse battery staple", "hunter2hunter2"];
        // What is refused is repeated.
        await world.configure({ region: secrets.join(" ") });
        const names = ["plan.md", "plan.json"].map((name) => path.join(world.folder, name));
        const args = ["test", "--markdown", names[0] ?? "", "--json", names[1] ?? ""];
        const { code, text } = await world.tool("plan", args, env);
        expect(code).toBe(1);
        const forms = [text, ...names.map((name) => readFileSync(name, "utf8"))];
        for (const form of forms) {
            expect(form.replaceAll("\\", "")).toContain(`got ${secrets.map(() => "[secret]").join(" ")}`);
            for (const secret of secrets) expect(form.replaceAll("\\", "")).not.toContain(secret);
        }
    });

    it("prints the comment alone to stdout where it is asked to", async () => {
        const { stdout, code } = await world.tool("plan", ["test", "--markdown", "-"]);
        expect(code).toBe(0);
        expect(stdout).toMatch(/^<!-- dropscale plan: test -->\n\n\*\*test: nothing to do/);
    });

    it("sees what is gone from the account, if it may ask", async () => {
        const { servers } = await world.outputs();
        const id = servers.find(({ name }) => name === "web-1")?.dropletId ?? "";
        const authorization = `Bearer ${world.sandbox.token}`;
        await fetch(`${world.sandbox.url}/v2/droplets/${id}`, {
            method: "DELETE",
            headers: { authorization },
        });
        const { plan } = await planOf({}, "--refresh");
        expect(happening(plan, "create")).toEqual(["web-1"]);
        expect(plan.servers.list[1]?.why).toEqual(["it is gone from the account: made again"]);
        await upEndsWell(world, "--refresh");
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

    it("sends to the doctor where a killed run left its lock", async () => {
        const folder = path.join(stateBackend(world.instance), ".pulumi/locks/organization/dropscale/test");
        mkdirSync(folder, { recursive: true });
        const lock = {
            pid: 4_194_304,
            username: "ann",
            hostname: os.hostname(),
            timestamp: "2026-11-22T00:00:00Z",
        };
        writeFileSync(path.join(folder, "killed.json"), JSON.stringify(lock));
        const { plan } = await planOf({});
        rmSync(folder, { recursive: true });
        expect(plan.warnings).toEqual([
            expect.stringMatching(/^a killed run left its lock .*make doctor STACK=test/),
        ]);
    });

    it("says that there is no such stack, in every form", async () => {
        const { code, stdout } = await world.tool("plan", ["nowhere", "--markdown", "-"]);
        expect(code).toBe(1);
        expect(stdout).toMatch(/^<!-- dropscale plan: nowhere -->\n\n:x: \*\*nowhere: refused/);
        expect(stdout).toContain("no stack named 'nowhere' found");
    });

    it("refuses options that it does not have", async () => {
        const { code, text } = await world.tool("plan", ["test", "--yes"]);
        expect(code).toBe(1);
        expect(text).toMatch(/^error: unknown option '--yes'\n.*Usage: dropscale plan .*--markdown <file>/s);
    });

    // Last: the API is another one from here on.
    it("counts whether the account has room for all that exists at once", async () => {
        await stopSandbox(world.instance.stateDir);
        const port = Number(new URL(world.sandbox.url).port);
        await startSandbox(world.instance, { port, dropletLimit: 5 });
        const replaced = await planOf({ generation: "d" });
        expect(replaced.code).toBe(0);
        expect(replaced.plan.warnings[0]).toMatch(
            /^the account's limit is 5 droplets, 4 exist, this needs 7 at once: `npm run rollout -- --batch 1` fits/,
        );
        const swapped = await planOf({ generation: undefined, retired: [0, 1] });
        expect(swapped.code).toBe(1);
        expect(swapped.plan.refusals).toEqual([
            expect.stringMatching(
                /^the account's limit is 5 droplets, 4 exist, this needs 6 at once: delete /,
            ),
        ]);
    });
});
