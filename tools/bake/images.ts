/** The golden images that there are: which of them stay, and what they cost. */
import { readdirSync, readFileSync } from "node:fs";
import { type BakedImage, readBakedImage } from "../../lib/baked-images";
import { deleteFromApi, listAll } from "../live/api";
import { configIn } from "../pulumi/stack-config";

/** An image of the account, as the API names its fields. */
export interface AccountImage {
    id: number;
    name: string;
    size_gigabytes: number;
    min_disk_size: number;
}

/** So many of each kind stay: the one in use, the one before it to go back to, and one more. */
const kept = 3;

/** In USD a month. https://docs.digitalocean.com/products/images/snapshots/details/pricing/ */
const dollarsPerGigabyte = 0.06;

/** What it costs to keep an image, in USD a month, to the cent. */
export function imageCost({ size_gigabytes: size }: Pick<AccountImage, "size_gigabytes">): number {
    return Math.max(0.01, Math.round(size * dollarsPerGigabyte * 100) / 100);
}

/**
 * The images to delete now that there is a newer one: of the same stack, user data and base, all but the newest, and none
 * that is in use.
 *
 * @param inUse Ids of images of which there are droplets, or that a config names.
 */
export function surplusImages(
    images: readonly AccountImage[],
    newest: BakedImage,
    inUse: ReadonlySet<number>,
): AccountImage[] {
    const kindOf = (baked?: BakedImage) => JSON.stringify([baked?.prefix, baked?.userData, baked?.base]);
    const bakedAt = ({ name }: AccountImage) => readBakedImage(name)?.bakedAt.getTime() ?? 0;
    const same = images.filter(({ name }) => kindOf(readBakedImage(name)) === kindOf(newest));
    const old = same.sort((a, b) => bakedAt(b) - bakedAt(a)).slice(kept);
    return old.filter(({ id }) => !inUse.has(id));
}

/** Deletes those of {@link surplusImages}, and returns them. */
export async function deleteSurplus(newest: BakedImage): Promise<AccountImage[]> {
    const [images, droplets] = await Promise.all([
        listAll<AccountImage>("images?private=true", "images"),
        listAll<{ image: { id: number } }>("droplets", "droplets"),
    ]);
    const inUse = new Set([...droplets.map(({ image }) => image.id), ...imagesInConfigs()]);
    const surplus = surplusImages(images, newest, inUse);
    for (const { id } of surplus) await deleteFromApi(`images/${id}`, []);
    return surplus;
}

/** The images that the configs in the current folder name by number, of every stack. */
function imagesInConfigs(): number[] {
    const files = readdirSync(".").filter((name) => /^Pulumi\..+\.yaml$/.test(name));
    return files.flatMap((file) =>
        Object.entries(configIn(readFileSync(file, "utf8"), file))
            .filter(([key]) => /:(image|loadBalancerImage|adminHostImage)$/.test(key))
            .flatMap(([, value]) => (/^\d+$/.test(String(value)) ? [Number(value)] : [])),
    );
}
