import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { instance } from "../../instance.ts";
import { clearStaleLock, stateBackend } from "../../stack.ts";

describe("the lock of a stack", () => {
    let folder: string;
    let child: ChildProcess | undefined;
    const read = vi.fn(() => Promise.resolve(""));
    beforeEach(async () => {
        folder = await mkdtemp(path.join(os.tmpdir(), "lock-"));
        read.mockClear();
    });
    afterEach(async () => {
        child?.kill();
        child = undefined;
        await rm(folder, { recursive: true, force: true });
    });

    async function clear(lock?: { pid: number; hostname?: string }): Promise<boolean> {
        const where = instance({ name: "test", index: 0, stateDir: folder, kind: "loopback" });
        const locks = path.join(stateBackend(where), ".pulumi/locks/organization/dropscale/dev");
        await mkdir(locks, { recursive: true });
        if (lock) {
            const text = JSON.stringify({ hostname: os.hostname(), ...lock });
            await writeFile(path.join(locks, "some-id.json"), text);
        }
        return clearStaleLock(where, "dev", { run: () => Promise.resolve(), read });
    }

    /** A process of this name. */
    async function running(name: string): Promise<number> {
        await symlink("/bin/sleep", path.join(folder, name));
        child = spawn(path.join(folder, name), ["60"]);
        await new Promise((resolve) => child?.once("spawn", resolve));
        return child.pid ?? 0;
    }

    it("is cleared when its process is gone", async () => {
        const pid = await running("pulumi");
        child?.kill();
        await new Promise((resolve) => child?.once("exit", resolve));
        expect(await clear({ pid })).toBe(true);
        expect(read).toHaveBeenCalledExactlyOnceWith("cancel", "--yes", "--stack", "dev");
    });

    it("is cleared when its process's id is another program's by now, where the system can tell", async () => {
        const linux = process.platform === "linux";
        expect(await clear({ pid: await running("cron") })).toBe(linux);
        expect(read).toHaveBeenCalledTimes(linux ? 1 : 0);
    });

    it("is kept when its pulumi runs, here or perhaps on another host", async () => {
        expect(await clear({ pid: await running("pulumi") })).toBe(false);
        expect(await clear({ pid: 1, hostname: "elsewhere" })).toBe(false);
        expect(read).not.toHaveBeenCalled();
    });

    it("is nothing to do when there is none", async () => {
        expect(await clear()).toBe(false);
        expect(read).not.toHaveBeenCalled();
    });
});
