import type { Properties } from "../values.ts";
import type { Client } from "./client.ts";
import { explain } from "./poll.ts";

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

/** `getSizes()`: https://www.pulumi.com/registry/packages/digitalocean/api-docs/getsizes/ */
export async function getSizes(client: Client, args: Properties): Promise<Properties> {
    if (Object.keys(args).length > 0)
        throw new Error("getSizes takes no filters and sorts with the offline engine: it lists all sizes");
    const list = () => client.list<ApiSize>("/v2/sizes", "sizes");
    const sizes = (await explain("retrieving sizes", list)).map((seen) => {
        const { slug, available, transfer, memory, vcpus, disk, regions, price_monthly, price_hourly } = seen;
        const prices = { priceMonthly: price_monthly, priceHourly: price_hourly };
        return { slug, available, transfer, ...prices, memory, vcpus, disk, regions };
    });
    return { id: "sizes", sizes };
}
