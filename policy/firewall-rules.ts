import { isIPv6 } from "node:net";
import { isIpv4Range, isOpenToAll, mostAdminAddresses } from "../lib/ipv4-ranges";
import { isLoadBalancer } from "../lib/identity";
import type { DropletFacts, Facts, FirewallFacts, InboundRule } from "./facts";
import { type Finding, place } from "./finding";
import type { Limits } from "./limits";

/** Whether a firewall admits SSH from more of the Internet than the limits allow. */
export function openSsh(
    { name, inbound }: FirewallFacts,
    { sshFromAnywhere, stack }: Facts,
    limits: Limits,
    unknown: (why: string) => void,
): Finding[] {
    if (inbound === undefined) unknown(`the inbound rules of firewall ${name} are not known yet`);
    const sources = (inbound ?? []).filter(admitsSsh).flatMap(({ sourceAddresses = [] }) => sourceAddresses);
    const open = openRanges(sources);
    if (open.length === 0 || (sshFromAnywhere && limits.sshFromAnywhere === "if-configured")) return [];
    const limit = `set ${place("sshFromAnywhere", stack)} to if-configured`;
    return [
        {
            found: `firewall ${name} admits SSH from ${open.join(", ")}`,
            allowed: most,
            fix: sshFromAnywhere
                ? `take dropscale:sshFromAnywhere out of the stack's config, or ${limit}`
                : `name your own addresses in dropscale:adminCidrs${limits.sshFromAnywhere === "never" ? "" : ", or say that it is meant: dropscale:sshFromAnywhere"}`,
        },
    ];
}

/** Whether the servers answer to more than their load balancer, and the hosts that somebody has named. */
export function openBackends(
    { name, tags, inbound }: FirewallFacts,
    { droplets }: Facts,
    unknown: (why: string) => void,
): Finding[] {
    // By their own names: of a component with outputs, a stack's policy sees these alone.
    const pool = droplets.filter((droplet) => !isLoadBalancer(droplet));
    if (!tags || !inbound || pool.some((droplet) => !droplet.tags)) {
        if (pool.length > 0) unknown(`whom firewall ${name} lets in to the servers is not known yet`);
        return [];
    }
    if (!pool.some((droplet) => droplet.tags?.some((tag) => tags.includes(tag)))) return [];
    const open = openRanges(inbound.flatMap(({ sourceAddresses = [] }) => sourceAddresses));
    if (open.length === 0) return [];
    return [
        {
            found: `firewall ${name} opens the servers to ${open.join(", ")}`,
            allowed: most,
            fix: "name the hosts' own addresses, or a tag of theirs, in dropscale:backendSources",
        },
    ];
}

/** The largest ranges that one organization was ever given: https://www.iana.org/numbers/allocations/ */
const widestIpv6Bits = 16;

const most = `at most ${mostAdminAddresses} IPv4 addresses in all, and IPv6 ranges of /${widestIpv6Bits} and smaller`;

/** Those of the ranges that open more than anybody's own network. */
function openRanges(cidrs: readonly string[]): string[] {
    const ipv4 = cidrs.filter(isIpv4Range);
    const ipv6 = cidrs.filter((cidr) => {
        const [address = "", bits] = cidr.split("/");
        return isIPv6(address) && bits !== undefined && Number(bits) < widestIpv6Bits;
    });
    return [...(isOpenToAll(ipv4) ? ipv4 : []), ...ipv6];
}

function admitsSsh({ protocol, portRange = "all" }: InboundRule): boolean {
    if (protocol !== "tcp") return false;
    if (portRange === "all" || portRange === "0" || portRange === "") return true;
    const [from, to = from] = portRange.split("-").map(Number);
    return from !== undefined && to !== undefined && from <= 22 && 22 <= to;
}

/** Whether no firewall holds for a droplet by one of its tags. */
export function unguarded(
    { name, tags }: DropletFacts,
    firewalls: readonly FirewallFacts[],
    unknown: (why: string) => void,
): Finding[] {
    const mayGuard = firewalls.filter(
        (firewall) => !tags || !firewall.tags || firewall.tags.some((tag) => tags.includes(tag)),
    );
    if (tags && mayGuard.some((firewall) => firewall.tags && firewall.inbound?.length)) return [];
    if (!tags || mayGuard.some((firewall) => !firewall.tags || !firewall.inbound)) {
        unknown(`whether a firewall holds for ${name} is not known yet`);
        return [];
    }
    return [
        {
            found: `no firewall holds for ${name} (its tags: ${tags.join(", ") || "none"})`,
            allowed: "droplets with a tag of a firewall that has inbound rules",
            fix: `give ${name} a tag of components/network.ts, or a firewall of its own by tag`,
        },
    ];
}
