import { identityOf } from "../../lib/identity";
import { listAll } from "./api";

/** What the account has; fields as the API names them. */
export interface Inventory {
    /** All of the account: a load balancer may have lost its tag, and a VPC may have anybody's. */
    droplets: {
        id: number;
        name: string;
        created_at: string;
        tags: string[];
        vpc_uuid: string;
        networks: { v4: { ip_address: string; type: string }[] };
    }[];
    firewalls: {
        id: string;
        name: string;
        created_at: string;
        tags: string[] | null;
        droplet_ids: number[] | null;
        inbound_rules: (FirewallRule & { sources: FirewallPeers })[] | null;
        outbound_rules: (FirewallRule & { destinations: FirewallPeers })[] | null;
    }[];
    /** The API does not say when a key was made. */
    keys: { id: number; name: string; public_key: string }[];
    vpcs: { id: string; name: string; description: string; created_at: string; default: boolean }[];
    reservedIps: { ip: string; droplet: { id: number } | null }[];
}

export type Droplet = Inventory["droplets"][number];
/** A droplet as a list has it. */
export type ListedDroplet = Droplet & {
    status: string;
    size_slug: string;
    /** In USD. */
    size?: { price_monthly: number };
};
export type Firewall = Inventory["firewalls"][number];

interface FirewallRule {
    protocol: string;
    /** `22`, `8000-9000`; the API says `0` for all. */
    ports?: string;
}

/** Whom a rule names, by kind: `addresses`, `tags`, `droplet_ids`, … */
export type FirewallPeers = Readonly<Record<string, readonly (string | number)[] | null | undefined>>;

/** All droplets of the account, 200 a request. @throws as {@link listAll} */
export function readDroplets(): Promise<ListedDroplet[]> {
    return listAll<ListedDroplet>("droplets", "droplets");
}

/**
 * Those with one of a stack's tags: 6 requests for 1,000 servers, whatever else the account has.
 *
 * @param prefix `<namePrefix>-<stack>`.
 * @throws as {@link listAll}
 */
export async function readTaggedDroplets(prefix: string): Promise<ListedDroplet[]> {
    const { backendTag, loadBalancerTag } = identityOf(prefix);
    const lists = [backendTag, loadBalancerTag].map((tag) =>
        listAll<ListedDroplet>(`droplets?tag_name=${tag}`, "droplets"),
    );
    return (await Promise.all(lists)).flat();
}

/**
 * @param all What {@link readDroplets} returned, where it serves for more. @default they are asked for
 * @throws as {@link listAll}
 */
export async function readInventory(all: Promise<Droplet[]> = readDroplets()): Promise<Inventory> {
    const [droplets, firewalls, keys, vpcs, reservedIps] = await Promise.all([
        all,
        listAll<Firewall>("firewalls", "firewalls"),
        listAll<Inventory["keys"][number]>("account/keys", "ssh_keys"),
        listAll<Inventory["vpcs"][number]>("vpcs", "vpcs"),
        listAll<Inventory["reservedIps"][number]>("reserved_ips", "reserved_ips"),
    ]);
    return { droplets, firewalls, keys, vpcs, reservedIps };
}
