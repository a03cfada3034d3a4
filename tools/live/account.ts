import { dropletTags, identityOf, types } from "../../lib/identity";
import type { Deployment } from "../pulumi/state";
import { ApiRefusal, listAll } from "./api";

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
    /** The API does not say when one was made. */
    tags: { name: string }[];
    /** The API does not say when alerts and checks were made. None where the token may not see them. */
    alerts: { uuid: string; description: string; tags: string[] | null }[];
    uptimeChecks: { id: string; name: string }[];
    /** Of the stack's own checks; `check` is the id of one. */
    uptimeAlerts: { id: string; name: string; check: string }[];
}

export type Droplet = Inventory["droplets"][number];
export type ListedDroplet = Droplet & {
    status: string;
    size_slug: string;
    size?: { price_monthly: number };
};
export type Firewall = Inventory["firewalls"][number];

export interface FirewallRule {
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
 * @param adminHost Admin hosts, too: one request more. @default false
 */
export async function readTaggedDroplets(prefix: string, adminHost = false): Promise<ListedDroplet[]> {
    const { adminHostTag } = identityOf(prefix);
    const lists = dropletTags(prefix)
        .filter((tag) => adminHost || tag !== adminHostTag)
        .map((tag) => listAll<ListedDroplet>(`droplets?tag_name=${tag}`, "droplets"));
    return (await Promise.all(lists)).flat();
}

/** @param prefix Of the stack. @param all What {@link readDroplets} returned: it serves for more than this. */
export async function readInventory(prefix: string, all: Promise<Droplet[]>): Promise<Inventory> {
    const [droplets, firewalls, keys, vpcs, reservedIps, alerts, uptime, tags] = await Promise.all([
        all,
        listAll<Firewall>("firewalls", "firewalls"),
        listAll<Inventory["keys"][number]>("account/keys", "ssh_keys"),
        listAll<Inventory["vpcs"][number]>("vpcs", "vpcs"),
        listAll<Inventory["reservedIps"][number]>("reserved_ips", "reserved_ips"),
        listAll<Inventory["alerts"][number]>("monitoring/alerts", "policies").catch(noneIfForbidden),
        readUptime(prefix),
        listAll<Inventory["tags"][number]>("tags", "tags"),
    ]);
    return { droplets, firewalls, keys, vpcs, reservedIps, alerts, ...uptime, tags };
}

async function readUptime(prefix: string): Promise<Pick<Inventory, "uptimeChecks" | "uptimeAlerts">> {
    const checks = await listAll<Inventory["uptimeChecks"][number]>("uptime/checks", "checks").catch(
        noneIfForbidden,
    );
    const uptimeChecks = checks.filter(({ name }) => name.startsWith(identityOf(prefix).alertName("")));
    const alerts = uptimeChecks.map(async ({ id: check }) => {
        const found = await listAll<{ id: string; name: string }>(`uptime/checks/${check}/alerts`, "alerts");
        return found.map(({ id, name }) => ({ id, name, check }));
    });
    return { uptimeChecks, uptimeAlerts: (await Promise.all(alerts)).flat() };
}

/** Only a stack with `alerts` needs a token that may see them. */
function noneIfForbidden(error: unknown): never[] {
    if (error instanceof ApiRefusal && error.status === 403) return [];
    throw error;
}

/** A kind of thing: in a table, in a state, and in the API, with the answers there that only mean "not yet". */
export const kinds = {
    // 422: "Droplet already has a pending event".
    droplet: { type: types.droplet, route: "droplets", pending: [422] },
    firewall: { type: types.firewall, route: "firewalls", pending: [] },
    "SSH key": { type: types.sshKey, route: "account/keys", pending: [] },
    // As the provider does: https://github.com/digitalocean/terraform-provider-digitalocean (vpc/resource_vpc.go)
    VPC: { type: types.vpc, route: "vpcs", pending: [403, 409] },
    "reserved IP": { type: types.reservedIp, route: "reserved_ips", pending: [] },
    tag: { type: types.tag, route: "tags", pending: [] },
    alert: { type: types.monitorAlert, route: "monitoring/alerts", pending: [] },
    "uptime check": { type: types.uptimeCheck, route: "uptime/checks", pending: [] },
    "uptime alert": { type: types.uptimeAlert, route: "uptime/checks", pending: [] },
} as const;

/** Kind and id of all that a state knows, what is marked for deletion too. */
export function knownTo({ resources = [] }: Deployment): ReadonlySet<string> {
    const kindOf = new Map<string, string>(Object.entries(kinds).map(([kind, { type }]) => [type, kind]));
    return new Set(resources.map(({ type, id }) => `${kindOf.get(type) ?? ""} ${id ?? ""}`));
}

/**
 * Why the account can't be the one that a state is of: it knows none of the state's droplets. A token of another account
 * would have all of this one's things taken for orphans, and a refresh would drop all that the state knows.
 */
export function strangeAccount(
    deployment: Deployment,
    { droplets }: Pick<Inventory, "droplets">,
): string | undefined {
    const leaving = new Set(
        (deployment.pending_operations ?? [])
            .filter(({ type }) => type === "deleting")
            .map(({ resource: { id } }) => id),
    );
    const expected = (deployment.resources ?? [])
        .filter(({ type, id }) => type === types.droplet && !leaving.has(id))
        .flatMap(({ id }) => id ?? []);
    const there = new Set(droplets.map(({ id }) => String(id)));
    if (expected.length === 0 || expected.some((id) => there.has(id))) return undefined;
    return `the account has none of the ${expected.length} droplets in the state (${expected.slice(0, 3).join(", ")}${expected.length > 3 ? ", …" : ""})`;
}
