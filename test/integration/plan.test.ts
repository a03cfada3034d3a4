import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startSandbox, stopSandbox } from "../../sandbox/process.ts";
import { stateBackend } from "../../sandbox/stack.ts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import { asDeployed, happening, runPlan } from "../plan-runs.mts";
import { upEndsWell } from "../world.mts";

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

    afterEach(async () => {
        await world.configure(asDeployed);
    });

    const planOf = (change: Record<string, unknown>, ...args: string[]) => runPlan(world, change, ...args);

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
        expect(text).toMatch(
            /^error: unknown option '--yes'\n.*Usage: npm run dropscale -- plan .*--markdown <file>/s,
        );
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
