import type { SizeSpec } from "../model.ts";
import type { DistributionName } from "./answers.ts";
import sizeRows from "./sizes.json" with { type: "json" };

/** What `/v2/regions` says of a data centre. */
export interface Region {
    slug: string;
    name: string;
    available: boolean;
}

/** What `/v2/sizes` says of a Droplet plan. Prices in US dollars, transfer in TB. */
export interface Size extends SizeSpec {
    description: string;
    transferTB: number;
    priceMonthly: number;
    priceHourly: number;
    /** Slugs of the regions where a Droplet of this size can be created. */
    regions: string[];
}

/** A distribution image. Ids are the sandbox's own: the real service gives a slug a new one with each rebuild. */
export interface Distribution {
    id: number;
    slug: string;
    name: string;
    distribution: DistributionName;
    minDiskGiB: number;
    sizeGiB: number;
}

/** Data centres that the published API names, by slug; sfo1 and ams2 take no new Droplets. https://docs.digitalocean.com/platform/regional-availability/ */
export const regions: readonly Region[] = Object.entries({
    nyc1: "New York 1",
    sfo1: "San Francisco 1",
    nyc2: "New York 2",
    ams2: "Amsterdam 2",
    sgp1: "Singapore 1",
    lon1: "London 1",
    nyc3: "New York 3",
    ams3: "Amsterdam 3",
    fra1: "Frankfurt 1",
    tor1: "Toronto 1",
    sfo2: "San Francisco 2",
    blr1: "Bangalore 1",
    sfo3: "San Francisco 3",
    syd1: "Sydney 1",
}).map(([slug, name]) => ({ slug, name, available: slug !== "sfo1" && slug !== "ams2" }));

export const regionFeatures = ["backups", "ipv6", "metadata", "install_agent", "storage", "image_transfer"];

/**
 * Where a size is offered: the first row whose prefix or suffix fits its slug. Basic plans are everywhere, the
 * rest in most regions. https://docs.digitalocean.com/products/droplets/details/availability/
 */
const availability: readonly [RegExp, readonly string[]][] = [
    [/^s-1vcpu-512mb-10gb$/, ["ams3", "fra1", "nyc1", "nyc2", "sfo2", "sfo3", "sgp1", "syd1"]],
    [
        /^s-.*-(amd|intel)$/,
        ["ams3", "blr1", "fra1", "lon1", "nyc1", "nyc2", "nyc3", "sfo3", "sgp1", "syd1", "tor1"],
    ],
    [/^s-/, regions.filter((region) => region.available).map((region) => region.slug)],
    [/./, ["ams3", "blr1", "fra1", "lon1", "nyc1", "nyc3", "sfo3", "sgp1", "syd1", "tor1"]],
];

/** An hour costs a 672nd of the month (28 days), to five places. https://docs.digitalocean.com/products/droplets/details/pricing/ */
const hoursBilledPerMonth = 672;

type SizeRow = [
    slug: string,
    description: string,
    vcpus: number,
    memoryMiB: number,
    diskGiB: number,
    transferTB: number,
    priceMonthly: number,
];

/** CPU Droplet plans, cheapest first. https://www.digitalocean.com/pricing/droplets */
export const sizes: readonly Size[] = (sizeRows as SizeRow[]).map(
    ([slug, description, vcpus, memoryMiB, diskGiB, transferTB, priceMonthly]) => ({
        slug,
        description,
        vcpus,
        memoryMiB,
        diskGiB,
        transferTB,
        priceMonthly,
        priceHourly: Number((priceMonthly / hoursBilledPerMonth).toFixed(5)),
        regions: [...(availability.find(([pattern]) => pattern.test(slug))?.[1] ?? [])].sort(),
    }),
);

export const distributions: readonly Distribution[] = (
    [
        [100001, "debian-12-x64", "12 x64", "Debian", 7, 0.64],
        [100002, "debian-13-x64", "13 x64", "Debian", 7, 0.69],
        [100003, "ubuntu-22-04-x64", "22.04 (LTS) x64", "Ubuntu", 7, 0.73],
        [100004, "ubuntu-24-04-x64", "24.04 (LTS) x64", "Ubuntu", 7, 0.82],
        [100005, "fedora-42-x64", "42 x64", "Fedora", 15, 0.54],
        [100007, "rockylinux-9-x64", "9 x64", "Rocky Linux", 10, 0.61],
    ] as const
).map(([id, slug, name, distribution, minDiskGiB, sizeGiB]) => ({
    id,
    slug,
    name,
    distribution,
    minDiskGiB,
    sizeGiB,
}));

/** The size of that slug; throws if there is none, for slugs that were checked before they were stored. */
export function sizeOf(slug: string): Size {
    const size = sizes.find((candidate) => candidate.slug === slug);
    if (!size) throw new Error(`there is no size ${slug} in sandbox/api/sizes.json`);
    return size;
}
