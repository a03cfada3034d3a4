import { identityOf, isLoadBalancer, resourceOf } from "../../lib/identity";
import type { Droplet, Inventory } from "./account";
import { carriesTagOf, doubtDroplet } from "./ownership";

/** What each load balancer said: the addresses that it sends requests to, or why it can't be asked. By droplet's id. */
export type Answers = ReadonlyMap<number, ReadonlySet<string> | Error>;

export interface Known {
    known: ReadonlySet<string>;
    loadBalancerIds: ReadonlySet<string>;
    /**
     * Names of droplets that a run was making when it was killed, by its own lock and state: no haproxy.cfg has them yet,
     * and nothing was configured on them.
     */
    neverServed: ReadonlySet<string>;
}

/**
 * The load balancers to ask before anything is judged that may serve; none where nothing is in doubt.
 *
 * A load balancer is one by its tag and its name, by the state, by a reserved IP of the state or with its tag; where all
 * of that is lost, by its name in the VPC of what is in doubt.
 */
export function loadBalancersToAsk(
    prefix: string,
    inventory: Inventory,
    { known, loadBalancerIds, neverServed }: Known,
): { id: number; address: string | undefined }[] {
    const doubtful = inventory.droplets.filter(
        (droplet) =>
            carriesTagOf(prefix, droplet) &&
            doubtDroplet(prefix, droplet) === undefined &&
            !known.has(`droplet ${droplet.id}`) &&
            !neverServed.has(droplet.name),
    );
    if (doubtful.length === 0) return [];
    const vpcs = new Set(doubtful.map(({ vpc_uuid: vpc }) => vpc));
    const fronts = frontsOf(inventory);
    const { loadBalancerTag } = identityOf(prefix);
    const shouldBeAsked = ({ id, name, tags, vpc_uuid: vpc }: Droplet) => {
        if (neverServed.has(name)) return false;
        if (loadBalancerIds.has(String(id))) return true;
        const ips = fronts.get(id) ?? [];
        if (ips.some((ip) => known.has(`reserved IP ${ip}`))) return true;
        const isNamedSo = isLoadBalancer({ name: resourceOf(name) });
        if (tags.includes(loadBalancerTag)) return isNamedSo || ips.length > 0;
        // Another stack's has that one's tag.
        const isAnothers = tags.some((tag) => tag.endsWith(identityOf("").loadBalancerTag));
        return isNamedSo && vpcs.has(vpc) && !isAnothers;
    };
    return inventory.droplets.filter(shouldBeAsked).map((droplet) => {
        const own = droplet.networks.v4.find(({ type }) => type === "public")?.ip_address;
        return { id: droplet.id, address: own ?? fronts.get(droplet.id)?.[0] };
    });
}

/** The reserved IPs of each droplet that has any. */
export function frontsOf({ reservedIps }: Pick<Inventory, "reservedIps">): ReadonlyMap<number, string[]> {
    const fronts = new Map<number, string[]>();
    for (const { ip, droplet } of reservedIps)
        if (droplet) fronts.set(droplet.id, [...(fronts.get(droplet.id) ?? []), ip]);
    return fronts;
}
