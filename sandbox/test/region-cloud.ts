import type { Instance } from "../instance.ts";
import type { Cloud, Droplet, Firewall, FirewallRule } from "../model.ts";

/** Two VPCs; a load balancer and two web servers in the first, a stranger in the second; no firewall. */
export function exampleCloud(instance: Instance): Cloud {
    const subnet = instance.addresses.publicCidr.replace(/0\/24$/, "");
    const droplet = (id: number, tags: string[], vpc: "blue" | "red"): Droplet => ({
        id,
        name: `droplet-${id}`,
        hostname: `droplet-${id}`,
        region: "fra1",
        size: "s-1vcpu-1gb",
        diskGiB: 25,
        image: { slug: "debian-12-x64" },
        status: "active",
        locked: false,
        createdAt: "2025-01-01T00:00:00Z",
        vpcUuid: vpc,
        tags,
        sshKeyIds: [77],
        userData: `#cloud-config\n# ${id}\n`,
        features: ["private_networking"],
        publicIp: `${subnet}${id}`,
        privateIp: vpc === "blue" ? `10.114.0.${id}` : `10.114.16.${id}`,
        anchorIp: `10.17.0.${id}`,
    });
    const vpc = (id: string, ipRange: string) => ({
        id,
        name: id,
        description: "",
        region: "fra1",
        ipRange,
        default: id === "blue",
        createdAt: "2025-01-01T00:00:00Z",
    });
    return {
        droplets: [
            droplet(5, ["lb"], "blue"),
            droplet(6, ["web"], "blue"),
            droplet(7, ["web"], "blue"),
            droplet(8, [], "red"),
        ],
        vpcs: [vpc("blue", "10.114.0.0/20"), vpc("red", "10.114.16.0/20")],
        firewalls: [],
        reservedIps: [{ ip: `${subnet}200`, region: "fra1", dropletId: null }],
        sshKeys: [{ id: 77, name: "me", publicKey: "ssh-ed25519 AAAA me", fingerprint: "f" }],
        snapshots: [],
        actions: [],
        tags: ["lb", "web"],
        domains: [],
        alertPolicies: [],
        uptimeChecks: [],
        nextId: 100,
    };
}

export function firewall(
    name: string,
    attachedTo: { dropletIds?: number[]; tags?: string[] },
    rules: { inbound?: FirewallRule[]; outbound?: FirewallRule[] },
): Firewall {
    return {
        id: name,
        name,
        createdAt: "2025-01-01T00:00:00Z",
        dropletIds: [],
        tags: [],
        inbound: [],
        outbound: [],
        ...attachedTo,
        ...rules,
    };
}

export function rule(
    protocol: FirewallRule["protocol"],
    ports: string,
    peers: Partial<Pick<FirewallRule, "addresses" | "dropletIds" | "tags">>,
): FirewallRule {
    return { protocol, ports, addresses: [], dropletIds: [], tags: [], ...peers };
}

/** Everyone, as rules are usually written. */
export const EVERYONE = { addresses: ["0.0.0.0/0", "::/0"] };
/** The outbound rules of most firewalls. */
export const ALL_OUT = [
    rule("tcp", "all", EVERYONE),
    rule("udp", "all", EVERYONE),
    rule("icmp", "", EVERYONE),
];

export function dropletOf(cloud: Cloud, id: number): Droplet {
    const found = cloud.droplets.find((droplet) => droplet.id === id);
    if (!found) throw new Error(`no droplet ${id} in the example`);
    return found;
}

/** The same cloud with its one reserved IP at a droplet. */
export function withReservedIp(cloud: Cloud, dropletId: number | null): Cloud {
    return { ...cloud, reservedIps: cloud.reservedIps.map((reservedIp) => ({ ...reservedIp, dropletId })) };
}
