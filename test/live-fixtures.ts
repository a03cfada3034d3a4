import { generationIn, renderHaproxyConfig } from "../components/haproxy/render";
import type { Inventory, ListedDroplet } from "../tools/live/account";
import type { LiveHaproxy } from "../tools/live/haproxy";
import type { ServerReading } from "../tools/live/reading";
import type { Leftover, StackState, StateResource } from "../tools/pulumi/state";
import { resource } from "./plan-fixtures";
import { haproxySettings } from "./haproxy-settings";

/** An account that has nothing. */
export const emptyInventory: Inventory = {
    ...{ droplets: [], firewalls: [], keys: [], vpcs: [], reservedIps: [], tags: [] },
    ...{ alerts: [], uptimeChecks: [], uptimeAlerts: [] },
};

export const emptyState: StackState = { resources: [], leftovers: [], pending: [] };

/** A droplet as a state has it. */
export function stateDroplet(name: string, id: string, address: string): StateResource {
    const inputs = { size: "s-1vcpu-1gb", tags: ["dropscale-prod-backend"] };
    const outputs = { ipv4AddressPrivate: address, ipv4Address: address.replace(/^10\./, "198.") };
    return { ...resource("digitalocean:index/droplet:Droplet", name, inputs, outputs), id };
}

/** The same, with a successor. */
export function leftover(name: string, id: string, address: string): Leftover {
    const { urn, type, inputs, outputs = {} } = stateDroplet(name, id, address);
    return { urn, name, type, id, ...(inputs && { inputs }), outputs };
}

/** A droplet as the API has it. */
export function listed(id: number, address: string, name = `droplet-${id}`): ListedDroplet {
    const v4 = [
        { type: "private", ip_address: address },
        { type: "public", ip_address: address.replace(/^10\./, "198.") },
    ];
    return {
        ...{ id, name, status: "active", size_slug: "s-1vcpu-1gb", size: { price_monthly: 6 } },
        ...{ created_at: "2026-01-02T03:04:05Z", tags: ["dropscale-prod-backend"], vpc_uuid: "v" },
        networks: { v4 },
    };
}

/** haproxy.cfg of these servers. */
export function haproxyText(addresses: readonly string[]): string {
    const servers = addresses.map((address, slot) => ({ name: `web-${slot}`, address }));
    return renderHaproxyConfig({ ...haproxySettings, servers });
}

/** An HAProxy that runs what its file says. */
export function haproxyOf(
    servers: readonly ServerReading[] | readonly string[],
    more: Partial<LiveHaproxy> = {},
): LiveHaproxy {
    const all = servers.map((server) => (typeof server === "string" ? serverAt(server) : server));
    const text = haproxyText(all.map(({ address }) => address));
    return {
        ...{ host: ["198.0.0.1"], text, generation: generationIn(text), servers: all },
        ...{ draining: [], isApplying: false, heartbeat: undefined },
        ...more,
    };
}

/** A server of HAProxy's, which is UP and idle. */
export function serverAt(address: string, more: Partial<ServerReading> = {}): ServerReading {
    const status = more.status ?? "UP";
    return {
        ...{ name: "web-0", slot: 0, address, status, isUp: status.startsWith("UP"), check: "L7OK" },
        ...{ statusSeconds: 900, running: 0, requestsPerSecond: 0, responseMs: 0, failures: 0, requests: 0 },
        ...more,
    };
}
