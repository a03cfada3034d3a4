import { mkdir } from "node:fs/promises";
import lockfile from "proper-lockfile";

const folder = "/run/dropscale";

/**
 * Takes the first index of {@link instance} that no other run on this machine has taken, so that test runs side
 * by side do not meet. 0 is never given out: it is `make up`'s. A claim whose process died lapses after two minutes.
 *
 * @throws Error if all 199 are taken.
 */
export async function claimIndex(): Promise<{ index: number; release: () => Promise<void> }> {
    await mkdir(folder, { recursive: true });
    for (let index = 1; index < 200; index++) {
        try {
            const release = await lockfile.lock(`${folder}/index-${index}`, {
                realpath: false,
                stale: 120_000,
            });
            return { index, release };
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
        }
    }
    throw new Error(`all sandbox indexes from 1 to 199 are taken; end other test runs, or remove ${folder}`);
}
