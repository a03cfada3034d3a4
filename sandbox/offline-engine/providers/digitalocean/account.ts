import { createHash } from "node:crypto";

import type { Resource } from "../resource.ts";
import { isRecord, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { explain, repeatOn } from "./poll.ts";
import { nonEmpty, strings, tagName } from "./properties.ts";

interface ApiKey {
    id: number;
    name: string;
    fingerprint: string;
    public_key: string;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/sshkey/resource_ssh_key.go */
export function sshKey(client: Client): Resource {
    const path = (id: string): string => `/v2/account/keys/${id}`;
    const state = ({ name, fingerprint, public_key }: ApiKey): Properties => ({
        name,
        fingerprint,
        publicKey: public_key.trim(),
    });
    return {
        inputs: {
            name: { type: "string", autoName: true, validate: nonEmpty },
            publicKey: {
                type: "string",
                required: true,
                forceNew: true,
                stored: (key) => key.trim(),
                validate: nonEmpty,
            },
        },
        outputs: { fingerprint: "string" },
        async create({ name, publicKey }, call) {
            const { ssh_key: created } = await explain("creating SSH key", () =>
                client.post<{ ssh_key: ApiKey }>("/v2/account/keys", { name, public_key: publicKey }),
            );
            const id = String(created.id);
            // A new key may not be found for a moment.
            const get = (): Promise<{ ssh_key: ApiKey }> =>
                repeatOn([404], `SSH key ${id}`, call.timeoutSeconds ?? 120, () => client.get(path(id)));
            return { id, outputs: async () => state((await explain("retrieving SSH key", get)).ssh_key) };
        },
        async read(id) {
            const found = await explain("retrieving SSH key", () =>
                client.find<{ ssh_key: ApiKey }>(path(id)),
            );
            return found && { id, state: state(found.ssh_key) };
        },
        async update(id, _olds, { name }) {
            await explain("updating SSH key", () => client.put(path(id), { name }));
            return state((await client.get<{ ssh_key: ApiKey }>(path(id))).ssh_key);
        },
        delete: (id) => explain("deleting SSH key", () => client.delete(path(id))),
    };
}

type Count = { count: number } | undefined;
interface ApiTag {
    name: string;
    resources?: { count: number } & Partial<
        Record<"droplets" | "images" | "volumes" | "volume_snapshots" | "databases", Count>
    >;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/resource_tag.go */
export function tag(client: Client): Resource {
    const path = (id: string): string => `/v2/tags/${encodeURIComponent(id)}`;
    const state = ({ name, resources }: ApiTag): Properties => ({
        name,
        totalResourceCount: resources?.count ?? 0,
        dropletsCount: resources?.droplets?.count ?? 0,
        imagesCount: resources?.images?.count ?? 0,
        volumesCount: resources?.volumes?.count ?? 0,
        volumeSnapshotsCount: resources?.volume_snapshots?.count ?? 0,
        databasesCount: resources?.databases?.count ?? 0,
    });
    return {
        inputs: { name: { type: "string", autoName: true, validate: tagName } },
        outputs: {
            databasesCount: "integer",
            dropletsCount: "integer",
            imagesCount: "integer",
            totalResourceCount: "integer",
            volumeSnapshotsCount: "integer",
            volumesCount: "integer",
        },
        async create({ name }) {
            const { tag: created } = await explain("creating tag", () =>
                client.post<{ tag: ApiTag }>("/v2/tags", { name }),
            );
            const get = (): Promise<{ tag: ApiTag }> => client.get(path(created.name));
            return {
                id: created.name,
                outputs: async () => state((await explain("retrieving tag", get)).tag),
            };
        },
        async read(id) {
            const found = await explain("retrieving tag", () => client.find<{ tag: ApiTag }>(path(id)));
            return found && { id, state: state(found.tag) };
        },
        delete: (id) => explain("deleting tag", () => client.delete(path(id))),
    };
}

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
    const sizes = (await explain("retrieving sizes", () => allSizes(client)))
        .filter((size) => filters.every((filter) => passes(size, filter)))
        .sort((left, right) => compare(left, right, sorts))
        .map((size) =>
            Object.fromEntries(Object.entries(SIZE_KEYS).map(([key, name]) => [name, size[key] ?? null])),
        );
    const id = createHash("sha1").update(JSON.stringify(args)).digest("hex");
    return { ...args, id, sizes };
}

async function allSizes(client: Client): Promise<Size[]> {
    const all: Size[] = [];
    for (let page = 1; ; page++) {
        const answer = await client.get<{ sizes: Size[]; links?: { pages?: { next?: string } } }>(
            `/v2/sizes?page=${page}&per_page=200`,
        );
        all.push(...answer.sizes);
        if (answer.links?.pages?.next === undefined) return all;
    }
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
