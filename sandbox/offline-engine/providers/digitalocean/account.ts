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
    bridge: { timeouts: { create: 120 } },
    path: "/v2/account/keys",
    key: "ssh_key",
    inputs: {
        name: { type: "string", autoName: true, validate: nonEmpty },
        publicKey: { type: "string", required: true, forceNew: true, stored: trim, validate: nonEmpty },
    },
    outputs: ["fingerprint"],
    id: ({ id }) => String(id),
    state: ({ name, fingerprint, public_key }) => ({ name, fingerprint, publicKey: trim(public_key) }),
    body: ({ name, publicKey }) => ({ name, public_key: publicKey }),
    changes: ({ name }) => ({ name }),
};

function trim(key: string): string {
    return key.trim();
}

/** What a tag can be on. */
const KINDS = ["droplets", "images", "volumes", "volume_snapshots", "databases"] as const;

/** `volumeSnapshotsCount` for `volume_snapshots`. */
const countName = (kind: string): string =>
    `${kind.replace(/_./g, (match) => match.slice(1).toUpperCase())}Count`;

interface ApiTag {
    name: string;
    resources?: { count: number } & Partial<Record<(typeof KINDS)[number], { count: number }>>;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/resource_tag.go */
export const TAG: Rest<ApiTag> = {
    noun: "tag",
    bridge: {},
    path: "/v2/tags",
    key: "tag",
    inputs: { name: { type: "string", autoName: true, validate: tagName } },
    outputs: ["totalResourceCount", ...KINDS.map(countName)],
    id: ({ name }) => name,
    state: ({ name, resources }) => ({
        name,
        totalResourceCount: resources?.count ?? 0,
        ...Object.fromEntries(KINDS.map((kind) => [countName(kind), resources?.[kind]?.count ?? 0])),
    }),
    body: ({ name }) => ({ name }),
};
