import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpsConfig } from "../certificates";
import { searchDroplet } from "../droplet-secrets.mts";
import { callApi, inDroplet } from "../faults.mts";
import { type Leak, type Secret, SecretSearch, watchProcesses } from "../secrets.mts";
import { alertScopes, allScopes, makeToken, usedScopes, withRequired } from "../token.mts";
import { makeWorld, type World } from "../world.mts";

/**
 * One stack from nothing to nothing with a token that may do no more than docs/security.md lists, and, all the while, a
 * search for everything that is secret in all places where somebody else could read it. Every step builds on the last.
 */
describe("from the first up to destroy", () => {
    let world: World;
    let made: World | undefined;
    let token: string;
    let passphrase: string;
    let secrets: Secret[];
    let search: SecretSearch;
    /** What commands printed, by command. */
    const printed: [command: string, text: string][] = [];
    let stopWatching: ((search?: SecretSearch) => { looks: number; leaks: Leak[] }) | undefined;

    beforeAll(async () => {
        world = made = await makeWorld("nspawn");
        token = await makeToken(world.sandbox, withRequired(allScopes));
        passphrase = randomBytes(24).toString("base64url");
        world.env.DIGITALOCEAN_TOKEN = token;
        // The sandbox's own passphrase is public, and a word of every file here.
        world.env.PULUMI_CONFIG_PASSPHRASE_FILE = path.join(world.folder, "../passphrase");
        delete world.env.PULUMI_CONFIG_PASSPHRASE;
        // What is left in the folder for temporary files is searched as well.
        world.env.TMPDIR = path.join(world.folder, "../tmp");
        mkdirSync(world.env.TMPDIR);
        writeFileSync(world.env.PULUMI_CONFIG_PASSPHRASE_FILE, passphrase, { mode: 0o600 });
        const options = { cwd: world.folder, env: world.env };
        await promisify(execFile)("pulumi", ["stack", "rm", "--yes", "test"], options);
        await promisify(execFile)("pulumi", ["stack", "init", "test"], options);
        const adminCidrs = [`${world.instance.addresses.uplinkHost}/32`];
        const { domains, tlsCertificate, tlsKey } = httpsConfig();
        await world.configure({ replicas: 1, adminCidrs, domains });
        await world.configureSecret("tlsCertificate", tlsCertificate);
        await world.configureSecret("tlsKey", tlsKey);
        // The first VPC of a region is its default, which nobody can delete: the stack's is to be another one.
        await callApi(world, "POST", "/v2/vpcs", { name: "default-fra1", region: "fra1" });
        secrets = [
            { name: "the stack's token", value: token },
            { name: "the sandbox's token", value: world.sandbox.token },
            { name: "the passphrase", value: passphrase },
            { name: "the certificate's key", value: tlsKey },
        ];
        stopWatching = watchProcesses();
    });
    afterAll(async () => {
        stopWatching?.();
        await made?.close();
    });

    const run = async (...args: string[]) => {
        const { code, text } = await world.pulumi(args);
        printed.push([`pulumi ${args.join(" ")}`, text]);
        expect(code, text).toBe(0);
        return text;
    };
    const tool = async (name: string, ...args: string[]) => {
        const { code, text } = await world.tool(name, args);
        printed.push([`dropscale ${name} ${args.join(" ")}`, text]);
        expect(code, text).toBe(0);
    };
    const root = () => path.dirname(world.folder);

    it("goes up", async () => {
        await run("up", "--yes", "--diff");
        const { deployKey } = await world.outputs();
        secrets.push(
            { name: "the deploy key", value: deployKey },
            { name: "the load balancer's host key", value: await hostKey() },
        );
        search = new SecretSearch(secrets);
    });

    it("changes: preview, up by the roll-out, refresh, and everything that only looks", async () => {
        const adminCidrs = [`${world.instance.addresses.uplinkHost}/32`, "192.0.2.0/24"];
        await world.configure({ replicas: 2, adminCidrs });
        await tool("plan", "test", "--json", "-");
        await tool("plan", "test", "--markdown", "-");
        await tool("rollout", "--stack", "test");
        await tool("status", "test");
        await tool("doctor", "test", "--yes");
        await run("up", "--yes", "--refresh");
        await run("stack");
        await run("stack", "output", "--json");
        await run("stack", "export");
        await run("stack", "history", "--json", "--show-secrets=false");
        await run("config", "--json");
        expect(printed.flatMap(([command, text]) => search.inText(command, text))).toEqual([]);
    });

    it("leaves them nowhere on droplets, but for root on the load balancer its host key and the certificate's", async () => {
        const { droplets } = (await world.api("droplets")) as { droplets: { id: number; name: string }[] };
        expect(droplets).toHaveLength(3);
        for (const { id, name } of droplets) {
            const seen = await searchDroplet(world, id, search.patterns);
            expect(seen.logs, `${name}: logs`).toEqual([]);
            expect(seen.processes, `${name}: processes`).toEqual([]);
            // It sees what it should: the script has put them there.
            expect(seen.files.splice(0, 2)).toEqual(["root /root/.canary", "anybody /tmp/.canary"]);
            if (!name.startsWith("load-balancer-")) expect(seen.files, name).toEqual([]);
            for (const file of seen.files) {
                expect(file, name).toMatch(/^root /);
                const content = await inDroplet(world, id, `cat "${file.slice("root ".length)}"`);
                const leaks = search.inText(file, content);
                const own = /^root \/etc\/haproxy\/(certs|staged-certificates)\//.test(file)
                    ? "the certificate's key"
                    : "the load balancer's host key";
                expect(leaks).toEqual([{ secret: own, where: file }]);
            }
        }
    });

    it("leaves them nowhere on this machine but in files of the owner alone", () => {
        const allowed = [
            // What the person who runs it gave, or is given.
            "passphrase",
            "sandbox/token",
            // The sandbox's: user data, and the droplets' disks.
            "sandbox/cloud.json",
            "sandbox/droplets",
            "sandbox/snapshots",
        ].map((name) => path.join(root(), name));
        for (const file of allowed.filter((name) => existsSync(name)))
            expect([file, statSync(file).mode & 0o077]).toEqual([file, 0]);
        const isLeftOut = (file: string) => allowed.includes(file) || file.endsWith("/node_modules");
        expect(search.inFolder(root(), isLeftOut)).toEqual([]);
        // It does look where Pulumi's state is: the stack's own name is in it.
        const canary = new SecretSearch([{ name: "name", value: "dropscale-test-load-balancer" }]);
        const state = canary.inFolder(root(), isLeftOut).map(({ where }) => where);
        expect(state.join("\n")).toMatch(/pulumi-state\/.*\/stacks\/.*test\.json/);
        expect(state.join("\n")).toMatch(/pulumi-state\/.*\/history\//);
    });

    it("goes away, and no command line of any process held one at any time", async () => {
        await run("destroy", "--yes", "--refresh");
        const { looks, leaks } = stopWatching?.(search) ?? { looks: 0, leaks: [] };
        expect(looks).toBeGreaterThan(50);
        expect(leaks).toEqual([]);
        expect(printed.flatMap(([command, text]) => search.inText(command, text))).toEqual([]);
    });

    it("took every scope of the list, and no other", async () => {
        const used = await usedScopes(world.sandbox, token);
        // The doctor looks for alerts that no state knows, and goes on where it may not.
        const tried = alertScopes.filter((scope) => scope.endsWith(":read"));
        expect(used).toEqual([...allScopes, ...tried].sort());
    });

    /** What stands in the load balancer's own file: the only place where it can be read. */
    async function hostKey(): Promise<string> {
        const { droplets } = (await world.api("droplets")) as { droplets: { id: number; name: string }[] };
        const balancer = droplets.find(({ name }) => name.startsWith("load-balancer-"));
        const key = await inDroplet(world, balancer?.id ?? 0, "cat /etc/ssh/ssh_host_ed25519_key");
        expect(key).toContain("PRIVATE KEY");
        return key;
    }
});
