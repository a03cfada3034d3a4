import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callApi, dropletNamed } from "../faults.mts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import { up, upEndsWell } from "../world.mts";

/** Marks a secret in a state. https://github.com/pulumi/pulumi (sdk/go/common/resource/sig) */
const signature = "4dabf18193072939515e22adb298388d";

interface Exported {
    deployment: {
        resources: { urn: string; type: string; inputs?: object; outputs?: object }[];
    };
}

/** What a value is, not what it says: no state's ids and keys; of what only the bridge reads, the text itself. */
function kindOf(value: unknown, key = ""): unknown {
    if (key === "__pulumi_raw_state_delta" || (key === "__meta" && typeof value === "string")) return value;
    if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(kindOf(item))))].sort();
    if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
    if (signature in value)
        return { secret: kindOf(JSON.parse((value as { plaintext?: string }).plaintext ?? "null"), key) };
    const entries = Object.entries(value).map(([name, part]) => [name, kindOf(part, name)] as const);
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * What the engine writes into the state, held against what the official plugins (digitalocean 4.68.0, command 1.2.1)
 * wrote for the same program. A changed program is recorded anew with them first on PATH and in PULUMI_HOME:
 * `npm run vitest -- --update --project integration test/integration/state.test.ts`.
 */
describe("a stack's state", () => {
    let world: DeployableWorld;
    beforeAll(async () => {
        world = await makeDeployableWorld({ replicas: 2 });
        await upEndsWell(world);
    });
    afterAll(async () => {
        await world.close();
    });

    it("has the keys and kinds of values that the official plugins write", async () => {
        const { stdout } = await world.pulumi(["stack", "export", "--show-secrets"]);
        const { resources } = (JSON.parse(stdout) as Exported).deployment;
        const kinds = resources
            .filter(({ type }) => !type.startsWith("dropscale:") && type !== "pulumi:pulumi:Stack")
            .map(({ urn, type, inputs, outputs }) => {
                // A provider is named after its version.
                const name = type.startsWith("pulumi:providers:") ? "" : ` ${urn.split("::").at(-1) ?? ""}`;
                return [`${type}${name}`, kindOf({ inputs, outputs })] as const;
            })
            .sort(([a], [b]) => (a < b ? -1 : 1));
        await expect(`${JSON.stringify(Object.fromEntries(kinds), null, 4)}\n`).toMatchFileSnapshot(
            "official-state.snap",
        );
    });

    it("changes nothing at a second look, with a refresh or without", async () => {
        for (const more of [[], ["--refresh"]]) {
            const { code, text } = await world.pulumi(["preview", "--expect-no-changes", ...more]);
            expect(code, text).toBe(0);
        }
    });

    it("that has a droplet which is gone can't delete it; the error says what leads out, and it does", async () => {
        const { id } = await dropletNamed(world, "web-1");
        await callApi(world, "DELETE", `/v2/droplets/${id}`);
        while (JSON.stringify(await world.api("droplets")).includes(`"id":${id},`)) await sleep(200);
        await world.configure({ replicas: 1 });
        const { code, text } = await up(world);
        expect(code).not.toBe(0);
        expect(text).toContain(
            `Error waiting for droplet to be unlocked for destroy (${id}): unexpected state 'Not Found'`,
        );
        expect(text).toContain(
            `droplet ${id} is gone from the account already: \`pulumi up --refresh\` takes it`,
        );
        await upEndsWell(world, "--refresh");
    });

    it("is read by our own commands with the token of its config, which goes before the environment's", async () => {
        const wrong = { DIGITALOCEAN_TOKEN: "dop_v1_of_another_account" };
        const set = ["config", "set", "--secret", "digitalocean:token", world.sandbox.token];
        expect((await world.pulumi(set)).code).toBe(0);
        const tools = ["status", "drift", "doctor"];
        const right = await Promise.all(tools.map((name) => world.tool(name, ["test"], wrong)));
        for (const { text } of right) {
            expect(text).not.toMatch(/\b401\b/);
            expect(text).not.toContain(world.sandbox.token);
        }
        await world.pulumi([...set.slice(0, -1), wrong.DIGITALOCEAN_TOKEN]);
        const other = await Promise.all(tools.map((name) => world.tool(name, ["test"])));
        for (const { code, text } of other) {
            expect(code, text).toBe(1);
            expect(text).toMatch(/\b401\b/);
        }
        const refused = await world.pulumi(["preview"]);
        expect(refused.code, refused.text).not.toBe(0);
        expect(refused.text).toMatch(
            /Unable to authenticate you; set DIGITALOCEAN_TOKEN .*which goes before it/,
        );
        await world.pulumi(["config", "rm", "digitalocean:token"]);
    });
});
