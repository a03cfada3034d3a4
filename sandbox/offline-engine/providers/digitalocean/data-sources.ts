import { text, type Properties } from "../values.ts";
import { ApiError, type Client } from "./client.ts";
import { explain } from "./poll.ts";

type DataSource = (client: Client, args: Properties) => Promise<Properties>;

/** A list under a property's name, `item` for each; the official provider's filters and sorts are left out. */
function listOf(noun: string, item: (seen: never) => Properties): DataSource {
    return async (client, args) => {
        if (Object.keys(args).length > 0)
            throw new Error(
                `the list of ${noun} takes no filters and sorts with the offline engine: it has them all`,
            );
        const seen = await explain(`retrieving ${noun}`, () => client.list<never>(`/v2/${noun}`, noun));
        return { id: noun, [noun]: seen.map(item) };
    };
}

interface ApiSize {
    slug: string;
    available: boolean;
    transfer: number;
    price_monthly: number;
    price_hourly: number;
    memory: number;
    vcpus: number;
    disk: number;
    regions: string[];
}

/** https://www.pulumi.com/registry/packages/digitalocean/api-docs/getsizes/ */
export const getSizes = listOf("sizes", (seen: ApiSize) => {
    const { slug, available, transfer, memory, vcpus, disk, regions, price_monthly, price_hourly } = seen;
    const prices = { priceMonthly: price_monthly, priceHourly: price_hourly };
    return { slug, available, transfer, ...prices, memory, vcpus, disk, regions };
});

interface ApiDroplet {
    id: number;
    name: string;
    region: { slug: string };
    size: { slug: string };
    image: { id: number; slug: string | null };
    status: string;
    locked: boolean;
    tags: string[];
}

/** Without what the program does not read. https://www.pulumi.com/registry/packages/digitalocean/api-docs/getdroplets/ */
export const getDroplets = listOf("droplets", (seen: ApiDroplet) => {
    const { id, name, status, locked, tags, region, size, image } = seen;
    const slugs = { region: region.slug, size: size.slug, image: image.slug ?? String(image.id) };
    return { id, name, status, locked, tags, ...slugs };
});

/** Without what the program does not read. https://www.pulumi.com/registry/packages/digitalocean/api-docs/gettag/ */
export const getTag: DataSource = async (client, { name }) => {
    const path = `/v2/tags/${encodeURIComponent(text(name))}`;
    const { tag } = await explain("retrieving tag", () => client.get<{ tag: { name: string } }>(path));
    return { id: tag.name, name: tag.name };
};

/** https://www.pulumi.com/registry/packages/digitalocean/api-docs/getreservedip/ */
export const getReservedIp: DataSource = async (client, { ipAddress }) => {
    const path = `/v2/reserved_ips/${encodeURIComponent(text(ipAddress))}`;
    const get = () =>
        client.get<{ reserved_ip: { ip: string; droplet: { id: number } | null; region: { slug: string } } }>(
            path,
        );
    const { ip, droplet, region } = (await explain("retrieving reserved ip", get)).reserved_ip;
    const urn = `do:reservedip:${ip}`;
    return { id: ip, ipAddress: ip, urn, dropletId: droplet?.id ?? 0, region: region.slug };
};

interface ApiImage {
    id: number;
    slug: string | null;
    name: string;
    type: string;
    distribution: string;
    public: boolean;
    regions: string[];
    min_disk_size: number;
    size_gigabytes: number;
    created_at: string;
    description: string | null;
    status: string;
    error_message: string | null;
    tags: string[];
}

function imageState(seen: ApiImage): Properties {
    const { id, name, type, distribution, regions, status, tags } = seen;
    return {
        ...{ id, name, type, distribution, regions, status, tags },
        slug: seen.slug ?? "",
        image: String(id),
        private: !seen.public,
        minDiskSize: seen.min_disk_size,
        sizeGigabytes: seen.size_gigabytes,
        created: seen.created_at,
        description: seen.description ?? "",
        errorMessage: seen.error_message ?? "",
    };
}

/** https://www.pulumi.com/registry/packages/digitalocean/api-docs/getimages/ */
export const getImages = listOf("images", imageState);

/** `getImage({ slug })` or `getImage({ id })`: https://www.pulumi.com/registry/packages/digitalocean/api-docs/getimage/ */
export const getImage: DataSource = async (client, { id, slug, name }) => {
    if (name !== undefined)
        throw new Error("getImage finds an image by its id or slug with the offline engine");
    const wanted = encodeURIComponent(text(id ?? slug));
    try {
        return imageState((await client.get<{ image: ApiImage }>(`/v2/images/${wanted}`)).image);
    } catch (error) {
        const missing = error instanceof ApiError && error.status === 404;
        const what = id === undefined ? "image" : `image ID ${wanted}`;
        throw new Error(
            `${missing ? `${what} not found` : "Error retrieving image"}: ${(error as Error).message}`,
            {
                cause: error,
            },
        );
    }
};

interface ApiAccount {
    uuid: string;
    droplet_limit: number;
    floating_ip_limit: number;
    email: string;
    email_verified: boolean;
    status: string;
    status_message: string;
}

/** https://www.pulumi.com/registry/packages/digitalocean/api-docs/getaccount/ */
export const getAccount: DataSource = async (client) => {
    const get = () => client.get<{ account: ApiAccount }>("/v2/account");
    const { account } = await explain("retrieving account", get);
    const { uuid, email, status } = account;
    return {
        ...{ id: uuid, uuid, email, status },
        dropletLimit: account.droplet_limit,
        floatingIpLimit: account.floating_ip_limit,
        emailVerified: account.email_verified,
        statusMessage: account.status_message,
    };
};
