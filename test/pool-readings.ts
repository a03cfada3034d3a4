import type { PoolReading, ServerReading } from "../tools/live/reading";

/** A server of a slot that is UP and has requests. */
export const serverReading = (slot: number, more: Partial<ServerReading> = {}): ServerReading => ({
    ...{ name: `web-${slot}`, slot, address: `10.0.0.${slot}`, status: "UP", isUp: true, check: "L7OK" },
    ...{ statusSeconds: 125, running: 2, requestsPerSecond: 40, responseMs: 12, failures: 0, requests: 9 },
    ...more,
});

/** The same, DOWN for so many seconds. */
export const downReading = (slot: number, statusSeconds: number, check = "L4CON"): ServerReading =>
    serverReading(slot, {
        ...{ status: "DOWN", isUp: false, check, statusSeconds },
        ...{ running: 0, requestsPerSecond: 0 },
    });

/** An HAProxy with these servers. */
export const poolReading = (servers: ServerReading[], more: Partial<PoolReading> = {}): PoolReading => ({
    ...{ pid: 7, uptimeSeconds: 65, generation: "92dfb8a09cbd2ce5", idlePercent: 97, connections: 12 },
    ...{ maxConnections: 6000, isApplying: false, heartbeat: undefined, servers },
    running: 2 * servers.length,
    ...{ queued: 0, streams: 3, requests: 1000, failures: 0, errors: 0, retries: 0 },
    ...more,
});

/** HAProxy 2.6 has so many columns in `show stat`, most of them figures that nobody here reads. */
const columns = 129;
const read = [
    ...["pxname", "svname", "qcur", "scur", "stot", "econ", "eresp", "wretr", "status", "lastchg"],
    ...["check_status", "rate", "rtime", "hrsp_5xx", "req_tot", "addr"],
];

/** What a watch gets from an HAProxy with so many servers, as long as the real one's: two tables of all servers, and one more. */
export function longAnswer(servers: number, requests: number): string {
    const others = Array.from({ length: columns - read.length }, (_, i) => i);
    const line = (cells: readonly (string | number)[]) => `${[...cells, ...others].join(",")},\n`;
    const header = `# ${[...read, ...others.map((i) => `column_${i}`)].join(",")},\n`;
    const all = Array.from({ length: servers }, (_, slot) => {
        const state = slot % 20 === 0 ? ["DOWN", 9, "L4CON"] : ["UP", 900, "L7OK"];
        return [`web-${slot}`, 0, 2, 900, 0, 0, 0, ...state, 12, 8, 0, "", `10.114.0.${slot % 250}:80`];
    });
    const total = (name: string) =>
        line([name, "BACKEND", 0, 9, 9, 0, 0, 0, "UP", 9, "", 9, 8, 0, requests, ""]);
    const tables = ["pool", "uploads"].map(
        (name) => `${header}${all.map((cells) => line([name, ...cells])).join("")}${total(name)}\n`,
    );
    return `Pid: 7\nUptime_sec: 30\nMaxconn: 6000\nIdle_pct: 98\n\n${tables.join("")}${header}${total("streams")}\n`;
}
