import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildOnce, type Build } from "../../build-once.ts";

let folder: string;
let lines: string[];
let builds: number;

beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "build-once-"));
    lines = [];
    builds = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function job(change: Partial<Build> = {}): Build {
    return {
        target: path.join(folder, "cache/thing"),
        title: "the thing",
        takes: "a moment",
        recipe: 1,
        needsMiB: 1,
        build: async (into) => {
            builds++;
            await writeFile(path.join(into, "made"), "whole");
        },
        log: (line) => lines.push(line),
        ...change,
    };
}

const made = () => readFile(path.join(folder, "cache/thing/made"), "utf8");
const cache = async () => (await readdir(path.join(folder, "cache"))).sort();

describe("buildOnce", () => {
    it("builds once, and says what and how long", async () => {
        await buildOnce(job());
        await buildOnce(job());
        expect(builds).toBe(1);
        expect(await made()).toBe("whole");
        expect(lines).toHaveLength(2);
        expect(lines[0]).toMatch(/^making the thing in .*\/cache\/thing \(once, a moment\)$/);
        expect(lines[1]).toMatch(/^made the thing in \d+\.\d s$/);
        expect(await cache()).toEqual(["thing"]);
    });

    it("builds again when the recipe changed", async () => {
        await buildOnce(job());
        await buildOnce(job({ recipe: 2, build: (into) => writeFile(path.join(into, "made"), "second") }));
        expect(await made()).toBe("second");
        expect(await cache()).toEqual(["thing"]);
    });

    it("starts afresh after a build that failed halfway", async () => {
        const build = async (into: string) => {
            await writeFile(path.join(into, "made"), "ha");
            throw new Error("no such mirror\nand more");
        };
        await expect(buildOnce(job({ build }))).rejects.toThrow(/^the thing: no such mirror$/);
        expect(await cache()).toEqual([]);
        await buildOnce(job());
        expect(await made()).toBe("whole");
    });

    it("never uses what a killed build has left, and removes it", async () => {
        const left = path.join(folder, "cache/thing.tmp-12345");
        await mkdir(left, { recursive: true });
        await writeFile(path.join(left, "made"), "ha");
        await mkdir(path.join(folder, "cache/other.tmp-99999999"), { recursive: true }); // no process has this id
        await mkdir(path.join(folder, `cache/another.tmp-${process.pid}`), { recursive: true });
        await mkdir(path.join(folder, "cache/thing"), { recursive: true }); // without the mark of a finished build
        await buildOnce(job());
        expect(await made()).toBe("whole");
        expect(await cache()).toEqual([`another.tmp-${process.pid}`, "thing"]);
    });

    it("builds once for two that want it at the same time", async () => {
        await Promise.all([buildOnce(job()), buildOnce(job())]);
        expect(builds).toBe(1);
        expect(lines.filter((line) => line.startsWith("waiting for another process"))).toHaveLength(1);
    });

    it("says before it starts how much room is needed and where", async () => {
        await expect(buildOnce(job({ needsMiB: 1e9 }))).rejects.toThrow(
            /^disk full: the thing needs 1000000000 MiB in .*cache, \d+ MiB are free; make room there/,
        );
        expect(builds).toBe(0);
        expect(existsSync(path.join(folder, "cache/thing"))).toBe(false);
    });
});
