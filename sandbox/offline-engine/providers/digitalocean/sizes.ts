import { createHash } from "node:crypto";

import { isRecord, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { explain } from "./poll.ts";
import { strings } from "./properties.ts";

type Size = Record<string, Value>;
const SIZE_KEYS: Record<string, string> = {
    slug: "slug",
    available: "available",
    transfer: "transfer",
    price_monthly: "priceMonthly",
    price_hourly: "priceHourly",
    memory: "memory",
    vcpus: "vcpus",
    disk: "disk",
    regions: "regions",
};

/** `getSizes({ filters, sorts })`: https://www.pulumi.com/registry/packages/digitalocean/api-docs/getsizes/ */
export async function getSizes(client: Client, args: Properties): Promise<Properties> {
    const filters = Array.isArray(args.filters) ? args.filters.filter(isRecord) : [];
    const sorts = Array.isArray(args.sorts) ? args.sorts.filter(isRecord) : [];
    const sizes = (await explain("retrieving sizes", () => client.list<Size>("/v2/sizes", "sizes")))
        .filter((size) => filters.every((filter) => passes(size, filter)))
        .sort((left, right) => compare(left, right, sorts))
        .map((size) =>
            Object.fromEntries(Object.entries(SIZE_KEYS).map(([key, name]) => [name, size[key] ?? null])),
        );
    const id = createHash("sha1").update(JSON.stringify(args)).digest("hex");
    return { ...args, id, sizes };
}

function sizeKey(key: Value | undefined): string {
    if (typeof key === "string" && key in SIZE_KEYS) return key;
    throw new Error(`a size has no ${JSON.stringify(key)}; it has ${Object.keys(SIZE_KEYS).join(", ")}`);
}

function passes(size: Size, filter: Record<string, Value>): boolean {
    const value = size[sizeKey(filter.key)];
    const has = (wanted: string): boolean =>
        (Array.isArray(value) ? value : [value]).some((item) => matches(text(item), wanted, filter.matchBy));
    return filter.all === true ? strings(filter.values).every(has) : strings(filter.values).some(has);
}

function matches(found: string, wanted: string, matchBy: Value | undefined): boolean {
    if (matchBy === "re") return new RegExp(wanted).test(found);
    if (matchBy === "substring") return found.includes(wanted);
    // "5.00" and 5 are one number.
    return found === wanted || (wanted !== "" && Number(found) === Number(wanted));
}

function compare(left: Size, right: Size, sorts: Record<string, Value>[]): number {
    for (const { key, direction } of sorts) {
        const [a, b] = [left[sizeKey(key)] ?? "", right[sizeKey(key)] ?? ""];
        if (a !== b) return (a < b ? -1 : 1) * (direction === "desc" ? -1 : 1);
    }
    return 0;
}
