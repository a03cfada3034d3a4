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
