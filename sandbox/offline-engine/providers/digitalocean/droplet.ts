import { createHash } from "node:crypto";

import type { Call, Property, Resource } from "../resource.ts";
import { isEmpty, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { act, explain, poll } from "./poll.ts";
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

const DEFAULT_SECONDS = { create: 3600, delete: 60, update: 3600 };

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
    monitoring: { type: "boolean", absent: false, forceNew: true },
    dropletAgent: { type: "boolean", absent: null, forceNew: true },
    resizeDisk: { type: "boolean", default: true },
    backups: { type: "boolean", absent: false, validate: notServed },
    ipv6: { type: "boolean", absent: false, validate: notServed },
    gracefulShutdown: { type: "boolean", absent: false, validate: notServed },
};

const outputs = [
    "createdAt disk dropletUrn ipv4Address ipv4AddressPrivate ipv6Address locked memory",
    "priceHourly priceMonthly privateNetworking publicNetworking status vcpus volumeIds",
].flatMap((line) => line.split(" "));

function notServed(value: Value): string | undefined {
    return value === false ? undefined : "should be false with the offline engine";
}

export function droplet(client: Client): Resource {
    const path = (id: string): string => `/v2/droplets/${id}`;
    const find = async (id: string): Promise<ApiDroplet | undefined> =>
        (await client.find<{ droplet: ApiDroplet }>(path(id)))?.droplet;

    return {
        bridge: {
            renamed: { dropletUrn: "urn" },
            single: ["backupPolicy"],
            timeouts: DEFAULT_SECONDS,
            schemaVersion: "1",
        },
        inputs,
        outputs,
        previewMeta: ({ userData = "" }) => ({ user_data: userData }),
        async create(given, call) {
            const { droplet: created } = await explain("creating droplet", () =>
                client.post<{ droplet: ApiDroplet }>("/v2/droplets", createBody(given)),
            );
            const id = String(created.id);
            const seconds = call.timeoutSeconds ?? DEFAULT_SECONDS.create;
            const active = () =>
                poll(seconds, async () => {
                    // A new droplet may not be found for a moment.
                    const seen = await find(id);
                    return seen && !seen.locked && seen.status === "active" ? { done: seen } : undefined;
                });
            const doing = `waiting for droplet (${id}) to become ready`;
            return { id, outputs: async () => state(await explain(doing, active)) };
        },
        async read(id, old) {
            const found = await explain("retrieving droplet", () => find(id));
            if (!found) return undefined;
            const imported = { image: found.image.slug ?? String(found.image.id), resizeDisk: true };
            return { ...(old.image === undefined && imported), ...state(found) };
        },
        async update(id, olds, news, call) {
            await updateDroplet(client, id, olds, news, call);
            const found = await find(id);
            // In the official provider's words.
            if (!found)
                throw new Error(
                    `Resource provider reported that the resource did not exist while updating ${call.name}.\n\n` +
                        "This is usually a result of the resource having been deleted outside of Pulumi, and can " +
                        "often be fixed by running `pulumi refresh` before updating.",
                );
            return state(found);
        },
        async delete(id, _old, call) {
            const seconds = call.timeoutSeconds ?? DEFAULT_SECONDS.delete;
            await explain(`waiting for droplet to be unlocked for destroy (${id})`, () =>
                poll(seconds, async () => {
                    const seen = await find(id);
                    // As the official provider does, whose state is then refreshed.
                    if (!seen)
                        throw new Error(
                            "unexpected state 'Not Found', wanted target 'false'. last error: %!s(<nil>)",
                        );
                    return seen.locked ? undefined : { done: undefined };
                }),
            );
            await explain("deleting droplet", async () => {
                await client.delete(path(id));
                await poll(60, async () => ((await find(id)) ? undefined : { done: undefined }));
            });
        },
    };
}

function sha1(text: string): string {
    return createHash("sha1").update(text).digest("hex");
}

function createBody(given: Properties): object {
    return {
        name: given.name,
        region: given.region ?? "",
        size: given.size,
        image: numberOrText(given.image),
        ssh_keys: strings(given.sshKeys).map(numberOrText),
        backups: false,
        ipv6: false,
        monitoring: given.monitoring,
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
        backupPolicy: null,
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
    { timeoutSeconds }: Call,
): Promise<void> {
    const run = (body: { type: string } & Properties): Promise<void> =>
        act(client, `/v2/droplets/${id}/actions`, body, timeoutSeconds);
    const { name = null, size = null, resizeDisk: disk = null } = news;
    if (text(olds.size).toLowerCase() !== text(size).toLowerCase()) {
        await explain("resizing droplet", async () => {
            await run({ type: "power_off" });
            try {
                await run({ type: "resize", size, disk });
            } finally {
                await run({ type: "power_on" });
            }
        });
    }
    if (olds.name !== name) await explain("renaming droplet", () => run({ type: "rename", name }));
    await explain("updating tags", () => retag(client, id, strings(olds.tags), strings(news.tags)));
}

async function retag(client: Client, id: string, olds: string[], news: string[]): Promise<void> {
    const resources = [{ resource_id: id, resource_type: "droplet" }];
    const path = (tag: string): string => `/v2/tags/${encodeURIComponent(tag)}/resources`;
    for (const tag of olds.filter((old) => !news.includes(old)))
        await client.delete(path(tag), { body: { resources } });
    for (const tag of news.filter((wanted) => !olds.includes(wanted))) {
        await client.post("/v2/tags", { name: tag });
        await client.post(path(tag), { resources });
    }
}
