import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import lockfile from "proper-lockfile";
import { firstLine, run, seconds, type Log } from "./host.ts";
import { isAlive } from "./process.ts";

const RECIPE_FILE = ".recipe";
/** A build that leaves less than this has most likely met a full disk. */
const FULL_DISK_MIB = 32;

/** A folder in the cache that takes long to make. */
export interface Build {
    /** Path of the finished folder. */
    target: string;
    /** What it is, for people: "the base image". */
    title: string;
    /** How long it takes, for people: "about a minute". */
    takes: string;
    /** Anything whose change makes another result; `recipeHash` of it is kept in the folder. */
    recipe: unknown;
    /** Free space that the build needs. */
    needsMiB: number;
    /** Fills the folder that it is given, which is empty. */
    build: (folder: string) => Promise<void>;
    log: Log;
}

/** Twelve hexadecimal digits that differ when the recipe (plain data) differs. */
export function recipeHash(recipe: unknown): string {
    return createHash("sha256").update(JSON.stringify(recipe)).digest("hex").slice(0, 12);
}

/**
 * Makes the folder unless it is there already, made by the same recipe. It is filled under another name and
 * renamed when complete: a build that was killed or failed is never used, and the next call starts afresh.
 * A second process that wants the same waits for the first.
 *
 * @throws Error of one line: disk full (how much is needed, and where), or what the build said.
 */
export async function buildOnce(job: Build): Promise<void> {
    if (await isCurrent(job)) return;
    await mkdir(path.dirname(job.target), { recursive: true });
    const release = await lock(job);
    try {
        if (!(await isCurrent(job))) await buildUnderLock(job);
    } finally {
        await release();
    }
}

/** Removes a tree, and (on Linux) never what is mounted inside it. */
export async function removeTree(...folders: string[]): Promise<void> {
    if (process.platform === "linux") await run("rm", ["-rf", "--one-file-system", "--", ...folders]);
    else for (const folder of folders) await rm(folder, { recursive: true, force: true });
}

async function isCurrent({ target, recipe }: Build): Promise<boolean> {
    const made = await readFile(path.join(target, RECIPE_FILE), "utf8").catch(() => "");
    return made === recipeHash(recipe);
}

async function lock({ target, title, log }: Build): Promise<() => Promise<void>> {
    const options = { realpath: false, stale: 15_000 };
    try {
        return await lockfile.lock(target, options);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
    }
    log(`waiting for another process that makes ${title}`);
    return lockfile.lock(target, {
        ...options,
        retries: { forever: true, minTimeout: 1000, maxTimeout: 2000 },
    });
}

async function buildUnderLock(job: Build): Promise<void> {
    const { target, title, recipe, log } = job;
    const parent = path.dirname(target);
    const prefix = `${path.basename(target)}.tmp-`;
    const stale = (await readdir(parent)).filter((entry) => entry.startsWith(prefix) || isOrphan(entry));
    await removeTree(...stale.map((entry) => path.join(parent, entry)));
    await requireSpace(job);

    log(`making ${title} in ${target} (once, ${job.takes})`);
    const started = Date.now();
    const folder = path.join(parent, prefix + String(process.pid));
    try {
        await mkdir(folder);
        await job.build(folder);
        await writeFile(path.join(folder, RECIPE_FILE), recipeHash(recipe));
        if (existsSync(target)) await rename(target, `${folder}-old`);
        await rename(folder, target);
    } catch (error) {
        const free = await freeMiB(parent);
        if (free < FULL_DISK_MIB || /no space left/i.test(String(error))) throw diskFull(job, free);
        throw new Error(`${title}: ${firstLine(error)}`, { cause: error });
    } finally {
        await removeTree(folder, `${folder}-old`);
    }
    log(`made ${title} in ${seconds(started)}`);
}

/** Left by a build of any other target, whose process is no more. */
function isOrphan(entry: string): boolean {
    const pid = /\.tmp-(\d+)(-old)?$/.exec(entry)?.[1];
    return pid !== undefined && !isAlive(Number(pid));
}

async function requireSpace(job: Build): Promise<void> {
    const free = await freeMiB(path.dirname(job.target));
    if (free < job.needsMiB) throw diskFull(job, free);
}

function diskFull({ title, target, needsMiB }: Build, free: number): Error {
    return new Error(
        `disk full: ${title} needs ${needsMiB} MiB in ${path.dirname(target)}, ${Math.floor(free)} MiB are free; ` +
            "make room there, or set XDG_CACHE_HOME to a folder on another disk",
    );
}

async function freeMiB(folder: string): Promise<number> {
    const { bavail, bsize } = await statfs(folder);
    return (bavail * bsize) / 2 ** 20;
}
