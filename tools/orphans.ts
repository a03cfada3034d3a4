import { isExpired, readAdmission } from "./admission";

/** What `pulumi stack export` has of a state. */
export interface Deployment {
    resources?: { type: string; id?: string }[];
    pending_operations?: { type: string; resource: { urn: string; inputs?: { name?: unknown } } }[];
}

/** What the account has that may be a stack's; fields as the API names them. */
export interface Inventory {
    /** Those with one of the stack's tags. */
    droplets: {
        id: number;
        name: string;
        created_at: string;
        tags: string[];
        networks: { v4: { ip_address: string; type: string }[] };
    }[];
    firewalls: { id: string; name: string; created_at: string }[];
    keys: { id: number; name: string }[];
    vpcs: { id: string; name: string; created_at: string; default: boolean }[];
    reservedIps: { ip: string; droplet: { id: number } | null }[];
}

/** Private addresses to which the load balancer sends requests, or why it could not be asked. */
export type InService = ReadonlySet<string> | Error;

/** A kind of thing: in a table, in a state, and in the API, with the answers there that only mean "not yet". */
export const kinds = {
    // 422: "Droplet already has a pending event".
    droplet: { type: "digitalocean:index/droplet:Droplet", route: "droplets", pending: [422] },
    firewall: { type: "digitalocean:index/firewall:Firewall", route: "firewalls", pending: [] },
    "SSH key": { type: "digitalocean:index/sshKey:SshKey", route: "account/keys", pending: [] },
    // As the provider does: https://github.com/digitalocean/terraform-provider-digitalocean (vpc/resource_vpc.go)
    VPC: { type: "digitalocean:index/vpc:Vpc", route: "vpcs", pending: [403, 409] },
    "reserved IP": { type: "digitalocean:index/reservedIp:ReservedIp", route: "reserved_ips", pending: [] },
} as const;

/** Something of the account that the state does not know. */
export interface Finding {
    kind: keyof typeof kinds;
    name: string;
    id: string;
    /** RFC 3339, where the API knows it. */
    created?: string;
    /** `tell`: nothing can or need be done about it here. */
    verdict: "delete" | "keep" | "tell";
    why: string;
}

/** Names and tags of a stack's things, as components/network.ts and components/deploy-key.ts make them. */
export function namesOf(prefix: string): {
    tags: [string, string];
    backendTag: string;
    loadBalancerTag: string;
} {
    const [backendTag, loadBalancerTag] = [`${prefix}-backend`, `${prefix}-load-balancer`];
    return { tags: [backendTag, loadBalancerTag], backendTag, loadBalancerTag };
}

/** Kind and id of all that a state knows, what is marked for deletion too. */
export function knownTo({ resources = [] }: Deployment): ReadonlySet<string> {
    const kindOf = new Map<string, string>(Object.entries(kinds).map(([kind, { type }]) => [type, kind]));
    return new Set(resources.map(({ type, id }) => `${kindOf.get(type) ?? ""} ${id ?? ""}`));
}

/** `creating web-3-2bc9182`: what a killed run was doing. */
export function pendingOf({ pending_operations: pending = [] }: Deployment): string[] {
    return pending.map(({ type, resource: { urn, inputs } }) => {
        const name = inputs?.name;
        return `${type} ${typeof name === "string" ? name : (urn.split("::").at(-1) ?? urn)}`;
    });
}

/** Addresses of the load balancers to ask before backends may be judged; none where nobody can depend on them. */
export function loadBalancersToAsk(
    prefix: string,
    known: ReadonlySet<string>,
    inventory: Inventory,
): string[] {
    const { backendTag } = namesOf(prefix);
    const fronts = frontsOf(inventory);
    const doubtful = inventory.droplets.some(
        ({ id, tags }) => tags.includes(backendTag) && !fronts.has(id) && !known.has(`droplet ${id}`),
    );
    return doubtful ? [...fronts.values()] : [];
}

/** Takes the addresses out of what HAProxy answers to `show servers state`. @throws Error if it is anything else. */
export function parseServersState(text: string): string[] {
    const header = text.split("\n").find((line) => line.startsWith("# "));
    const column = header?.slice(2).split(" ").indexOf("srv_addr") ?? -1;
    if (column < 0) throw new Error("HAProxy did not answer `show servers state` as expected");
    const lines = text.split("\n").filter((line) => /^\d+ \S+ \d+ /.test(line));
    return lines.map((line) => line.split(" ")[column] ?? "");
}

/**
 * What of the account is not in the state, and what is to become of it. Nothing that serves is deleted, nor, while
 * such a droplet stays, what it needs.
 *
 * @param options.known What {@link knownTo} returned.
 * @param options.inService Of the load balancers of {@link loadBalancersToAsk}.
 * @param options.giveUp Delete what serves as well.
 */
export function judge(options: {
    prefix: string;
    inventory: Inventory;
    known: ReadonlySet<string>;
    inService: InService;
    giveUp: boolean;
}): Finding[] {
    const { prefix, inventory, known } = options;
    const fronts = frontsOf(inventory);
    const unknown = <T>(kind: Finding["kind"], all: readonly T[], id: (thing: T) => string | number) =>
        all.filter((thing) => !known.has(`${kind} ${id(thing)}`));

    const droplets = unknown("droplet", inventory.droplets, ({ id }) => id).map((droplet): Finding => ({
        kind: "droplet",
        name: droplet.name,
        id: String(droplet.id),
        created: droplet.created_at,
        ...judgeDroplet(droplet, fronts.get(droplet.id), options),
    }));
    const stays = droplets.some(({ verdict }) => verdict === "keep");
    const unused = { verdict: "delete", why: "not in the state" } as const;
    const needed = { verdict: "keep", why: "needed by a droplet that stays" } as const;

    const { tags } = namesOf(prefix);
    const firewalls = unknown("firewall", inventory.firewalls, ({ id }) => id)
        .filter(({ name }) => tags.includes(name))
        .map(({ id, name, created_at: created }): Finding => {
            // A firewall holds by the tag of the same name: without it, a droplet would be open to everybody.
            const guards = inventory.droplets.some(
                (droplet) => known.has(`droplet ${droplet.id}`) && droplet.tags.includes(name),
            );
            return { kind: "firewall", name, id, created, ...(stays || guards ? needed : unused) };
        });
    const expired = inventory.firewalls
        .filter(({ name }) => isExpired(readAdmission(prefix, name)))
        .map(({ id, name, created_at: created }): Finding => ({
            kind: "firewall",
            name,
            id,
            created,
            verdict: "delete",
            why: "its run has not removed it",
        }));
    const keys = unknown("SSH key", inventory.keys, ({ id }) => id)
        .filter(({ name }) => name === prefix)
        .map(({ id, name }): Finding => ({
            kind: "SSH key",
            name,
            id: `${id}`,
            ...(stays ? needed : unused),
        }));
    // A region's default can't be deleted; the next `up` takes it over.
    const vpcs = unknown("VPC", inventory.vpcs, ({ id }) => id)
        .filter((vpc) => vpc.name === prefix && !vpc.default)
        .map(({ id, name, created_at: created }): Finding => ({
            kind: "VPC",
            name,
            id,
            created,
            ...(stays ? needed : unused),
        }));
    const reservedIps = unknown("reserved IP", inventory.reservedIps, ({ ip }) => ip).flatMap(
        ({ ip, droplet }): Finding[] => {
            const holder = inventory.droplets.find(({ id }) => id === droplet?.id);
            if (droplet && !holder) return [];
            const leaves = droplets.some(
                ({ id, verdict }) => id === String(holder?.id) && verdict === "delete",
            );
            const why = leaves
                ? `will be unassigned, and costs then: \`doctl compute reserved-ip delete ${ip}\` if you don't want it`
                : holder
                  ? `not in the state, points at ${holder.name}`
                  : "unassigned, and nothing tells whose it is";
            return [{ kind: "reserved IP", name: "", id: ip, verdict: "tell", why }];
        },
    );
    // In the order of deletion: a VPC goes when the last droplet has left it.
    return [...droplets, ...firewalls, ...expired, ...keys, ...vpcs, ...reservedIps];
}

/** Droplets with a reserved IP, and that. */
function frontsOf({ droplets, reservedIps }: Inventory): Map<number, string> {
    const ours = new Set(droplets.map(({ id }) => id));
    return new Map(
        reservedIps.flatMap(({ ip, droplet }) => (droplet && ours.has(droplet.id) ? [[droplet.id, ip]] : [])),
    );
}

function judgeDroplet(
    { tags, networks }: Inventory["droplets"][number],
    reservedIp: string | undefined,
    { prefix, inService, giveUp }: { prefix: string; inService: InService; giveUp: boolean },
): Pick<Finding, "verdict" | "why"> {
    const serving = (why: string) =>
        giveUp
            ? ({ verdict: "delete", why: `not in the state; ${why}, and is given up` } as const)
            : ({ verdict: "keep", why } as const);
    if (reservedIp !== undefined) return serving(`serves: ${reservedIp} points at it`);
    if (!tags.includes(namesOf(prefix).backendTag))
        return { verdict: "delete", why: "not in the state, and no reserved IP points at it" };
    if (inService instanceof Error)
        return serving(`may serve: the load balancer can't be asked (${inService.message})`);
    if (networks.v4.some(({ type, ip_address: address }) => type === "private" && inService.has(address)))
        return serving("serves: the load balancer sends it requests");
    return { verdict: "delete", why: "not in the state, and not in service" };
}
