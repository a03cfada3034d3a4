import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stateBackend } from "../../sandbox/stack.ts";
import { type Deployment } from "../../tools/pulumi/state";
import { knownTo } from "../../tools/live/account";
import { makeWorld, type World } from "../world.mts";

/** All but what needs a machine: the commands on the load balancer, and what waits for them. */
const up = [
    ...["up", "--yes", "--skip-preview"],
    ...["--exclude", "**load-balancer-ready", "--exclude-dependents"],
];

/** The real engine and the real API, without machines. The tests build on each other. */
describe("the doctor", () => {
    let world: World;
    beforeAll(async () => {
        // Each look asks for the account's keys, which the API gives ten times a minute.
        world = await makeWorld("loopback", {}, { rateLimit: false });
        // A region's first VPC is its default, which can't be deleted: the stack's is to be another one.
        await post("vpcs", { name: "somebody-elses", region: "fra1" });
    });
    afterAll(async () => {
        await world.close();
    });

    const doctor = (...args: string[]) => world.tool("doctor", ["test", ...args]);
    const locks = () => path.join(stateBackend(world.instance), ".pulumi/locks/organization/dropscale/test");
    const lockFiles = () => readdir(locks()).catch(() => []);

    async function post(resource: string, body: object): Promise<Record<string, { id: number }>> {
        const answer = await fetch(`${world.sandbox.url}/v2/${resource}`, {
            method: "POST",
            headers: {
                authorization: `Bearer ${world.sandbox.token}`,
                "content-type": "application/json",
            },
            body: JSON.stringify(body),
        });
        expect(answer.ok, `${resource}: ${answer.status}`).toBe(true);
        return (await answer.json()) as Record<string, { id: number }>;
    }

    /** A droplet that no state knows, with a name as the engine makes them, unless given another. */
    async function makeDroplet(role: "web-7" | "load-balancer", prefix = "dropscale-test"): Promise<number> {
        const tag = `${prefix}-${role === "web-7" ? "backend" : role}`;
        return makeDropletOf(`${role}-0123abc`, [tag]);
    }

    async function makeDropletOf(name: string, tags: string[], vpc_uuid?: string): Promise<number> {
        const droplet = { name, region: "fra1", size: "s-1vcpu-1gb", image: "debian-12-x64", vpc_uuid };
        return (await post("droplets", { ...droplet, tags })).droplet?.id ?? 0;
    }

    async function remove(resource: string): Promise<void> {
        const headers = { authorization: `Bearer ${world.sandbox.token}` };
        const answer = await fetch(`${world.sandbox.url}/v2/${resource}`, { method: "DELETE", headers });
        expect(answer.ok, `${resource}: ${answer.status}`).toBe(true);
    }

    /** No process ever has this number: it is above the kernel's limit. */
    const holder = { pid: 2 ** 22 + 1, username: "ci", timestamp: "2026-01-02T03:04:05Z" };

    /** As a run leaves it that was killed, or that lives in a container with this host's name. */
    async function leaveLock(): Promise<string> {
        const file = path.join(locks(), "some-id.json");
        await mkdir(locks(), { recursive: true });
        await writeFile(file, JSON.stringify({ ...holder, hostname: os.hostname() }));
        return file;
    }

    async function dropletIds(): Promise<string[]> {
        const { droplets } = (await world.api("droplets?per_page=200")) as { droplets: { id: number }[] };
        return droplets.map(({ id }) => String(id)).sort();
    }

    async function state(): Promise<Deployment> {
        const { code, stdout, text } = await world.pulumi(["stack", "export"]);
        expect(code, text).toBe(0);
        return (JSON.parse(stdout) as { deployment: Deployment }).deployment;
    }

    async function dropletsInState(): Promise<string[]> {
        return [...knownTo(await state())]
            .filter((known) => known.startsWith("droplet "))
            .map((known) => known.slice("droplet ".length))
            .sort();
    }

    /** Starts `pulumi`, and kills it when something has come true. */
    async function killWhen(args: string[], reached: () => Promise<boolean>): Promise<void> {
        const run = world.startPulumi(args);
        // The API allows 250 requests a minute.
        while (!(await reached())) await sleep(300);
        process.kill(run.pid, "SIGKILL");
        await run.ended;
    }

    /** The plugins of the offline engine end with it; the official ones live on, like this one. */
    async function makeLeftOverPlugin(): Promise<ChildProcess> {
        const file = path.join(world.folder, "pulumi-resource-digitalocean");
        await writeFile(file, "setInterval(() => undefined, 1000)");
        const child = spawn(process.execPath, [file, "127.0.0.1:1"], { stdio: "ignore" });
        await once(child, "spawn");
        return child;
    }

    async function expectInOrder(): Promise<void> {
        expect(await dropletIds()).toEqual(await dropletsInState());
        expect((await state()).pending_operations ?? []).toEqual([]);
        expect(await lockFiles()).toEqual([]);
    }

    async function expectNothingToDo(): Promise<void> {
        const { code, text } = await doctor();
        expect({ code, text }).toEqual({
            code: 0,
            text: "stack test is in order; next: pulumi up --stack test\n",
        });
    }

    it("finds nothing to do on a stack that nothing has been deployed to", expectNothingToDo);

    it("says that there is no such stack", async () => {
        const { code, text } = await world.tool("doctor", ["nowhere", "--yes"]);
        expect(code).toBe(1);
        expect(text).toMatch(/^error: no stack named 'nowhere' found/);
    });

    it("refuses options that it does not have", async () => {
        const { code, text } = await doctor("--force");
        expect(code).toBe(1);
        expect(text).toMatch(
            /^error: unknown option '--force'\n.*Usage: npm run dropscale -- doctor .*--killed/s,
        );
    });

    it("clears what a run left that was killed while it made droplets", async () => {
        await killWhen(up, async () => (await dropletIds()).length > 0);
        // Now and then it dies while it writes its state: a test of its own, below.
        while ((await world.pulumi(["stack", "export"])).text.includes("failed to load checkpoint: EOF")) {
            await doctor("--yes", "--killed");
            await killWhen(up, async () => (await dropletIds()).length > 0);
        }
        expect(await dropletsInState()).toEqual([]);

        const plugin = await makeLeftOverPlugin();
        const ended = once(plugin, "exit");
        const asked = await doctor();
        expect(asked.code).toBe(1);
        expect(asked.text).toMatch(/^clear {2}lock {2}.*no such run is seen here: dead, or in a container$/m);
        expect(asked.text).toMatch(
            new RegExp(`^end  plugin  pulumi-resource-digitalocean  pid ${plugin.pid ?? 0} `, "m"),
        );
        expect(asked.text).toMatch(/^clear {2}pending {2}creating web-\d-/m);
        expect(asked.text).toMatch(
            /^wait {2}droplet {2}web-\d-.*not in the state, and it was never finished, and not an hour old: /m,
        );
        expect(asked.text).toContain("error: nothing was deleted; without a terminal");
        const unsaid = await doctor("--yes");
        expect(unsaid.code).toBe(1);
        expect(unsaid.text).toMatch(
            /^error: nothing was deleted; stack test is locked by .* and that run can't be seen from here: `--killed`/m,
        );
        expect(await dropletIds()).not.toEqual([]);
        expect(await lockFiles()).not.toEqual([]);

        const cleared = await doctor("--yes", "--killed");
        expect(cleared.code, cleared.text).toBe(0);
        await ended;
        await expectInOrder();
        const again = await world.pulumi(up);
        expect(again.code, again.text).toBe(0);
        expect(await dropletIds()).toHaveLength(4);
        await expectInOrder();
        await expectNothingToDo();
    });

    it("clears what a run left that was killed while it deleted droplets", async () => {
        await world.configure({ replicas: 1 });
        await killWhen(up, async () => (await dropletIds()).length < 4);
        const { code, text } = await doctor("--yes", "--killed", "--quiet");
        expect({ code, text }).toEqual({ code: 0, text: "" });
        await expectInOrder();
        const again = await world.pulumi(up);
        expect(again.code, again.text).toBe(0);
        expect(await dropletIds()).toHaveLength(2);
    });

    it("makes a state readable again whose attributes were cut off when the run was killed", async () => {
        await mkdir(locks(), { recursive: true });
        const file = path.join(stateBackend(world.instance), ".pulumi/stacks/dropscale/test.json.attrs");
        await writeFile(file, "");
        const unlocked = await doctor("--yes", "--killed");
        expect(unlocked.code).toBe(1);
        expect(unlocked.text).toMatch(/^error: failed to load checkpoint: EOF/);

        await leaveLock();
        const asked = await doctor();
        expect(asked.code).toBe(1);
        expect(asked.text).toContain(`pulumi was killed while it wrote ${file}, which is empty now`);
        expect((await doctor("--yes")).text).toContain("is empty now");
        const cleared = await doctor("--yes", "--killed");
        expect(cleared.code, cleared.text).toBe(0);
        await expectInOrder();
    });

    it("touches nothing while a run is under way", async () => {
        // It dials the load balancer, which is none, for minutes.
        const run = world.startPulumi(["up", "--yes", "--skip-preview"]);
        while ((await lockFiles()).length === 0) await sleep(50);
        const orphan = await makeDroplet("web-7");
        const { code, text } = await doctor("--yes", "--killed", "--serving");
        expect(code).toBe(1);
        expect(text).toContain(
            `error: stack test is locked by ${os.userInfo().username}@${os.hostname()} (pid ${run.pid}) since `,
        );
        expect(await dropletIds()).toContain(String(orphan));
        process.kill(run.pid, "SIGKILL");
        await run.ended;
        // The load balancer that the state knows is no machine here.
        const kept = await doctor("--yes", "--killed");
        expect(kept.code).toBe(2);
        expect(kept.text).toMatch(/^keep {2}droplet {2}web-7-.*may serve: the load balancer can't be asked/m);
        expect((await doctor("--yes", "--killed", "--serving")).code).toBe(0);
        expect(await dropletIds()).not.toContain(String(orphan));
        await expectInOrder();
    });

    it("touches nothing while a run on another host may be under way", async () => {
        const orphan = await makeDroplet("web-7");
        const lock = path.join(locks(), "some-id.json");
        await mkdir(locks(), { recursive: true });
        await writeFile(lock, JSON.stringify({ ...holder, pid: 1, hostname: "elsewhere" }));
        const { code, text } = await doctor("--yes", "--killed", "--serving");
        expect(code).toBe(1);
        expect(text).toMatch(
            /locked by ci@elsewhere \(pid 1\) since 2026-01-02T03:04:05Z: that is another host/,
        );
        expect(text).toContain("`pulumi cancel --stack test`");
        expect(await dropletIds()).toContain(String(orphan));
        await rm(lock);
    });

    it("deletes the orphans of its own stack, and leaves those of others alone", async () => {
        const others = await makeDroplet("web-7", "dropscale-test2");
        const before = await dropletsInState();
        const { code, text } = await doctor("--yes", "--killed", "--serving");
        expect(code, text).toBe(0);
        expect(await dropletIds()).toEqual([...before, String(others)].sort());
    });

    it("only tells of what may be somebody else's, whatever it is asked to, and refuses no deploy for it", async () => {
        const before = await dropletIds();
        const [ours, balancer] = ["dropscale-test-backend", "dropscale-test-load-balancer"];
        const strangers = [
            await makeDropletOf("postgres-1", [ours]),
            await makeDropletOf("monitoring", [balancer]),
            await makeDropletOf("web-0-0123abc", [ours, "blog-backend"]),
            await makeDropletOf("load-balancer-0123abc", [balancer, "blog-load-balancer"]),
        ];
        const { ssh_keys: keys } = (await world.api("account/keys")) as {
            ssh_keys: { public_key: string }[];
        };
        const [type, body] = (keys[0]?.public_key ?? "").split(" ");
        // Another one: an account takes a key once.
        const own = `${type} ${(body ?? "").slice(0, -4)}AAAA ann@laptop`;
        await post("account/keys", { name: "dropscale-test", public_key: own });
        for (const args of [[], ["--yes", "--killed", "--serving"]]) {
            const { code, text } = await doctor(...args);
            expect(code, text).toBe(0);
            expect(text).toMatch(/^- {2}droplet {2}postgres-1 .*may be somebody else's: its name is none/m);
            expect(text).toMatch(/^- {2}droplet {2}monitoring .*`backendSources` lets a host in/m);
            expect(text).toMatch(
                /^- {2}droplet {2}web-0-0123abc .*has other tags, too: dropscale-test-backend, blog/m,
            );
            expect(text).toMatch(
                /^- {2}SSH key {2}dropscale-test .*its comment is not dropscale-test-deploy$/m,
            );
            expect(text).toMatch(/stack test is in order/);
        }
        expect(await dropletIds()).toEqual([...before, ...strangers.map(String)].sort());
        expect(((await world.api("account/keys")).ssh_keys as unknown[]).length).toBe(keys.length + 1);
        for (const id of strangers) await remove(`droplets/${id}`);
        const { ssh_keys: now } = (await world.api("account/keys")) as {
            ssh_keys: { id: number; public_key: string }[];
        };
        await remove(`account/keys/${now.find(({ public_key: key }) => key.includes("ann@laptop"))?.id}`);
    });

    it("refuses an account that knows none of the state's droplets, before anything is cleared", async () => {
        const methods: string[] = [];
        const account = createServer((request, response) => {
            methods.push(request.method ?? "");
            response.setHeader("content-type", "application/json");
            response.end("{}");
        });
        account.listen(0, "127.0.0.1");
        await once(account, "listening");
        const { port } = account.address() as AddressInfo;
        const lock = await leaveLock();
        const saved = await state();
        const { code, text } = await world.tool("doctor", ["test", "--yes", "--killed", "--serving"], {
            DIGITALOCEAN_API_URL: `http://127.0.0.1:${port}`,
        });
        account.close();
        expect(code).toBe(1);
        expect(text).toMatch(
            /^error: the account has none of the \d droplets in the state \(.*\): DIGITALOCEAN_TOKEN is likely another account's/,
        );
        expect(new Set(methods)).toEqual(new Set(["GET"]));
        expect(await state()).toEqual(saved);
        expect(await lockFiles()).toEqual([path.basename(lock)]);
        await rm(lock);
    });

    it("takes locks that can't be read for an error, and finds them in a folder with a space in its name", async () => {
        await rm(locks(), { recursive: true, force: true });
        await mkdir(path.dirname(locks()), { recursive: true });
        await writeFile(locks(), "");
        const unread = await doctor("--yes", "--killed");
        await rm(locks());
        expect(unread.code).toBe(1);
        expect(unread.text).toMatch(/^error: the locks of stack test can't be read \(ENOTDIR/);

        const spaced = path.join(world.folder, "my state");
        await mkdir(spaced);
        const env = { PULUMI_BACKEND_URL: `file://${spaced.replace(" ", "%20")}` };
        const made = await world.pulumi(["stack", "init"], env);
        expect(made.code, made.text).toBe(0);
        const folder = path.join(spaced, ".pulumi/locks/organization/dropscale/test");
        await mkdir(folder, { recursive: true });
        await writeFile(path.join(folder, "id.json"), JSON.stringify({ ...holder, hostname: "elsewhere" }));
        const { code, text } = await world.tool("doctor", ["test", "--yes"], env);
        expect(code).toBe(1);
        expect(text).toMatch(/^error: stack test is locked by ci@elsewhere/);
    });

    it("leaves a lock whose run can't be seen, and refuses drift for it: it may live in a container", async () => {
        const lock = await leaveLock();
        const { code, text } = await doctor("--yes");
        expect(code).toBe(1);
        expect(text).toMatch(/^error: nothing was deleted; stack test is locked by ci@/m);
        const drift = await world.tool("drift", ["test"]);
        expect(drift.code).toBe(1);
        expect(drift.text).toMatch(/^error: stack test is locked by ci@.*that run can't be seen from here/);
        expect(await lockFiles()).toEqual([path.basename(lock)]);
        expect((await doctor("--yes", "--killed")).code).toBe(0);
        expect(await lockFiles()).toEqual([]);
    });

    describe("when the state is lost", () => {
        beforeAll(async () => {
            const options = ["--yes", "--force", "--preserve-config"];
            expect((await world.pulumi(["stack", "rm", ...options])).code).toBe(0);
            expect((await world.pulumi(["stack", "init"])).code).toBe(0);
        });

        const ours = async () => {
            const { droplets } = (await world.api("droplets")) as {
                droplets: { id: number; name: string }[];
            };
            return droplets.filter(({ name }) => name !== "web-7-0123abc");
        };
        const named = async (resource: string, key: string) => {
            const list = (await world.api(resource))[key] as { name: string }[];
            return list.map(({ name }) => name).sort();
        };

        it("keeps what serves, and what it needs", async () => {
            const loadBalancer = (await ours()).find(({ name }) => name.startsWith("load-balancer-"));
            const { reserved_ips: ips } = (await world.api("reserved_ips")) as {
                reserved_ips: { ip: string }[];
            };
            await post(`reserved_ips/${ips[0]?.ip ?? ""}/actions`, {
                type: "assign",
                droplet_id: loadBalancer?.id,
            });
            const { code, text } = await doctor("--yes", "--killed");
            expect(code).toBe(2);
            expect(text).toMatch(/^keep {2}droplet {2}load-balancer-.*serves: \S+ points at it$/m);
            expect(text).toMatch(/^keep {2}droplet {2}web-0-.*the load balancer can't be asked/m);
            expect(text).toMatch(/^keep {2}firewall {2}dropscale-test-backend/m);
            const [, backup = "", target = ""] =
                /next: put an earlier state back: `cp (\S+) (\S+)`/.exec(text) ?? [];
            const backups = await readdir(path.dirname(backup));
            const saved = backups.filter((name) => name.endsWith(".json")).sort();
            const lost = await readFile(target);
            await copyFile(path.join(path.dirname(backup), saved.at(-1) ?? ""), target);
            expect(await dropletsInState()).toEqual((await ours()).map(({ id }) => String(id)).sort());
            const restored = await doctor();
            expect(restored.code, restored.text).toBe(0);
            await writeFile(target, lost);
            expect(text).toContain("--serving");
            expect(await ours()).toHaveLength(2);
            expect(await named("vpcs", "vpcs")).toEqual(["dropscale-test", "somebody-elses"]);
        });

        it("deletes it where it is to be given up, and only tells of the reserved IP", async () => {
            const { code, text } = await doctor("--yes", "--killed", "--serving");
            expect(code, text).toBe(0);
            expect(await ours()).toEqual([]);
            expect(await named("firewalls", "firewalls")).toEqual([]);
            expect(text).toContain("deleted SSH key dropscale-test ");
            expect(await named("vpcs", "vpcs")).toEqual(["somebody-elses"]);
            const after = await doctor();
            expect(after.code).toBe(0);
            expect(after.text).toMatch(
                /^- {2}reserved IP {2}\S+ {2}unassigned, and nothing tells whose it is\nstack test is in order.*\n$/,
            );
            expect((await world.api("reserved_ips")).reserved_ips).toHaveLength(1);
        });

        it("keeps what nothing points at, where nobody can be asked whether it serves", async () => {
            await makeDropletOf("web-8-0123abc", ["dropscale-test-backend"]);
            const alone = await doctor("--yes", "--killed");
            expect(alone.code).toBe(2);
            expect(alone.text).toMatch(
                /^keep {2}droplet {2}web-8-.*may serve: there is no load balancer to ask$/m,
            );
            await makeDroplet("load-balancer");
            const silent = await doctor("--yes", "--killed");
            expect(silent.code).toBe(2);
            expect(silent.text).toMatch(
                /^keep {2}droplet {2}web-8-.*may serve: the load balancer can't be asked/m,
            );
            expect(silent.text).toMatch(/^keep {2}droplet {2}load-balancer-.*may serve: it can't be asked/m);
            expect((await doctor("--yes", "--killed", "--serving")).code).toBe(0);
            expect(await ours()).toEqual([]);
        });

        it("leaves what is not an hour old, and lets a run go on, until a person has a say", async () => {
            const [name, region] = ["dropscale-test", "fra1"];
            await post("vpcs", { name, region, description: "dropscale dropscale-test" });
            const piped = await doctor();
            const waiting = await doctor("--yes");
            for (const { code, text } of [piped, waiting]) {
                expect(code, text).toBe(0);
                expect(text).toMatch(
                    /^wait {2}VPC {2}dropscale-test .*not an hour old: a run .* may be making it$/m,
                );
                expect(text).toMatch(/^next: this again on a terminal, or with --yes --killed;/m);
            }
            expect(await named("vpcs", "vpcs")).toEqual(["dropscale-test", "somebody-elses"]);
            expect((await doctor("--yes", "--killed")).code).toBe(0);
            expect(await named("vpcs", "vpcs")).toEqual(["somebody-elses"]);
        });

        it("never deletes the VPC of the config, nor one that only has the stack's name", async () => {
            const [name, region] = ["dropscale-test", "fra1"];
            const made = await post("vpcs", { name, region, description: "dropscale dropscale-test" });
            const { id } = made.vpc as unknown as { id: string };
            await world.configure({ vpcId: id });
            const configured = await doctor("--yes", "--killed", "--serving");
            expect(configured.code, configured.text).toBe(0);
            expect(await named("vpcs", "vpcs")).toEqual(["dropscale-test", "somebody-elses"]);
            await world.configure({ vpcId: undefined });
            await remove(`vpcs/${id}`);

            await post("vpcs", { name, region, description: "of the whole team" });
            const { code, text } = await doctor("--yes", "--killed", "--serving");
            expect(code, text).toBe(0);
            expect(text).toMatch(
                /^- {2}VPC {2}dropscale-test .*may be somebody else's: its description is not/m,
            );
            expect(await named("vpcs", "vpcs")).toEqual(["dropscale-test", "somebody-elses"]);
        });
    });
});
