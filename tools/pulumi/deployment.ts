import { isLoadBalancer, parseUrn, types } from "../../lib/identity";
import { compareTexts } from "./canonical";
import type { Inventory } from "../live/account";

/** What `pulumi stack export` has of a state. */
export interface Deployment {
    resources?: { type: string; id?: string; urn?: string }[];
    pending_operations?: {
        type: string;
        resource: { urn: string; id?: string; inputs?: { name?: unknown } };
    }[];
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
} as const;

/** Kind and id of all that a state knows, what is marked for deletion too. */
export function knownTo({ resources = [] }: Deployment): ReadonlySet<string> {
    const kindOf = new Map<string, string>(Object.entries(kinds).map(([kind, { type }]) => [type, kind]));
    return new Set(resources.map(({ type, id }) => `${kindOf.get(type) ?? ""} ${id ?? ""}`));
}

/** `creating web-3-2bc9182`: what a killed run was doing. */
export function pendingOf({ pending_operations: pending = [] }: Deployment): string[] {
    const texts = pending.map(({ type, resource: { urn, inputs } }) => {
        const name = inputs?.name;
        return `${type} ${typeof name === "string" ? name : parseUrn(urn).name}`;
    });
    return texts.sort(compareTexts);
}

/** Names in the account of the droplets that a state has as being made. */
export function dropletsInTheMaking({ pending_operations: pending = [] }: Deployment): ReadonlySet<string> {
    const made = pending.filter(
        ({ type, resource: { urn } }) => type === "creating" && parseUrn(urn).type === types.droplet,
    );
    return new Set(
        made.flatMap(({ resource: { inputs } }) => (typeof inputs?.name === "string" ? [inputs.name] : [])),
    );
}

/** Ids of the droplets that a state has as load balancers. */
export function loadBalancersOf({ resources = [] }: Deployment): ReadonlySet<string> {
    return new Set(
        resources.flatMap(({ urn = "", id }) => (isLoadBalancer(parseUrn(urn)) && id ? [id] : [])),
    );
}

/**
 * Why the account can't be the one that a state is of: it knows none of the state's droplets. A token of another account
 * would have all of this one's things taken for orphans, and a refresh would drop all that the state knows.
 */
export function strangeAccount(deployment: Deployment, { droplets }: Inventory): string | undefined {
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
