import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { stateBackend } from "../../sandbox/stack.ts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import type { Outcome } from "../world.mts";

type Resource = Record<string, unknown> & {
    urn: string;
    type: string;
    inputs: Record<string, unknown>;
    outputs: Record<string, unknown>;
};

/** The real engine and the real API, without machines. What is refused must have changed nothing. */
describe("a deployment", () => {
    let made: DeployableWorld | undefined;
    let world: DeployableWorld;
    /** Commands that were planted write here what they could read. */
    let loot: string;
    beforeAll(async () => {
        made = await makeDeployableWorld();
        world = made;
        loot = path.join(world.folder, "loot");
    });
    afterAll(async () => {
        await made?.close();
    });
    const asDeployed = { replicas: undefined, generation: undefined };
    afterEach(async () => {
        await world.configure(asDeployed);
    });

    const exported = async () => (await world.pulumi(["stack", "export"])).stdout;
    const droplets = async () =>
        ((await world.api("droplets")).droplets as { id: number; name: string }[]).map(({ id }) => id).sort();

    /** Nothing may have changed; what it said. */
    async function refused(tool: "deploy" | "rollout", ...args: string[]): Promise<Outcome> {
        const before = [await exported(), await droplets()];
        const outcome = await world.tool(tool, args);
        expect(existsSync(loot) ? readFileSync(loot, "utf8") : "nothing was run").toBe("nothing was run");
        expect(outcome.code, outcome.text).toBe(1);
        expect(outcome.text).not.toMatch(/\n\s+at /);
        expect([await exported(), await droplets()]).toEqual(before);
        return outcome;
    }

    const tooFew =
        "min-replicas: 1 server; allowed: at least 2. To fix it: raise dropscale:replicas, or lower `minReplicas` in policy/limits.yaml (stacks: test: …).";

    it("of too few servers is refused before anything is made", async () => {
        await world.configure({ replicas: 1 });
        const { text } = await refused("deploy", "test");
        expect(text).toContain(`error: refused, nothing was changed:\n  ${tooFew}\n`);
        expect(await droplets()).toEqual([]);
    });

    it("within the limits is applied, and says first what it does", async () => {
        const { code, text, stdout } = await world.tool("deploy", ["test"]);
        expect(code, text).toBe(0);
        expect(stdout).toMatch(/^test: first deployment: 3 servers and a load balancer, \$0 → \$24 a month/);
        expect(await droplets()).toHaveLength(4);
    });

    it.each([
        ["of no servers", { replicas: 0 }, ["test"], ["min-replicas: 0 servers; allowed: at least 2."]],
        [
            "that shrinks too much, with --refresh",
            { replicas: 1 },
            ["test", "--refresh"],
            ["max-shrink: 3 servers become 1, 67 % less; allowed: at most 50 % less.", tooFew],
        ],
    ])("%s is refused, with value, limit and fix", async (_what, config, args, words) => {
        await world.configure(config);
        const { text } = await refused("deploy", ...args);
        for (const word of words) expect(text).toContain(word);
        expect(text).toContain("To fix it: ");
    });

    it("in batches is held to the same limits, before the first batch", async () => {
        await world.configure({ replicas: 1, generation: "b" });
        const config = path.join(world.folder, "Pulumi.test.yaml");
        const before = readFileSync(config, "utf8");
        const { text } = await refused("rollout", "--stack", "test");
        expect(text).toContain(tooFew);
        expect(readFileSync(config, "utf8")).toBe(before);
    });

    describe("whose state somebody else has written", () => {
        const steal = () => `printenv DIGITALOCEAN_TOKEN > ${loot}`;
        const command = "dropscale:index:DeployKey$command:local:Command";

        /** Deploys with this change of the state, and puts the state back. */
        async function withState(change: (resources: Resource[]) => void): Promise<string> {
            const file = path.join(world.folder, "state.json");
            const before = await exported();
            const state = JSON.parse(before) as { deployment: { resources: Resource[] } };
            change(state.deployment.resources);
            const load = async (text: string) => {
                writeFileSync(file, text);
                const { code, text: said } = await world.pulumi(["stack", "import", "--file", file]);
                expect(code, said).toBe(0);
            };
            await load(JSON.stringify(state));
            try {
                return (await refused("deploy", "test")).text;
            } finally {
                await load(before);
            }
        }
        const named = (resources: Resource[], name: string): Resource => {
            const found = resources.find(({ urn }) => urn.endsWith(`Command::${name}`));
            if (!found) throw new Error(`no ${name}`);
            return found;
        };
        const plant = (resources: Resource[], name: string, values: Record<string, unknown>) => {
            const like = named(resources, "keys-host");
            const urn = like.urn.replace("keys-host", name);
            const { outputs } = like;
            resources.push({ ...like, urn, id: name, inputs: values, outputs: { ...outputs, ...values } });
        };

        it("is refused for a command that it would delete, and so run", async () => {
            const text = await withState((resources) => {
                plant(resources, "keys-cache", { create: "true", delete: steal() });
            });
            expect(text).toContain(`in the state, urn:pulumi:test::dropscale::${command}::keys-cache has a `);
        });

        it("is refused for a command of another name, and for one of its own that would run by its text there", async () => {
            const text = await withState((resources) => {
                plant(resources, "keys-cache", { create: "true" });
                const keys = named(resources, "keys-host");
                keys.inputs = { ...keys.inputs, create: steal() };
                keys.taint = true;
            });
            expect(text).toContain(`${command}::keys-host would run again on this machine`);
            const urn = `urn:pulumi:test::dropscale::${command}::keys-cache`;
            expect(text).toContain(`the state has ${urn}, which this program does not make: `);
            expect(text).toContain(`pulumi state delete '${urn}' --stack test`);
        });
    });

    it("is applied when nothing is left of all that", async () => {
        const { code, text } = await world.tool("deploy", ["test"]);
        expect(code, text).toBe(0);
        expect(text).toMatch(/^test: nothing to do: 3 servers/);
    });

    describe("leaves a history", () => {
        interface Event extends Record<string, unknown> {
            status: string;
            who: string;
        }
        const history = async (): Promise<Event[]> => {
            const { code, stdout, text } = await world.tool("history", ["test", "--json", "-"]);
            expect(code, text).toBe(0);
            return (JSON.parse(stdout) as { history: Event[] }).history;
        };

        it("of who ran it outside of git, and of the autoscaler's commit in a pipeline", async () => {
            const before = await history();
            expect(before.map(({ status }) => status)).toEqual(["success", "success"]);
            expect(before[1]).toMatchObject({
                ...{ current_instance_count: 0, desired_instance_count: 3, reason: "SCALE_UP", by: "person" },
                who: expect.stringMatching(/^\w+@/) as string,
            });
            await world.configure({ replicas: 4 });
            const title = "autoscale: replicas 3 -> 4: busy 0.90 of 0.60";
            const git = (...args: string[]) => execFileSync("git", ["-C", world.folder, ...args]);
            git("init", "--quiet");
            git("add", "Pulumi.yaml", "Pulumi.test.yaml");
            const me = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
            git(...me, "commit", "--quiet", "--message", title);
            const pipeline = { GITHUB_ACTIONS: "true", GITHUB_RUN_ID: "77", GITHUB_RUN_NUMBER: "5" };
            const up = await world.tool("deploy", ["test"], pipeline);
            expect(up.code, up.text).toBe(0);
            const [newest, ...rest] = await history();
            expect(rest).toEqual(before);
            expect(newest).toMatchObject({
                ...{ current_instance_count: 3, desired_instance_count: 4, reason: "SCALE_UP" },
                ...{ by: "autoscaler", who: "autoscaler, GitHub Actions #5", message: title, settings: [] },
            });
            const table = await world.tool("history", ["test", "--limit", "1"]);
            expect(table.text).toMatch(/│ autoscaler, GitHub Actions #5 │ 3 → 4 +│ success +│ \d+ s +│ - /);
            expect(table.text).not.toContain("not recorded");
        });

        it("with the run that holds the stack", async () => {
            const locks = path.join(
                stateBackend(world.instance),
                ".pulumi/locks/organization/dropscale/test",
            );
            mkdirSync(locks, { recursive: true });
            const lock = path.join(locks, "some-id.json");
            const holder = {
                pid: 1,
                username: "ci",
                hostname: "elsewhere",
                timestamp: "2026-01-02T03:04:05Z",
            };
            writeFileSync(lock, JSON.stringify(holder));
            const [running] = await history();
            rmSync(lock);
            expect(running).toMatchObject({
                status: "in_progress",
                who: "ci@elsewhere",
                duration_seconds: null,
            });
            expect(running).toMatchObject({ current_instance_count: 4, desired_instance_count: 3 });
        });

        it("of none for a stack that was never updated, and of an error for no stack at all", async () => {
            await world.addStack("empty");
            const empty = await world.tool("history", ["empty"]);
            expect(empty).toMatchObject({
                code: 0,
                text: expect.stringContaining("no history yet") as string,
            });
            const nowhere = await world.tool("history", ["nowhere"]);
            expect(nowhere.code).toBe(1);
            expect(nowhere.text).toMatch(/^error: no stack named 'nowhere' found/);
        });
    });
});
