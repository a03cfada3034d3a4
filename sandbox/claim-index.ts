import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import lockfile from "proper-lockfile";

const folder = "/run/dropscale";
const lockOptions = { realpath: false, stale: 120_000 };

/** Whether a sandbox has left state under this index: main.ts keeps the folder's path there. */
async function hasSandbox(index: number): Promise<boolean> {
    const stateDir = await readFile(`${folder}/ds${index}.owner`, "utf8").catch(() => "");
    return stateDir !== "" && existsSync(path.join(stateDir, "cloud.json"));
}

/** What runs that were killed left behind on this machine: sandboxes whose index nobody holds any more. */
export async function abandonedSandboxes(): Promise<{ index: number; stateDir: string }[]> {
    const found = [];
    for (let index = 1; index < 200; index++) {
        if (!(await hasSandbox(index)) || (await lockfile.check(`${folder}/index-${index}`, lockOptions)))
            continue;
        found.push({ index, stateDir: await readFile(`${folder}/ds${index}.owner`, "utf8") });
    }
    return found;
}

/**
 * Takes the first index of {@link instance} that no other run on this machine has taken, so that test runs side
 * by side do not meet. 0 is never given out: it is `make up`'s. A claim whose process died lapses after two minutes;
 * its index is still passed over as long as the state of its sandbox is there, for droplets may live on.
 *
 * @throws Error if all 199 are taken.
 */
export async function claimIndex(): Promise<{ index: number; release: () => Promise<void> }> {
    await mkdir(folder, { recursive: true });
    for (let index = 1; index < 200; index++) {
        try {
            const release = await lockfile.lock(`${folder}/index-${index}`, lockOptions);
            if (!(await hasSandbox(index))) return { index, release };
            await release();
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
        }
    }
    throw new Error(`all sandbox indexes from 1 to 199 are taken; end other test runs, or remove ${folder}`);
}
