import type { GetDropletsDroplet, GetImagesImage, GetSizesSize } from "@pulumi/digitalocean/types/output";
import type { ConfigValues, Findings } from "../lib/config-values";
import { identityOf } from "../lib/identity";
import { editDistance } from "../lib/nearest";
import { slots } from "../lib/slots";

/** What the account has and offers, as its data sources say it. */
export interface Offer {
    sizes: readonly Pick<
        GetSizesSize,
        "slug" | "memory" | "disk" | "priceMonthly" | "available" | "regions"
    >[];
    /** What there is of the images that the config names, by the config's value. */
    images: ReadonlyMap<string, Image>;
    /** All images; asked for only where one of the config's can't be used. */
    allImages: readonly Image[];
    /** All droplets of the account. */
    droplets: readonly Pick<GetDropletsDroplet, "size" | "image" | "tags">[];
    /** How many droplets it may have. */
    dropletLimit: number;
}

/** An image, as far as it decides whether a droplet can be made of it. */
export type Image = Pick<
    GetImagesImage,
    "id" | "slug" | "name" | "private" | "regions" | "minDiskSize" | "status"
>;

/**
 * What the account can't give. Refused is what would have to be made and can't be; what is no longer offered but only
 * serves on (a size that is sold out, an image that is retired) is a warning, so that a pool can always shrink.
 *
 * "Would have to be made" is all that can be known here: there are fewer droplets with the stack's tag than wanted,
 * or none of them has the size or image. (A droplet's image has no slug any more once DigitalOcean has rebuilt or
 * retired it: then put the slots into `hold`, and the image does not matter.)
 */
export function unavailable(settings: ConfigValues, offer: Offer): Findings {
    const found: Findings = { problems: [], warnings: [] };
    const { region } = settings;
    const regions = [...new Set(offer.sizes.flatMap((size) => size.regions))].sort();
    if (region !== undefined && !regions.includes(region)) {
        found.problems.push(`'region' should be one of ${regions.join(", ")}, got ${region}`);
        return found;
    }
    const all = roles(settings, offer);
    for (const role of all) {
        checkSize(role, settings, offer, found);
        checkImage(role, settings, offer, found);
    }
    checkLimit(all, settings, offer, found);
    return found;
}

/** The images that droplets of this config are made of. */
export function wantedImages(settings: ConfigValues): string[] {
    const { image, loadBalancerImage, adminHost, adminHostImage } = settings;
    const wanted = [image, loadBalancerImage, ...(adminHost ? [adminHostImage] : [])];
    return [...new Set(wanted.filter((name) => name !== undefined))];
}

interface Role {
    sizeKey: "size" | "loadBalancerSize" | "adminHostSize";
    imageKey: "image" | "loadBalancerImage" | "adminHostImage";
    /** How many more droplets there will be. */
    added: number;
    /** Whether one has to be made where none of those that there are is `like`. */
    makes: (like: (droplet: Offer["droplets"][number]) => boolean) => boolean;
}

function roles(settings: ConfigValues, { droplets }: Offer): Role[] {
    const { prefix = "", replicas = 1, retired = [], hold = [] } = settings;
    const { backendTag, loadBalancerTag, adminHostTag } = identityOf(prefix);
    const role = (
        sizeKey: Role["sizeKey"],
        imageKey: Role["imageKey"],
        tag: string,
        wanted: number,
        free: number,
    ): Role => {
        const own = droplets.filter(({ tags }) => tags.includes(tag));
        const added = Math.max(wanted - own.length, 0);
        return { sizeKey, imageKey, added, makes: (like) => added > 0 || (free > 0 && !own.some(like)) };
    };
    const free = slots(replicas, retired).filter((slot) => !hold.includes(slot)).length;
    const all = [
        role("size", "image", backendTag, replicas, free),
        role("loadBalancerSize", "loadBalancerImage", loadBalancerTag, 1, 1),
    ];
    // One that is there keeps its image.
    if (settings.adminHost) all.push(role("adminHostSize", "adminHostImage", adminHostTag, 1, 1));
    return all;
}

function checkSize({ sizeKey, makes }: Role, settings: ConfigValues, offer: Offer, found: Findings): void {
    const slug = settings[sizeKey];
    const here = offer.sizes.filter((size) => isOffered(size, settings.region));
    if (slug === undefined || here.some((size) => size.slug === slug)) return;
    const isNeeded = makes(({ size }) => size === slug);
    reportUnavailable(found, isNeeded, `'${sizeKey}' ${slug}`, settings, "", closestSizes(slug, here));
}

/** Says of a size or an image that it can't be had: where a droplet has to be made of it, that is wrong. */
function reportUnavailable(
    { problems, warnings }: Findings,
    isNeeded: boolean,
    what: string,
    { region }: ConfigValues,
    elsewhere: string,
    closest: string,
): void {
    const where = region === undefined ? "" : ` in ${region}`;
    if (isNeeded) problems.push(`${what} is not available${where}${elsewhere}; closest: ${closest}`);
    else
        warnings.push(
            `${what} is no longer offered${where}; running droplets are not affected, but no more can be made; ` +
                `closest: ${closest}`,
        );
}

function checkImage(
    { sizeKey, imageKey, makes }: Role,
    settings: ConfigValues,
    offer: Offer,
    found: Findings,
): void {
    const wanted = settings[imageKey];
    if (wanted === undefined) return;
    const image = offer.images.get(wanted);
    if (image === undefined || !isUsable(image, settings.region)) {
        const elsewhere = image?.regions.length ? `, only in ${image.regions.join(", ")}` : "";
        const isNeeded = makes((droplet) => droplet.image === wanted);
        const closest = closestImages(wanted, settings.region, offer.allImages);
        reportUnavailable(found, isNeeded, `'${imageKey}' ${wanted}`, settings, elsewhere, closest);
        return;
    }
    const size = offer.sizes.find(({ slug }) => slug === settings[sizeKey]);
    const isNew = makes((droplet) => droplet.image === wanted && droplet.size === size?.slug);
    if (size && image.minDiskSize > size.disk && isNew) {
        const enough = offer.sizes.filter(
            (other) => other.disk >= image.minDiskSize && isOffered(other, settings.region),
        );
        found.problems.push(
            `'${sizeKey}' should have a disk of at least ${image.minDiskSize} GB for '${imageKey}' ${wanted}, got ` +
                `${size.slug} with ${size.disk} GB; closest: ${closestSizes(size.slug, enough)}`,
        );
    }
}

/**
 * Only the droplets that are added for good: those that replace others stay no longer than a run, and which ones
 * are replaced the program can't see.
 */
function checkLimit(
    all: readonly Role[],
    { replicas }: ConfigValues,
    { droplets, dropletLimit }: Offer,
    found: Findings,
): void {
    const added = all.reduce((sum, role) => sum + role.added, 0);
    const over = droplets.length + added - dropletLimit;
    if (replicas === undefined || added === 0 || over <= 0) return;
    found.problems.push(
        `'replicas' ${replicas} needs ${added} more droplet(s), ${over} too many: the account has ${droplets.length} ` +
            `and may have ${dropletLimit}; lower it, delete others, or ask DigitalOcean for a higher limit`,
    );
}

function isOffered({ available, regions }: Offer["sizes"][number], region: string | undefined): boolean {
    return available && (region === undefined || regions.includes(region));
}

/** Whether droplets can be made of it. https://docs.digitalocean.com/reference/api/digitalocean/#tag/Images (`status`) */
export function isUsable(image: Image | undefined, region: string | undefined): boolean {
    if (image === undefined || ["retired", "deleted"].includes(image.status)) return false;
    return region === undefined || image.regions.includes(region);
}

/** With prices. Near is a slug that is much the same, and as much memory as the slug names. */
function closestSizes(slug: string, sizes: Offer["sizes"]): string {
    const [, amount, unit] = /(\d+)(gb|mb)/.exec(slug) ?? [];
    const memory = Number(amount) * (unit === "gb" ? 1024 : 1);
    const distance = (size: Offer["sizes"][number]) =>
        editDistance(slug, size.slug) + (memory > 0 ? 2 * Math.abs(Math.log2(size.memory / memory)) : 0);
    return sizes
        .map((size) => ({ ...size, distance: distance(size) }))
        .sort((a, b) => a.distance - b.distance || a.priceMonthly - b.priceMonthly)
        .slice(0, 5)
        .map((size) => `${size.slug} ($${size.priceMonthly})`)
        .join(", ");
}

/** Who gives a number means a snapshot: those have no slug. */
function closestImages(wanted: string, region: string | undefined, images: readonly Image[]): string {
    const here = images.filter((image) => isUsable(image, region));
    const own = here
        .filter((image) => image.private)
        .map(({ id, name }) => ({ value: `${id}`, name: ` (${name})` }));
    const slugs = here.filter(({ slug }) => slug).map(({ slug }) => ({ value: slug, name: "" }));
    return (/^\d+$/.test(wanted) && own.length > 0 ? own : slugs)
        .map((image) => ({ ...image, distance: editDistance(wanted, image.value) }))
        .sort((a, b) => a.distance - b.distance)
        .slice(0, 5)
        .map(({ value, name }) => value + name)
        .join(", ");
}
