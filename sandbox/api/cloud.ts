import type { Cloud, Droplet } from "../model.ts";

/** Ids start here: short enough for the names of network interfaces, which end in one and have 15 characters. */
const firstId = 10_001;

export function emptyCloud(): Cloud {
    return {
        droplets: [],
        vpcs: [],
        firewalls: [],
        reservedIps: [],
        sshKeys: [],
        snapshots: [],
        actions: [],
        tags: [],
        domains: [],
        alertPolicies: [],
        uptimeChecks: [],
        nextId: firstId,
    };
}

/** Takes a droplet out of the cloud, and out of all that names it. */
export function forgetDroplet(cloud: Cloud, droplet: Droplet): void {
    const without = (ids: number[]) => ids.filter((id) => id !== droplet.id);
    cloud.droplets = cloud.droplets.filter((other) => other !== droplet);
    for (const reservedIp of cloud.reservedIps) {
        if (reservedIp.dropletId === droplet.id) reservedIp.dropletId = null;
    }
    for (const firewall of cloud.firewalls) {
        firewall.dropletIds = without(firewall.dropletIds);
        for (const rule of [...firewall.inbound, ...firewall.outbound])
            rule.dropletIds = without(rule.dropletIds);
    }
}

/** Now, in the API's form: whole seconds, UTC. */
export function timestamp(): string {
    return new Date().toISOString().replace(/\.\d+Z$/, "Z");
}
