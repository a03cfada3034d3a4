import { ensureHostPackages, type Log, raiseInotifyLimit, requireLinuxRoot } from "../host.ts";
import { ensureMirror } from "./apt-mirror.ts";
import { ensureBaseImage } from "./base-image.ts";

/**
 * Makes sure that droplets can boot on this host: packages, limits, the base image and the package mirror. Minutes
 * the first time, and nothing to do later.
 *
 * @param log gets a line before everything that takes long.
 * @returns the folder of the base image.
 * @throws Error of one line: not root on Linux, a package that can't be had, a full disk.
 */
export async function prepareHost({ log }: { log: Log }): Promise<{ lowerdir: string }> {
    requireLinuxRoot();
    await ensureHostPackages({ log });
    await raiseInotifyLimit({ log });
    const image = await ensureBaseImage({ log });
    await ensureMirror({ log });
    return image;
}
