import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SecretSearch } from "../secrets.mts";
import { allScopes, makeToken, withRequired } from "../token.mts";
import { makeWorld, type World } from "../world.mts";

/** The load balancer's user data holds its host key, and the provider repeats user data where nobody looks for it. */
describe("a preview whose keys exist already", () => {
    let world: World;
    let search: SecretSearch;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
        // Makes everything but droplets.
        const scopes = withRequired(allScopes).filter((scope) => scope !== "droplet:create");
        const token = await makeToken(world.sandbox, scopes);
        const up = await world.pulumi(["up", "--yes", "--skip-preview"], { DIGITALOCEAN_TOKEN: token });
        expect(up.text).toContain("the token lacks one of the scopes droplet:create");
        const { stdout } = await world.pulumi(["stack", "export", "--show-secrets"]);
        const { deployment } = JSON.parse(stdout) as {
            deployment: { resources: { urn: string; outputs?: { stdout?: { plaintext?: string } } }[] };
        };
        const keys = deployment.resources.flatMap(({ urn, outputs }) => {
            const value = JSON.parse(outputs?.stdout?.plaintext ?? "null") as string | null;
            return value === null ? [] : [{ name: urn.split("::").at(-1) ?? "", value }];
        });
        expect(keys.map(({ name }) => name).sort()).toEqual(["keys-deploy", "keys-host", "keys-setup"]);
        // Without the public halves, which are no secret.
        search = new SecretSearch(
            keys.map(({ name, value }) => ({ name, value: value.replace(/^ssh-.*$/m, "") })),
        );
    });
    afterAll(async () => {
        await world.close();
    });

    it.each([["--json"], ["--diff"], ["--show-config"]])("with %s shows none of them", async (option) => {
        const { code, text } = await world.pulumi(["preview", option]);
        expect(code, text).toBe(0);
        expect(search.inText(option, text)).toEqual([]);
    });

    /** What the provider said of each resource; `preview --json` alone shows it only now and then. */
    const providerOutputs = async () => {
        const env = { PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true" };
        const { code, stdout, text } = await world.pulumi(["preview", "--json"], env);
        expect(code, text).toBe(0);
        const events = stdout.split("\n").filter((line) => line.includes('"resOutputsEvent"'));
        expect(events.length).toBeGreaterThan(10);
        return events.join("\n");
    };

    it("has none in what the provider says, though it repeats user data in `__meta`", async () => {
        const outputs = await providerOutputs();
        expect(outputs).toContain('"__meta"');
        expect(search.inText("", outputs)).toEqual([]);
    });

    it("would have the load balancer's there, were `__meta` not declared secret", async () => {
        const file = path.join(world.folder, "components/load-balancer.ts");
        const program = readFileSync(file, "utf8");
        const careless = program.replace('["__meta"]', "[]");
        expect(careless).not.toBe(program);
        writeFileSync(file, careless);
        const outputs = await providerOutputs();
        writeFileSync(file, program);
        const found = search.inText("", outputs).map(({ secret }) => secret);
        expect(found.sort()).toEqual(["keys-host", "keys-setup"]);
    });
});
