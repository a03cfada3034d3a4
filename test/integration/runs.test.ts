import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
    endProcesses,
    engineOf,
    fileBackend,
    leftOver,
    listProcesses,
    readLocks,
} from "../../tools/pulumi/runs";

/** Nothing listens there. */
const deadEngine = "127.0.0.1:1";

describe("runs on this host", () => {
    let folder: string;
    let children: ChildProcess[];
    beforeEach(async () => {
        children = [];
        folder = await mkdtemp(path.join(os.tmpdir(), "dropscale runs-"));
    });
    afterEach(async () => {
        for (const child of children) child.kill("SIGKILL");
        await rm(folder, { recursive: true, force: true });
    });

    async function running(command: string, ...args: string[]): Promise<number> {
        const child = spawn(command, args, { stdio: "ignore", cwd: folder });
        children.push(child);
        await new Promise((resolve) => child.once("spawn", resolve));
        return child.pid ?? 0;
    }

    /** A process of this name. */
    async function named(name: string): Promise<number> {
        await symlink("/bin/sleep", path.join(folder, name));
        return running(path.join(folder, name), "60");
    }

    /** A plugin that stays; `parent` is a process of this name that started it. */
    async function plugin(engine: string, name = "pulumi-resource-digitalocean.cjs"): Promise<number> {
        await writeFile(path.join(folder, name), "setInterval(() => undefined, 1000)");
        return running(process.execPath, name, engine);
    }

    const pids = async () => (await leftOver(await listProcesses())).map(({ pid }) => pid);

    it("hold a lock as long as they live", async () => {
        const lock = { username: "me", hostname: os.hostname(), timestamp: "2026-01-02T03:04:05Z" };
        const pid = await named("pulumi");
        expect(engineOf({ ...lock, pid }, await listProcesses())?.pid).toBe(pid);
        const gone = new Promise((resolve) => children[0]?.once("exit", resolve));
        children[0]?.kill();
        await gone;
        expect(engineOf({ ...lock, pid }, await listProcesses())).toBeUndefined();
    });

    it("hold no lock whose number is another program's by now, nor one of another host", async () => {
        const lock = { username: "me", timestamp: "2026-01-02T03:04:05Z", pid: await named("cron") };
        expect(engineOf({ ...lock, hostname: os.hostname() }, await listProcesses())).toBeUndefined();
        const pid = await named("pulumi");
        expect(engineOf({ ...lock, pid, hostname: "elsewhere" }, await listProcesses())).toBeUndefined();
    });

    it.skipIf(process.platform !== "linux" || process.getuid?.() !== 0)(
        "hold a lock by their number in a container that has the host's name",
        async () => {
            await symlink("/bin/sleep", path.join(folder, "pulumi"));
            const wrapper = await running(
                "unshare",
                "--pid",
                "--fork",
                "--kill-child",
                path.join(folder, "pulumi"),
                "60",
            );
            const inner = async () => (await listProcesses()).find(({ parent }) => parent === wrapper);
            await expect.poll(async () => (await inner())?.command).toBe("pulumi");
            const lock = {
                pid: 1,
                username: "me",
                hostname: os.hostname(),
                timestamp: "2026-01-02T03:04:05Z",
            };
            expect(engineOf(lock, await listProcesses())?.pid).toBe((await inner())?.pid);
        },
    );

    it("leave locks in the backend's folder, which are read, and nothing else there is", async () => {
        expect(await readLocks(folder, "shop", "prod")).toEqual([]);
        const locks = path.join(folder, ".pulumi/locks/organization/shop/prod");
        await mkdir(locks, { recursive: true });
        await writeFile(path.join(locks, "a.json"), JSON.stringify({ pid: 7, hostname: "h" }));
        await writeFile(path.join(locks, "a.json.attrs"), "{}");
        expect(await readLocks(folder, "shop", "prod")).toEqual([{ pid: 7, hostname: "h" }]);
        await writeFile(path.join(locks, "b.json"), "{");
        await expect(readLocks(folder, "shop", "prod")).rejects.toThrow(/b\.json can't be read/);
    });

    it("may have left locks where they can't be read: that is an error, not none", async () => {
        const stacks = path.join(folder, ".pulumi/locks/organization/shop");
        await mkdir(stacks, { recursive: true });
        await writeFile(path.join(stacks, "prod"), "");
        await expect(readLocks(folder, "shop", "prod")).rejects.toThrow(
            /^the locks of stack prod can't be read \(ENOTDIR.*\), so that a run may be under way: .*\/shop\/prod$/,
        );
        // A folder that refuses even root.
        await symlink("loop", path.join(stacks, "loop"));
        await expect(readLocks(folder, "shop", "loop")).rejects.toThrow(/can't be read \(ELOOP/);
    });

    it.each([
        ["file:///var/state", "/var/state"],
        ["file:///var/state?no_tmp_dir=true", "/var/state"],
        ["file://~/state", path.join(os.homedir(), "state")],
        ["file://~", os.homedir()],
        ["file:///var/my%20state", "/var/my state"],
        ["file:///var/my state", "/var/my state"],
        ["file://~/my%20state?no_tmp_dir=true", path.join(os.homedir(), "my state")],
        ["file://./state%2Bmore", path.resolve("state+more")],
        ["file:///var/100%25", "/var/100%"],
        ["file:///var/a%2520b", "/var/a%20b"],
        ["file:///var/caf%C3%A9", "/var/café"],
        ["file:///var/state#here", "/var/state"],
        ["file:///var/state%23here", "/var/state#here"],
        ["s3://bucket?region=x", undefined],
        ["https://app.pulumi.com/me", undefined],
    ])("have their state at %s, which is the folder %s", (url, expected) => {
        expect(fileBackend(url)).toBe(expected);
    });

    it("have it in the home of their account, whatever HOME says", () => {
        const { HOME } = process.env;
        process.env.HOME = "/elsewhere";
        expect(fileBackend("file://~/state")).toBe(path.join(os.userInfo().homedir, "state"));
        process.env.HOME = HOME;
    });

    it("leave plugins and programs behind when they are killed: these are found and ended", async () => {
        const provider = await plugin(deadEngine);
        const host = await plugin(deadEngine, "pulumi-language-nodejs.cjs");
        const script = path.join(folder, "node_modules/@pulumi/pulumi/cmd/run/index.js");
        await mkdir(path.dirname(script), { recursive: true });
        // As the language host calls it; stubborn, as a program may be.
        await writeFile(script, "process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000)");
        const options = ["--monitor", "127.0.0.1:2", "--engine", deadEngine, "--project", "shop", "."];
        const program = await running(process.execPath, script, ...options);
        const found = await pids();
        expect(found).toEqual(expect.arrayContaining([provider, host, program]));

        const mine = (await listProcesses()).filter(({ pid }) => [provider, host, program].includes(pid));
        const exits = children.map((child) => new Promise((resolve) => child.once("exit", resolve)));
        expect(await endProcesses(mine)).toEqual([]);
        await Promise.all(exits);
    });

    it("leave stubborn ones behind, too, which are killed", async () => {
        const pid = await running("sh", "-c", "trap '' TERM; while :; do sleep 1; done");
        const exit = new Promise((resolve) => children[0]?.once("exit", resolve));
        const mine = (await listProcesses()).filter((process) => process.pid === pid);
        expect(mine).toHaveLength(1);
        expect(await endProcesses(mine)).toEqual([]);
        await exit;
    });

    it("keep their plugins while the engine listens, or is an ancestor", async () => {
        const engine = createServer();
        await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
        const listening = await plugin(`127.0.0.1:${(engine.address() as AddressInfo).port}`);
        expect(await pids()).not.toContain(listening);
        await new Promise((resolve) => engine.close(resolve));
        expect(await pids()).toContain(listening);

        const parent = { pid: 50, parent: 1, command: "/opt/bin/pulumi", args: "/opt/bin/pulumi up" };
        const shell = { pid: 51, parent: 50, command: "sh", args: "sh wrapper" };
        const child = {
            ...{ pid: 52, parent: 51, command: "pulumi-resource-command" },
            args: `/home/me/.pulumi/plugins/resource-command-v1.2.1/pulumi-resource-command ${deadEngine}`,
        };
        expect(await leftOver([parent, shell, child])).toEqual([]);
        expect(await leftOver([shell, child])).toEqual([child]);
    });

    it("are not what only speaks of plugins", async () => {
        const args = [`vim pulumi-resource-command ${deadEngine}`, `grep pulumi-resource-x ${deadEngine}`];
        const processes = args.map((line, i) => ({ pid: 60 + i, parent: 1, command: "x", args: line }));
        expect(await leftOver(processes)).toEqual([]);
    });
});
