/** A server as the stack's outputs name it. */
export interface StackServer {
    name: string;
    slot: number;
    dropletId: string;
    privateIp: string;
}

/** What the API says of a droplet. */
export interface DropletFacts {
    size: string;
    status: string;
}

/** What HAProxy says of a server. https://docs.haproxy.org/2.6/management.html#9.1 */
export interface HaproxyServer {
    name: string;
    /** `UP`, `DOWN`, `MAINT`, `UP 1/2`, … */
    status: string;
    /** How the last health check ended: `L7OK`, `L7STS`, `L4CON`, …; `INI` before the first one, `* ` if one is under way. */
    check: string;
    /** Requests that are with the server now. */
    current: number;
    /** Requests since HAProxy was reloaded last. */
    total: number;
    /** Of those, failed ones: connections refused or cut, answers that were none. */
    failed: number;
}

/** One line of the table; unhealthy ones are to be seen at once. */
export interface StatusRow {
    healthy: boolean;
    cells: string[];
}

interface StatisticsField {
    objType: string;
    field: { name: string };
    value: { value: string | number };
}

/**
 * Takes the servers out of `show stat json`. A server stands in each backend: its state is that of the first one, which
 * has the checks; requests are those of all.
 */
export function parseStatistics(json: string): HaproxyServer[] {
    const objects = JSON.parse(json) as StatisticsField[][];
    const servers = new Map<string, HaproxyServer>();
    for (const fields of objects.filter(([first]) => first?.objType === "Server")) {
        const values = new Map(fields.map(({ field, value }) => [field.name, value.value]));
        const number = (name: string): number => Number(values.get(name) ?? 0);
        const name = String(values.get("svname"));
        const server = servers.get(name) ?? {
            name,
            status: String(values.get("status")),
            check: String(values.get("check_status") ?? ""),
            ...{ current: 0, total: 0, failed: 0 },
        };
        server.current += number("scur");
        server.total += number("stot");
        server.failed += number("econ") + number("eresp");
        servers.set(name, server);
    }
    return [...servers.values()];
}

/**
 * The table of `make status`: every server of the stack, then those that only HAProxy knows.
 *
 * @param droplets One for each server, in the same order; `undefined` for one that is gone.
 * @param haproxy `undefined` where HAProxy could not be asked.
 */
export function statusRows(
    servers: readonly StackServer[],
    droplets: readonly (DropletFacts | undefined)[],
    haproxy: readonly HaproxyServer[] | undefined,
): StatusRow[] {
    const known = servers.map(({ name, dropletId, privateIp }, i) => {
        const droplet = droplets[i];
        const seen = haproxy?.find((server) => server.name === name);
        return {
            healthy: droplet?.status === "active" && seen?.status.startsWith("UP") === true,
            cells: [
                name,
                dropletId,
                privateIp,
                droplet?.size ?? "?",
                droplet?.status ?? "gone",
                ...(haproxy ? haproxyCells(seen) : ["?", "?", "?", "?"]),
            ],
        };
    });
    const strangers = (haproxy ?? []).filter(({ name }) => !servers.some((server) => server.name === name));
    return [
        ...known,
        ...strangers.map((server) => ({
            healthy: false,
            cells: [server.name, "?", "?", "?", "not in the stack", ...haproxyCells(server)],
        })),
    ];
}

function haproxyCells(server: HaproxyServer | undefined): string[] {
    if (!server) return ["not in service", "-", "-", "-"];
    return [server.status, String(server.current), String(server.total), String(server.failed)];
}
