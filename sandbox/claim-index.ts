import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import lockfile from "proper-lockfile";

const folder = "/run/dropscale";
const lockOptions = { realpath: false, stale: 120_000 };

/** The file in which main.ts keeps the state folder of the sandbox that an index belongs to. */
export function ownerFile(index: number): string {
    return `${folder}/ds${index}.owner`;
}

/** State folder of the sandbox that has left state under an index: its droplets may live on. */
export function ownerOf(index: number): string | undefined {
    const file = ownerFile(index);
    const stateDir = existsSync(file) ? readFileSync(file, "utf8") : "";
    return stateDir !== "" && existsSync(path.join(stateDir, "cloud.json")) ? stateDir : undefined;
}

/** What runs that were killed left behind on this machine: sandboxes whose index nobody holds any more. */
export async function abandonedSandboxes(): Promise<{ index: number; stateDir: string }[]> {
    const found = [];
    for (let index = 1; index < 200; index++) {
        const stateDir = ownerOf(index);
        if (stateDir === undefined) continue;
        if (await lockfile.check(`${folder}/index-${index}`, lockOptions)) continue;
        found.push({ index, stateDir });
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
            if (ownerOf(index) === undefined) return { index, release };
            await release();
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
        }
    }
    throw new Error(`all sandbox indexes from 1 to 199 are taken; end other test runs, or remove ${folder}`);
}
