import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildOnce, removeTree } from "../../build-once.ts";

/** With a small disk of its own as the cache. */
describe("the cache", () => {
    let folder: string;
    let disk: string;
    beforeEach(async () => {
        folder = await mkdtemp(path.join(os.tmpdir(), "full-disk-"));
        disk = path.join(folder, "cache");
        await mkdir(disk);
        await execa("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", disk]);
    });
    afterEach(async () => {
        await execa("umount", [disk]);
        await rm(folder, { recursive: true, force: true });
    });

    const build = (megabytes: number) =>
        buildOnce({
            target: path.join(disk, "thing"),
            title: "the thing",
            takes: "a moment",
            recipe: 1,
            needsMiB: 1,
            build: (into) => writeFile(path.join(into, "made"), Buffer.alloc(megabytes * 2 ** 20)),
            log: () => undefined,
        });

    it("that is full says so, keeps nothing of what was begun, and is filled when there is room", async () => {
        await expect(build(60)).rejects.toThrow(/^disk full: the thing needs 1 MiB in .*cache/);
        expect(await readdir(disk)).toEqual([]);
        await build(1);
        expect(existsSync(path.join(disk, "thing/made"))).toBe(true);
    });

    it("never loses what is mounted inside a tree that is removed", async () => {
        const inner = path.join(disk, "tree/proc");
        await mkdir(inner, { recursive: true });
        await execa("mount", ["-t", "tmpfs", "tmpfs", inner]);
        try {
            await writeFile(path.join(inner, "precious"), "");
            await removeTree(path.join(disk, "tree")).catch(() => undefined);
            expect(existsSync(path.join(inner, "precious"))).toBe(true);
        } finally {
            await execa("umount", [inner]);
        }
    });
});
