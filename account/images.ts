import { describeBakedImage, outdated, readBakedImage } from "../lib/baked-images";
import type { ConfigValues } from "../lib/config-values";
import { userDataHash } from "../userdata/render";
import type { Image } from "./availability";

/**
 * What the servers' image is, where it is one of the account's own: a number says nothing to who reads a preview.
 *
 * @param images What there is of those that the config names, by its value.
 * @returns The words, the same on every day; and what has changed since it was baked.
 */
export function lookAtImage(
    { image = "", userdata }: ConfigValues,
    images: ReadonlyMap<string, Image>,
): { imageIs?: string; warnings: string[] } {
    const found = images.get(image);
    if (!/^\d+$/.test(image) || found === undefined) return { warnings: [] };
    const baked = readBakedImage(found.name);
    // Somebody's own snapshot, or a distribution by its number.
    if (!baked) return { imageIs: found.name, warnings: [] };
    const hash = userdata === undefined ? undefined : userDataHash(userdata);
    return { imageIs: describeBakedImage(baked), warnings: outdated(image, baked, hash) };
}
