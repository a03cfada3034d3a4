import type { Resource } from "../resource.ts";
import { isEmpty, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { act, explain } from "./poll.ts";
import { lowerCase, nonEmpty } from "./properties.ts";
import type { Rest } from "./rest.ts";

interface ApiReservedIp {
    ip: string;
    region: { slug: string };
    droplet: { id: number } | null;
}

const path = (ip: Value | undefined): string => `/v2/reserved_ips/${text(ip)}`;

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/reservedip/resource_reserved_ip.go */
export const RESERVED_IP: Rest<ApiReservedIp> = {
    noun: "reserved IP",
    bridge: { renamed: { reservedIpUrn: "urn" } },
    path: "/v2/reserved_ips",
    key: "reserved_ip",
    inputs: {
        region: { type: "string", required: true, forceNew: true, stored: lowerCase },
        ipAddress: { type: "string", computed: true },
    },
    outputs: ["reservedIpUrn"],
    id: ({ ip }) => ip,
    state: ({ ip, region }) => ({
        // Of an assignment that is this resource's own: ours are resources by themselves.
        dropletId: null,
        ipAddress: ip,
        reservedIpUrn: `do:reservedip:${ip}`,
        region: region.slug,
    }),
    body: ({ region }) => ({ region }),
};

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/reservedip/resource_reserved_ip_assignment.go */
export function reservedIpAssignment(client: Client): Resource {
    const isOurs = async ({ ipAddress, dropletId }: Properties): Promise<boolean> => {
        const found = await explain("retrieving reserved IP", () =>
            client.find<{ reserved_ip: ApiReservedIp }>(path(ipAddress)),
        );
        return found?.reserved_ip.droplet?.id === Number(dropletId);
    };
    return {
        bridge: {},
        inputs: {
            ipAddress: { type: "string", required: true },
            dropletId: { type: "integer", required: true, validate: nonEmpty },
        },
        outputs: [],
        async create({ ipAddress, dropletId }) {
            const body = { type: "assign", droplet_id: Number(dropletId) };
            await explain("assigning reserved IP", () => act(client, `${path(ipAddress)}/actions`, body));
            const id = `${text(dropletId)}-${text(ipAddress)}-${Date.now()}`;
            return { id, outputs: () => Promise.resolve({}) };
        },
        async read(_id, state) {
            if (isEmpty(state.ipAddress))
                throw new Error("an assignment can't be imported with the offline engine");
            return (await isOurs(state)) ? state : undefined;
        },
        // It may have moved on to another droplet since: then it is not ours to take away.
        async delete(_id, state) {
            if (!(await isOurs(state))) return;
            const url = `${path(state.ipAddress)}/actions`;
            await explain("unassigning reserved IP", () => act(client, url, { type: "unassign" }));
        },
    };
}
