import type { HaproxyServer } from "../live/haproxy";
import type { Live, LiveDroplet } from "../live/pool";
import { partOf } from "../live/left";

/** One line of the table; unhealthy ones are to be seen at once. */
export interface StatusRow {
    healthy: boolean;
    cells: string[];
}

/** The table's head. */
export const columns = [
    "server",
    "droplet",
    "address",
    "size",
    "droplet is",
    "what it does",
    "HAProxy says",
    "requests now",
    "in all",
    "failed",
];

/** The table of `make status`: every droplet of the stack, then servers to which no droplet belongs. */
export function statusRows({ droplets, haproxy }: Live): StatusRow[] {
    const servers = haproxy === undefined || haproxy instanceof Error ? [] : (haproxy.servers ?? []);
    const strangers = servers.filter((server) => !droplets.some((droplet) => droplet.haproxy === server));
    return [
        ...droplets.map((droplet) => ({
            healthy: isHealthy(droplet),
            cells: [
                droplet.name,
                droplet.id,
                droplet.address || "-",
                droplet.size,
                droplet.status,
                partOf(droplet),
                ...haproxyCells(droplet),
            ],
        })),
        ...strangers.map((server) => ({
            healthy: false,
            cells: [server.name, "?", server.address, "?", "gone", "not in the stack", ...cellsOf(server)],
        })),
    ];
}

function isHealthy({ status, urn, serves, leaves, isLoadBalancer, haproxy }: LiveDroplet): boolean {
    if (status !== "active" || urn === undefined || leaves || serves !== true) return false;
    return isLoadBalancer || haproxy?.status.startsWith("UP") === true;
}

function haproxyCells({ haproxy, isLoadBalancer, serves }: LiveDroplet): string[] {
    if (haproxy) return cellsOf(haproxy);
    if (isLoadBalancer) return ["-", "-", "-", "-"];
    return serves === undefined ? ["?", "?", "?", "?"] : ["not in service", "-", "-", "-"];
}

function cellsOf({ status, current, total, failed }: HaproxyServer): string[] {
    return [status, String(current), String(total), String(failed)];
}
