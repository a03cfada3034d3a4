import type { Resource } from "../resource.ts";
import { text, type Properties } from "../values.ts";
import type { Client } from "./client.ts";
import { actionDone, explain, type Action } from "./poll.ts";
import { ipv4, lowerCase, nonEmpty } from "./properties.ts";

interface ApiReservedIp {
    ip: string;
    region: { slug: string };
    droplet: { id: number; region: { slug: string } } | null;
}

async function findReservedIp(client: Client, ip: string): Promise<ApiReservedIp | undefined> {
    const found = await explain("retrieving reserved IP", () =>
        client.find<{ reserved_ip: ApiReservedIp }>(`/v2/reserved_ips/${ip}`),
    );
    return found?.reserved_ip;
}

async function assign(client: Client, ip: string, dropletId: number | undefined): Promise<void> {
    const path = `/v2/reserved_ips/${ip}/actions`;
    const body = dropletId === undefined ? { type: "unassign" } : { type: "assign", droplet_id: dropletId };
    await explain(`${body.type === "assign" ? "assigning" : "unassigning"} reserved IP (${ip})`, async () => {
        const { action } = await client.post<{ action: Action }>(path, body);
        await actionDone(client, path, action.id, `${body.type} of ${ip}`);
    });
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/reservedip/resource_reserved_ip.go */
export function reservedIp(client: Client): Resource {
    const read = async (id: string, old: Properties): Promise<Properties | undefined> => {
        const found = await findReservedIp(client, id);
        if (!found) return undefined;
        const imported = Object.keys(old).length === 0;
        const holds = found.droplet !== null && (imported || Boolean(old.dropletId));
        return {
            ipAddress: found.ip,
            reservedIpUrn: `do:reservedip:${found.ip}`,
            region: holds && found.droplet ? found.droplet.region.slug : found.region.slug,
            ...(holds && found.droplet && { dropletId: found.droplet.id }),
        };
    };
    return {
        inputs: {
            region: { type: "string", required: true, forceNew: true, stored: lowerCase },
            dropletId: { type: "integer" },
            ipAddress: { type: "string", computed: true, validate: ipv4 },
        },
        outputs: { reservedIpUrn: "string" },
        async create({ region, dropletId }) {
            const { reserved_ip: created } = await explain("creating reserved IP", () =>
                client.post<{ reserved_ip: ApiReservedIp }>("/v2/reserved_ips", { region }),
            );
            const outputs = async (): Promise<Properties> => {
                if (dropletId) await assign(client, created.ip, Number(dropletId));
                return (await read(created.ip, { dropletId: dropletId ?? null })) ?? {};
            };
            return { id: created.ip, outputs };
        },
        async read(id, old) {
            const found = await read(id, old);
            return found && { id, state: found };
        },
        async update(id, olds, news) {
            if (olds.dropletId !== news.dropletId) {
                await assign(client, id, news.dropletId ? Number(news.dropletId) : undefined);
            }
            return (await read(id, { dropletId: news.dropletId ?? null })) ?? {};
        },
        async delete(id, old) {
            const holds = old.dropletId ? (await findReservedIp(client, id))?.droplet : undefined;
            if (holds) await assign(client, id, undefined);
            await explain("deleting reserved IP", () => client.delete(`/v2/reserved_ips/${id}`));
        },
    };
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/reservedip/resource_reserved_ip_assignment.go */
export function reservedIpAssignment(client: Client): Resource {
    const newId = (ip: string, dropletId: string): string => `${dropletId}-${ip}-${Date.now()}`;
    const isOurs = async (state: Properties): Promise<boolean> =>
        (await findReservedIp(client, text(state.ipAddress)))?.droplet?.id === Number(state.dropletId);
    return {
        inputs: {
            ipAddress: { type: "string", required: true, validate: ipv4 },
            dropletId: { type: "integer", required: true, validate: nonEmpty },
        },
        outputs: {},
        async create({ ipAddress, dropletId }) {
            await assign(client, text(ipAddress), Number(dropletId));
            return { id: newId(text(ipAddress), text(dropletId)), outputs: () => Promise.resolve({}) };
        },
        async read(id, old) {
            const [ip = "", droplet = ""] = id.split(",");
            const imported = old.ipAddress === undefined;
            if (imported && !/^\d+$/.test(droplet)) {
                throw new Error(
                    `an import needs the reserved IP and the droplet's id, "192.0.2.1,123", got "${id}"`,
                );
            }
            const state = imported ? { ipAddress: ip, dropletId: Number(droplet) } : old;
            if (!(await isOurs(state))) return undefined;
            return { id: imported ? newId(ip, droplet) : id, state };
        },
        // It may have moved on to another droplet since: then it is not ours to take away.
        async delete(_id, old) {
            if (await isOurs(old)) await assign(client, text(old.ipAddress), undefined);
        },
    };
}
