import pLimit, { type LimitFunction } from "p-limit";

import type { Resource } from "../resource.ts";
import { text, type Properties } from "../values.ts";
import { ApiError, type Client } from "./client.ts";
import { explain, poll } from "./poll.ts";
import { nonEmpty } from "./properties.ts";
import { restResource, type Rest } from "./rest.ts";

interface ApiVpc {
    id: string;
    urn: string;
    name: string;
    description: string;
    region: string;
    ip_range: string;
    default: boolean;
    created_at: string;
}

// https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/vpc/resource_vpc.go
const VPC: Rest<ApiVpc> = {
    noun: "VPC",
    bridge: { renamed: { vpcUrn: "urn" }, timeouts: { delete: 120 } },
    path: "/v2/vpcs",
    key: "vpc",
    inputs: {
        name: { type: "string", autoName: true, validate: nonEmpty },
        region: { type: "string", required: true, forceNew: true, validate: nonEmpty },
        description: { type: "string" },
        ipRange: { type: "string", computed: true, forceNew: true },
    },
    outputs: ["createdAt", "default", "vpcUrn"],
    id: ({ id }) => id,
    state: (seen) => ({
        name: seen.name,
        region: seen.region,
        description: seen.description,
        ipRange: seen.ip_range,
        vpcUrn: seen.urn,
        default: seen.default,
        // As Go prints a time, which is what the official provider keeps.
        createdAt: seen.created_at.replace("T", " ").replace(/Z$/, " +0000 UTC"),
    }),
    body: ({ name, region, description, ipRange }) => ({ name, region, description, ip_range: ipRange }),
    changes: ({ name, description }, olds) => ({
        name,
        description: description ?? "",
        default: olds.default,
    }),
};

/** `getVpc({ id })`, or `getVpc({ region })`: its default VPC. */
export async function getVpc(client: Client, { id, region, name }: Properties): Promise<Properties> {
    if (name !== undefined)
        throw new Error("getVpc finds a VPC by its id, or a region's default, with the offline engine");
    const found = await explain("retrieving VPC", async () => {
        if (id !== undefined) return (await client.get<{ vpc: ApiVpc }>(`${VPC.path}/${text(id)}`)).vpc;
        const all = await client.list<ApiVpc>(VPC.path, "vpcs");
        const seen = all.find((one) => one.default && one.region === region);
        if (!seen) throw new Error(`unable to find default VPC in ${text(region)} region`);
        return seen;
    });
    return { ...VPC.state(found), id: found.id };
}

export function vpc(client: Client): Resource {
    const rest = restResource(client, VPC);
    // Two at once may be given the same range.
    const perRegion = new Map<string, LimitFunction>();
    return {
        ...rest,
        create(given, call) {
            const region = text(given.region);
            const oneAtATime = perRegion.get(region) ?? pLimit(1);
            perRegion.set(region, oneAtATime);
            return oneAtATime(() => rest.create(given, call));
        },
        // Members that are being deleted still count for a while.
        delete: (id, _state, { timeoutSeconds = 120 }) =>
            explain("deleting VPC", () =>
                poll(timeoutSeconds, () =>
                    client.delete(`${VPC.path}/${id}`).then(
                        () => ({ done: undefined }),
                        (error: unknown) => {
                            if (error instanceof ApiError && [403, 409].includes(error.status)) return error;
                            throw error;
                        },
                    ),
                ),
            ),
    };
}
