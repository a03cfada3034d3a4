import { nonEmpty, tagName } from "./properties.ts";
import type { Rest } from "./rest.ts";

interface ApiKey {
    id: number;
    name: string;
    fingerprint: string;
    public_key: string;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/sshkey/resource_ssh_key.go */
export const SSH_KEY: Rest<ApiKey> = {
    noun: "SSH key",
    path: "/v2/account/keys",
    key: "ssh_key",
    inputs: {
        name: { type: "string", autoName: true, validate: nonEmpty },
        publicKey: { type: "string", required: true, forceNew: true, stored: trim, validate: nonEmpty },
    },
    outputs: { fingerprint: "string" },
    id: ({ id }) => String(id),
    state: ({ name, fingerprint, public_key }) => ({ name, fingerprint, publicKey: trim(public_key) }),
    body: ({ name, publicKey }) => ({ name, public_key: publicKey }),
    changes: ({ name }) => ({ name }),
};

function trim(key: string): string {
    return key.trim();
}

type Count = { count: number } | undefined;
interface ApiTag {
    name: string;
    resources?: { count: number } & Partial<
        Record<"droplets" | "images" | "volumes" | "volume_snapshots" | "databases", Count>
    >;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/resource_tag.go */
export const TAG: Rest<ApiTag> = {
    noun: "tag",
    path: "/v2/tags",
    key: "tag",
    inputs: { name: { type: "string", autoName: true, validate: tagName } },
    outputs: {
        databasesCount: "integer",
        dropletsCount: "integer",
        imagesCount: "integer",
        totalResourceCount: "integer",
        volumeSnapshotsCount: "integer",
        volumesCount: "integer",
    },
    id: ({ name }) => name,
    state: ({ name, resources }) => ({
        name,
        totalResourceCount: resources?.count ?? 0,
        dropletsCount: resources?.droplets?.count ?? 0,
        imagesCount: resources?.images?.count ?? 0,
        volumesCount: resources?.volumes?.count ?? 0,
        volumeSnapshotsCount: resources?.volume_snapshots?.count ?? 0,
        databasesCount: resources?.databases?.count ?? 0,
    }),
    body: ({ name }) => ({ name }),
};
