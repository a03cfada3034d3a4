import { createHash } from "node:crypto";

import type { Call, Property, Resource } from "../resource.ts";
import { isEmpty, text, type Properties } from "../values.ts";
import type { Client } from "./client.ts";
import { actionDone, explain, poll, type Action } from "./poll.ts";
import { lowerCase, nonEmpty, numberOrText, strings, TAGS } from "./properties.ts";

interface ApiDroplet {
    id: number;
    name: string;
    memory: number;
    vcpus: number;
    disk: number;
    locked: boolean;
    status: string;
    created_at: string;
    features: string[] | null;
    volume_ids: string[] | null;
    tags: string[] | null;
    vpc_uuid: string;
    region: { slug: string };
    image: { id: number; slug: string | null };
    size: { slug: string; price_hourly: number; price_monthly: number };
    networks: Record<"v4" | "v6", { type: string; ip_address: string }[] | null>;
}

const DEFAULT_SECONDS = { create: 3600, update: 3600, delete: 60 };

// https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/droplet/resource_droplet.go
const inputs: Record<string, Property> = {
    name: { type: "string", autoName: true, validate: nonEmpty },
    image: { type: "string", required: true, forceNew: true, validate: nonEmpty },
    size: { type: "string", required: true, stored: lowerCase, validate: nonEmpty },
    region: { type: "string", computed: true, forceNew: true, stored: lowerCase, validate: nonEmpty },
    vpcUuid: { type: "string", computed: true, forceNew: true, validate: nonEmpty },
    sshKeys: { type: "set", items: "string", forceNew: true },
    userData: { type: "string", forceNew: true, stored: sha1, validate: nonEmpty },
    tags: TAGS,
    monitoring: { type: "boolean", default: false, forceNew: true },
    dropletAgent: { type: "boolean", forceNew: true },
    backups: { type: "boolean", default: false },
    ipv6: { type: "boolean", default: false, forceNew: (old, next) => old === true && next === false },
    ipv6Address: { type: "string", computed: true },
    privateNetworking: { type: "boolean", computed: true },
    publicNetworking: { type: "boolean", computed: true, forceNew: true },
    resizeDisk: { type: "boolean", default: true },
    gracefulShutdown: { type: "boolean", default: false },
};

export function droplet(client: Client): Resource {
    const path = (id: string): string => `/v2/droplets/${id}`;
    const find = async (id: string): Promise<ApiDroplet | undefined> =>
        (await client.find<{ droplet: ApiDroplet }>(path(id)))?.droplet;

    return {
        inputs,
        outputs: {
            createdAt: "string",
            disk: "integer",
            dropletUrn: "string",
            ipv4Address: "string",
            ipv4AddressPrivate: "string",
            locked: "boolean",
            memory: "integer",
            priceHourly: "number",
            priceMonthly: "number",
            status: "string",
            vcpus: "integer",
            volumeIds: "set",
        },
        async create(given, call) {
            const { droplet: created } = await explain("creating droplet", () =>
                client.post<{ droplet: ApiDroplet }>("/v2/droplets", createBody(given)),
            );
            const id = String(created.id);
            const seconds = call.timeoutSeconds ?? DEFAULT_SECONDS.create;
            const active = (): Promise<ApiDroplet> =>
                poll(`droplet ${id} to become active`, seconds, async () => {
                    // A new droplet may not be found for a moment.
                    const seen = await find(id);
                    if (seen && !seen.locked && seen.status === "active") return { done: seen };
                    return seen ? describe(seen) : "404 Not Found";
                });
            return { id, outputs: async () => state(await explain("waiting for droplet", active)) };
        },
        async read(id, old) {
            const found = await explain("retrieving droplet", () => find(id));
            if (!found) return undefined;
            const imported = { image: found.image.slug ?? String(found.image.id), resizeDisk: true };
            return { id, state: { ...(old.image === undefined && imported), ...state(found) } };
        },
        async update(id, olds, news, call) {
            await updateDroplet(client, id, olds, news, call);
            return state((await client.get<{ droplet: ApiDroplet }>(path(id))).droplet);
        },
        async delete(id, old, call) {
            const seconds = call.timeoutSeconds ?? DEFAULT_SECONDS.delete;
            const until = (goal: string, limit: number, test: (seen: ApiDroplet) => boolean): Promise<void> =>
                poll(`droplet ${id} ${goal}`, limit, async () => {
                    const seen = await find(id);
                    return !seen || test(seen) ? { done: undefined } : describe(seen);
                });
            await explain("deleting droplet", async () => {
                await until("to be unlocked", seconds, ({ locked }) => !locked);
                if (old.gracefulShutdown === true) {
                    await client.post(`${path(id)}/actions`, { type: "shutdown" });
                    await until("to become off", seconds, ({ status }) => status === "off");
                }
                await client.delete(path(id));
                await until("to be destroyed", 60, () => false);
            });
        },
        unknownAfterUpdate: (olds, news) => (olds.ipv6 !== true && news.ipv6 === true ? ["ipv6Address"] : []),
    };
}

function sha1(text: string): string {
    return createHash("sha1").update(text).digest("hex");
}

function describe({ status, locked }: ApiDroplet): string {
    return locked ? `${status}, locked` : status;
}

function createBody(given: Properties): object {
    return {
        name: given.name,
        region: given.region ?? "",
        size: given.size,
        image: numberOrText(given.image),
        ssh_keys: strings(given.sshKeys).map(numberOrText),
        backups: given.backups,
        ipv6: given.ipv6,
        monitoring: given.monitoring,
        ...(given.privateNetworking === true && { private_networking: true }),
        ...(given.publicNetworking === false && { public_networking: false }),
        ...(given.dropletAgent !== undefined && { with_droplet_agent: given.dropletAgent }),
        ...(!isEmpty(given.userData) && { user_data: given.userData }),
        ...(!isEmpty(given.vpcUuid) && { vpc_uuid: given.vpcUuid }),
        tags: strings(given.tags),
    };
}

/** What the API tells; image, keys and user data are not among it (the image's slug moves to newer images). */
function state(seen: ApiDroplet): Properties {
    const address = (family: "v4" | "v6", type: string): string =>
        seen.networks[family]?.find((network) => network.type === type)?.ip_address ?? "";
    const has = (feature: string): boolean => seen.features?.includes(feature) ?? false;
    return {
        name: seen.name,
        dropletUrn: `do:droplet:${seen.id}`,
        region: seen.region.slug,
        size: seen.size.slug,
        priceHourly: seen.size.price_hourly,
        priceMonthly: seen.size.price_monthly,
        disk: seen.disk,
        vcpus: seen.vcpus,
        memory: seen.memory,
        status: seen.status,
        locked: seen.locked,
        createdAt: seen.created_at,
        vpcUuid: seen.vpc_uuid,
        ipv4Address: address("v4", "public"),
        ipv4AddressPrivate: address("v4", "private"),
        ipv6Address: address("v6", "public").toLowerCase(),
        publicNetworking: address("v4", "public") !== "",
        backups: has("backups"),
        ipv6: has("ipv6"),
        privateNetworking: has("private_networking"),
        monitoring: has("monitoring"),
        volumeIds: seen.volume_ids ?? [],
        tags: seen.tags ?? [],
    };
}

async function updateDroplet(
    client: Client,
    id: string,
    olds: Properties,
    news: Properties,
    call: Call,
): Promise<void> {
    const seconds = call.timeoutSeconds ?? DEFAULT_SECONDS.update;
    const act = async (body: { type: string } & Record<string, unknown>): Promise<Action> =>
        (await client.post<{ action: Action }>(`/v2/droplets/${id}/actions`, body)).action;
    const finish = async (body: { type: string } & Record<string, unknown>): Promise<void> => {
        await actionDone(client, "/v2/actions", (await act(body)).id, `${body.type} of droplet ${id}`);
    };
    const until = (goal: string, test: (seen: ApiDroplet) => boolean): Promise<void> =>
        poll(`droplet ${id} ${goal}`, seconds, async () => {
            const { droplet: seen } = await client.get<{ droplet: ApiDroplet }>(`/v2/droplets/${id}`);
            return !seen.locked && test(seen) ? { done: undefined } : describe(seen);
        });
    const changed = (name: string): boolean => JSON.stringify(olds[name]) !== JSON.stringify(news[name]);
    const power = async (type: "power_on" | "power_off", status: string): Promise<void> => {
        await act({ type });
        await until(`to become ${status}`, (seen) => seen.status === status);
    };

    if (text(olds.size).toLowerCase() !== text(news.size).toLowerCase()) {
        await explain("resizing droplet", async () => {
            await power("power_off", "off");
            await finish({ type: "resize", size: news.size, disk: news.resizeDisk }).finally(() =>
                power("power_on", "active"),
            );
        });
    }
    if (changed("name")) {
        await explain("renaming droplet", async () => {
            await act({ type: "rename", name: news.name });
            await until("to be renamed", (seen) => seen.name === news.name);
        });
    }
    if (changed("backups")) {
        const type = news.backups === true ? "enable_backups" : "disable_backups";
        await explain("changing backups of droplet", () => finish({ type }));
    }
    if (news.ipv6 === true && olds.ipv6 !== true) {
        await explain("turning on ipv6", async () => {
            await act({ type: "enable_ipv6" });
            await until("to have ipv6", (seen) => seen.features?.includes("ipv6") ?? false);
        });
        call.log(
            "warning",
            "Enabling IPv6 on an existing droplet needs configuration inside it as well: https://docs.digitalocean.com/products/networking/ipv6/how-to/enable/#on-existing-droplets",
        );
    }
    await explain("updating tags", () => retag(client, id, strings(olds.tags), strings(news.tags)));
}

function missingFrom(these: string[], others: string[]): string[] {
    return others.filter((item) => !these.includes(item));
}

async function retag(client: Client, id: string, olds: string[], news: string[]): Promise<void> {
    const resources = [{ resource_id: id, resource_type: "droplet" }];
    const path = (tag: string): string => `/v2/tags/${encodeURIComponent(tag)}/resources`;
    for (const tag of missingFrom(news, olds)) await client.delete(path(tag), { resources });
    for (const tag of missingFrom(olds, news)) {
        await client.post("/v2/tags", { name: tag });
        await client.post(path(tag), { resources });
    }
}
