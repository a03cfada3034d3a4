import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stateBackend } from "../../sandbox/stack.ts";
import { type Deployment, knownTo } from "../../tools/deployment";
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
        world = await makeWorld("loopback");
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

    /** A droplet that no state knows. */
    async function makeDroplet(tag: string): Promise<number> {
        const droplet = { name: tag, region: "fra1", size: "s-1vcpu-1gb", image: "debian-12-x64" };
        return (await post("droplets", { ...droplet, tags: [tag] })).droplet?.id ?? 0;
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
        expect(text).toMatch(/^error: Unknown option '--force'.*\nallowed: make doctor/s);
    });

    it("clears what a run left that was killed while it made droplets", async () => {
        await killWhen(up, async () => (await dropletIds()).length > 0);
        expect(await dropletsInState()).toEqual([]);

        const plugin = await makeLeftOverPlugin();
        const ended = once(plugin, "exit");
        const asked = await doctor();
        expect(asked.code).toBe(1);
        expect(asked.text).toMatch(/^clear {2}lock {2}.*its run is dead$/m);
        expect(asked.text).toMatch(
            new RegExp(`^end  plugin  pulumi-resource-digitalocean  pid ${plugin.pid ?? 0} `, "m"),
        );
        expect(asked.text).toMatch(/^clear {2}pending {2}creating web-\d-/m);
        expect(asked.text).toMatch(/^delete {2}droplet {2}web-\d-.*not in the state, and not in service$/m);
        expect(asked.text).toContain("error: nothing was deleted; without a terminal");
        expect(await dropletIds()).not.toEqual([]);
        expect(await lockFiles()).not.toEqual([]);

        const cleared = await doctor("--yes");
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
        const { code, text } = await doctor("--yes", "--quiet");
        expect({ code, text }).toEqual({ code: 0, text: "" });
        await expectInOrder();
        const again = await world.pulumi(up);
        expect(again.code, again.text).toBe(0);
        expect(await dropletIds()).toHaveLength(2);
    });

    it("makes a state readable again whose attributes were cut off when the run was killed", async () => {
        await mkdir(locks(), { recursive: true });
        const dead = { username: "me", hostname: os.hostname(), timestamp: "2026-01-02T03:04:05Z" };
        const file = path.join(stateBackend(world.instance), ".pulumi/stacks/dropscale/test.json.attrs");
        await writeFile(file, "");
        const unlocked = await doctor("--yes");
        expect(unlocked.code).toBe(1);
        expect(unlocked.text).toMatch(/^error: failed to load checkpoint: EOF/);

        // No process ever has this number: it is above the kernel's limit.
        await writeFile(path.join(locks(), "some-id.json"), JSON.stringify({ ...dead, pid: 2 ** 22 + 1 }));
        const asked = await doctor();
        expect(asked.code).toBe(1);
        expect(asked.text).toContain(`pulumi was killed while it wrote ${file}, which is empty now`);
        const cleared = await doctor("--yes");
        expect(cleared.code, cleared.text).toBe(0);
        await expectInOrder();
    });

    it("touches nothing while a run is under way", async () => {
        // It dials the load balancer, which is none, for minutes.
        const run = world.startPulumi(["up", "--yes", "--skip-preview"]);
        while ((await lockFiles()).length === 0) await sleep(50);
        const orphan = await makeDroplet("dropscale-test-backend");
        const { code, text } = await doctor("--yes");
        expect(code).toBe(1);
        expect(text).toContain(
            `error: stack test is locked by ${os.userInfo().username}@${os.hostname()} (pid ${run.pid}) since `,
        );
        expect(await dropletIds()).toContain(String(orphan));
        process.kill(run.pid, "SIGKILL");
        await run.ended;
        expect((await doctor("--yes")).code).toBe(0);
        expect(await dropletIds()).not.toContain(String(orphan));
        await expectInOrder();
    });

    it("touches nothing while a run on another host may be under way", async () => {
        const orphan = await makeDroplet("dropscale-test-backend");
        const lock = path.join(locks(), "some-id.json");
        await mkdir(locks(), { recursive: true });
        const holder = { pid: 1, username: "ci", hostname: "elsewhere", timestamp: "2026-01-02T03:04:05Z" };
        await writeFile(lock, JSON.stringify(holder));
        const { code, text } = await doctor("--yes");
        expect(code).toBe(1);
        expect(text).toMatch(
            /locked by ci@elsewhere \(pid 1\) since 2026-01-02T03:04:05Z: that is another host/,
        );
        expect(text).toContain("`pulumi cancel --stack test`");
        expect(await dropletIds()).toContain(String(orphan));
        await rm(lock);
    });

    it("deletes the orphans of its own stack, and leaves those of others alone", async () => {
        const others = await makeDroplet("dropscale-test2-backend");
        const before = await dropletsInState();
        const { code, text } = await doctor("--yes");
        expect(code, text).toBe(0);
        expect(await dropletIds()).toEqual([...before, String(others)].sort());
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
            return droplets.filter(({ name }) => name !== "dropscale-test2-backend");
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
            const { code, text } = await doctor("--yes");
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
            const { code, text } = await doctor("--yes", "--serving");
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

        it("deletes what nothing points at", async () => {
            await makeDroplet("dropscale-test-backend");
            await makeDroplet("dropscale-test-load-balancer");
            expect((await doctor("--yes")).code).toBe(0);
            expect(await ours()).toEqual([]);
        });
    });
});
