import { ensureHostPackages, type Log, raiseInotifyLimit, requireLinuxRoot } from "../host.ts";
import { defaultImage, releaseOf } from "../releases.ts";
import { ensureMirror } from "./apt-mirror.ts";

/**
 * Makes sure that droplets can boot on this host: packages, limits, the default image and its package mirror.
 * Minutes the first time, and nothing to do later.
 *
 * @param log gets a line before everything that takes long.
 * @throws Error of one line: not root on Linux, a package that can't be had, a full disk.
 */
export async function prepareHost({ log }: { log: Log }): Promise<void> {
    requireLinuxRoot();
    await ensureHostPackages({ log });
    await raiseInotifyLimit({ log });
    await ensureMirror(releaseOf(defaultImage), { log });
}
