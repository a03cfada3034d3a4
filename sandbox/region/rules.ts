import net from "node:net";
import type { Instance } from "../instance.ts";
import type { Cloud, Droplet, Firewall, FirewallRule } from "../model.ts";
import {
    AUTHORITY_IN_ROUTER,
    METADATA_ADDRESS,
    MIRROR_PORT,
    portsOf,
    UPLINK_IN_ROUTER,
    uplinkOf,
} from "./names.ts";

/**
 * The router's nft table: cloud firewalls, VPC isolation and reserved IPs, as one transaction that replaces
 * all rules at once. The table itself is never deleted: between its end and its rebirth packets would be lost.
 * The text is the same for the same cloud, whatever the order of its lists.
 *
 * Two base chains see every new flow between droplets, so that it needs the consent of both ends: `outbound`
 * asks the sender's firewalls, `inbound` the receiver's (an accept ends only its own chain). Flows that exist go
 * on when rules change: these firewalls are stateful, and DigitalOcean does not say that it cuts any.
 * https://docs.digitalocean.com/products/networking/firewalls/
 */
export function renderRules(cloud: Cloud, instance: Instance): string {
    const reservedIps = reservedIpPairs(cloud);
    const open = cloud.droplets.filter((droplet) => !cloud.firewalls.some((fw) => isAttached(fw, droplet)));
    const ofKnownFlow = "ct state established,related accept";
    const internet = `{ "${UPLINK_IN_ROUTER}", "${AUTHORITY_IN_ROUTER}" }`;
    const dns = "meta l4proto { tcp, udp } th dport 53";

    return renderTable(instance.id, {
        "prerouting { type nat hook prerouting priority dstnat; policy accept;": [
            // The resolver has an address that the host and the authority can reach.
            `iifname ${internet} ip daddr ${instance.addresses.uplinkRouter} ${dns} dnat ip to ${METADATA_ADDRESS}`,
            ...about(
                reservedIps.map(([ip, anchor]) => `${ip} : ${anchor}`),
                (map) => `dnat ip to ip daddr map ${map}`,
            ),
        ],
        "postrouting { type nat hook postrouting priority srcnat; policy accept;": about(
            reservedIps.map(([ip, anchor]) => `${anchor} : ${ip}`),
            (map) => `snat ip to ip saddr map ${map}`,
        ),
        "input { type filter hook input priority filter; policy drop;": [
            ofKnownFlow,
            'iifname "lo" accept',
            "icmp type echo-request accept",
            `iifname "p*" ip daddr ${METADATA_ADDRESS} tcp dport { 80, ${MIRROR_PORT} } accept`,
            `iifname "p*" ip daddr ${METADATA_ADDRESS} ${dns} accept`,
            `iifname ${internet} ip daddr ${METADATA_ADDRESS} ct status dnat ${dns} accept`,
            // A prompt "no" lets a program in a droplet fail at once; clients outside see silence, as in reality.
            `iifname != "${UPLINK_IN_ROUTER}" reject with icmpx admin-prohibited`,
        ],
        "outbound { type filter hook forward priority filter - 10; policy drop;": [
            ofKnownFlow,
            "ct state invalid drop",
            `iifname ${internet} accept`,
            ...about(open.flatMap(outsidePorts), (ports) => `iifname ${ports} accept`),
            ...firewallRules(cloud, "outbound"),
        ],
        "inbound { type filter hook forward priority filter; policy drop;": [
            ofKnownFlow,
            `iifname "p*" oifname "${AUTHORITY_IN_ROUTER}" tcp dport 443 accept`,
            `oifname ${internet} reject with icmpx admin-prohibited`,
            // Nobody but a reserved IP reaches a droplet by its anchor address.
            // https://docs.digitalocean.com/products/networking/reserved-ips/how-to/find-anchor-ips/
            `ip daddr ${instance.addresses.anchorCidr} ct status ! dnat drop`,
            'iifname "v*" jump same_vpc',
            'iifname != "v*" oifname "v*" drop',
            ...about(open.flatMap(outsidePorts), (ports) => `oifname ${ports} accept`),
            ...firewallRules(cloud, "inbound"),
        ],
        "same_vpc {": [
            ...cloud.vpcs.map(({ ipRange }) => `ip saddr ${ipRange} ip daddr ${ipRange} return`).sort(),
            "drop",
        ],
    });
}

/**
 * The host's nft table: whatever happens to links and routes, nothing leaves for this instance's addresses but
 * over the uplink, nothing that a droplet starts comes in, and the host forwards nothing for it.
 */
export function renderHostGuard(instance: Instance): string {
    const { publicCidr, uplinkCidr } = instance.addresses;
    const uplink = uplinkOf(instance);
    return renderTable(instance.id, {
        "output { type filter hook output priority filter; policy accept;": [
            `ip daddr { ${publicCidr}, ${uplinkCidr} } oifname != { "${uplink}", "lo" } reject`,
        ],
        "input { type filter hook input priority filter; policy accept;": [
            `iifname "${uplink}" ct state != { established, related } drop`,
        ],
        "forward { type filter hook forward priority filter; policy accept;": [
            `iifname "${uplink}" drop`,
            `oifname "${uplink}" drop`,
        ],
    });
}

/** Each reserved IP that a droplet holds, and the anchor address it leads to; sorted. */
export function reservedIpPairs(cloud: Cloud): [ip: string, anchorIp: string][] {
    const pairs = cloud.reservedIps.flatMap(({ ip, dropletId }): [string, string][] => {
        const holder = cloud.droplets.find((droplet) => droplet.id === dropletId);
        return holder ? [[ip, holder.anchorIp]] : [];
    });
    return pairs.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A flushed table keeps its chains and hooks; the rules that follow arrive in the same transaction. */
function renderTable(name: string, chains: Record<string, string[]>): string {
    const body = Object.entries(chains).map(([head, rules]) =>
        [`    chain ${head}`, ...rules.map((rule) => `        ${rule}`), "    }"].join("\n"),
    );
    return `table inet ${name}\nflush table inet ${name}\ntable inet ${name} {\n${body.join("\n")}\n}\n`;
}

/** A rule about a set (or map); about nobody there is none, as nft knows no empty set. */
function about(elements: string[], rule: (set: string) => string): string[] {
    return elements.length === 0 ? [] : [rule(`{ ${[...new Set(elements)].sort().join(", ")} }`)];
}

function firewallRules(cloud: Cloud, direction: "inbound" | "outbound"): string[] {
    const [port, peer] = direction === "inbound" ? ["oifname", "saddr"] : ["iifname", "daddr"];
    const rules = cloud.firewalls.flatMap((firewall) => {
        const members = cloud.droplets
            .filter((droplet) => isAttached(firewall, droplet))
            .flatMap(outsidePorts);
        return firewall[direction].flatMap((rule) =>
            about(peers(rule, cloud.droplets), (addresses) =>
                about(
                    members,
                    (ports) => `${port} ${ports} ip ${peer} ${addresses} ${traffic(rule)} accept`,
                ).join(),
            ),
        );
    });
    return [...new Set(rules)].filter(Boolean).sort();
}

/** By id or by tag; the rules of all firewalls that are attached add up. */
function isAttached(firewall: Firewall, droplet: Droplet): boolean {
    return (
        firewall.dropletIds.includes(droplet.id) || firewall.tags.some((tag) => droplet.tags.includes(tag))
    );
}

function outsidePorts(droplet: Droplet): string[] {
    return Object.values(portsOf(droplet.id)).map((port) => port.outside);
}

/** The IPv4 addresses and ranges that a rule names; a droplet stands for all of its addresses. */
function peers(rule: FirewallRule, droplets: Droplet[]): string[] {
    const named = droplets.filter(
        ({ id, tags }) => rule.dropletIds.includes(id) || rule.tags.some((tag) => tags.includes(tag)),
    );
    return withoutOverlaps([
        ...rule.addresses,
        ...named.flatMap(({ publicIp, privateIp, anchorIp }) => [publicIp, privateIp, anchorIp]),
    ]);
}

/** Drops IPv6, and what lies in a wider range of the list: nft refuses a set whose elements overlap. */
function withoutOverlaps(addresses: string[]): string[] {
    const covered = new net.BlockList();
    return addresses
        .map((range) => {
            const [address = "", bits = "32"] = range.split("/");
            return { range, address, bits: Number(bits) };
        })
        .filter(({ address }) => net.isIPv4(address))
        .sort((a, b) => a.bits - b.bits)
        .filter(({ address, bits }) => {
            if (covered.check(address)) return false;
            covered.addSubnet(address, bits);
            return true;
        })
        .map(({ range }) => range);
}

function traffic({ protocol, ports }: FirewallRule): string {
    return protocol === "icmp" || ports === "all" ? `meta l4proto ${protocol}` : `${protocol} dport ${ports}`;
}
