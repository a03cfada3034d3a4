import { parse } from "csv-parse/sync";
import { slotOf } from "../../lib/identity";
import { type Heard, heartbeatIn } from "./heartbeat";

/** A server as HAProxy has it just now. https://docs.haproxy.org/2.6/management.html#9.1 */
export interface ServerReading {
    name: string;
    /** `undefined` for a name that is none of ours. */
    slot: number | undefined;
    /** IPv4, without a port. */
    address: string;
    /** `UP`, `UP 1/2` (a check has failed), `DOWN`, `DOWN 1/2` (a check has passed), `MAINT`, … */
    status: string;
    isUp: boolean;
    /** How the last health check ended: `L7OK`, `L7STS`, `L4CON`, …; `INI` before the first one. */
    check: string;
    /** Since its status changed last, in seconds. */
    statusSeconds: number;
    /** Requests that it works on. */
    running: number;
    /** Requests in the last second. */
    requestsPerSecond: number;
    /** Mean of its last 1,024 requests, in milliseconds, whenever those were. */
    responseMs: number;
    /** Answers of 5xx, and connections that failed, since HAProxy was reloaded last. */
    failures: number;
    /** Requests since then. */
    requests: number;
}

/** One look at HAProxy. */
export interface PoolReading {
    /** Of the worker that answered: its counters begin at 0. */
    pid: number;
    uptimeSeconds: number;
    /** Of the haproxy.cfg that it runs; empty: it is not ours. */
    generation: string;
    /** Share of HAProxy's own time that is idle, 0 to 100. */
    idlePercent: number;
    connections: number;
    maxConnections: number;
    /** A run applies another haproxy.cfg just now. */
    isApplying: boolean;
    /** What an autoscaler said last, in JSON, and how long ago; `undefined`: none has, since the host was started. */
    heartbeat: Heard | undefined;
    servers: ServerReading[];
    /** Requests that servers which are UP work on; WebSockets and event streams are in `streams`. */
    running: number;
    /** Requests that wait for a server. */
    queued: number;
    streams: number;
    /** Since HAProxy was reloaded last: requests, and answers of 5xx to visitors. */
    requests: number;
    failures: number;
    /** Likewise, of all servers: connections refused or cut and answers that were none, and requests sent again. */
    errors: number;
    retries: number;
}

/** A look, and when it was. */
export interface TimedReading {
    atMs: number;
    reading: PoolReading;
}

/**
 * How fast a counter grew from one look to the next, a second.
 *
 * @returns `undefined` where that is not known: without a look before, or across a reload, where counters begin at 0.
 */
export function ratePerSecond(
    now: TimedReading,
    before: TimedReading | undefined,
    counter: (reading: PoolReading) => number,
): number | undefined {
    if (before?.reading.pid !== now.reading.pid) return undefined;
    const seconds = (now.atMs - before.atMs) / 1000;
    return seconds > 0 ? Math.max(0, counter(now.reading) - counter(before.reading)) / seconds : undefined;
}

/** Of some 130 columns these are read: the others would cost more time than all else, with 200 servers. */
// oxfmt-ignore
const columns = [
    "pxname", "svname", "qcur", "scur", "stot", "econ", "eresp", "wretr", "status", "lastchg", "check_status",
    "rate", "rtime", "hrsp_5xx", "req_tot", "addr",
] as const;

type Column = (typeof columns)[number];
type Row = Readonly<Partial<Record<Column, string>>>;

/** @throws Error where that is not HAProxy's whole answer to `show info` and `show stat`. */
export function parseReading(answer: string): PoolReading {
    const info = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(answer)?.[1] ?? "";
    const rows = rowsOf(answer);
    const backends = rows.filter(({ svname }) => svname === total);
    if (info("Pid") === "" || backends.length === 0)
        throw new Error("HAProxy does not answer on the load balancer");
    const streams = backends.filter(({ pxname }) => pxname === "streams");
    const requests = backends.filter((row) => !streams.includes(row));
    const servers = serversOf(rows);
    return {
        pid: Number(info("Pid")),
        uptimeSeconds: Number(info("Uptime_sec")),
        generation: runningGeneration(answer) ?? "",
        idlePercent: Number(info("Idle_pct")),
        connections: Number(info("CurrConns")),
        maxConnections: Number(info("Maxconn")),
        isApplying: /^applying: yes$/m.test(answer),
        heartbeat: heartbeatIn(answer),
        servers,
        running: servers.reduce((all, { isUp, running }) => all + (isUp ? running : 0), 0),
        queued: sum(requests, "qcur"),
        streams: sum(streams, "scur"),
        requests: sum(backends, "req_tot"),
        failures: sum(backends, "hrsp_5xx"),
        errors: sum(backends, "econ", "eresp"),
        retries: sum(backends, "wretr"),
    };
}

/** The servers in HAProxy's answer to `show stat`. @throws Error where it is something else, or was cut off */
export const parseServers = (answer: string): ServerReading[] => serversOf(rowsOf(answer));

/** Which haproxy.cfg runs, by the answer to `show info`; `undefined`: none of ours. */
export const runningGeneration = (answer: string): string | undefined =>
    /^description: gen=([0-9a-f]{16})$/im.exec(answer)?.[1];

/** HAProxy ends each line with a comma, and quotes what has one in it. */
const tableOptions = {
    columns: (names: string[]) => names.map((name) => columns.find((column) => column === name) ?? false),
    relax_column_count: true,
    skip_empty_lines: true,
};

/** Of each table. It ends with a blank line, and what follows that is another answer; without one servers may be missing. */
function rowsOf(answer: string): Row[] {
    const tables = answer.split(/^# (?=pxname,)/m).slice(1);
    if (tables.length === 0) throw new Error("HAProxy does not answer on the load balancer");
    return tables.flatMap((table) => {
        const end = table.indexOf("\n\n");
        if (end < 0) throw new Error("HAProxy's answer on the load balancer was cut off");
        return parse<Row>(table.slice(0, end), tableOptions);
    });
}

/** Names of the rows that are no servers. */
const total = "BACKEND";

/** A server stands in each backend: its state is that of `pool`, which has the checks; requests are those of all. */
function serversOf(rows: readonly Row[]): ServerReading[] {
    const named = new Map<string, Row[]>();
    for (const row of rows.filter(({ svname }) => svname !== total && svname !== "FRONTEND"))
        named.set(row.svname ?? "", [...(named.get(row.svname ?? "") ?? []), row]);
    return [...named].map(([name, all]) => {
        const row = all.find(({ pxname }) => pxname === "pool") ?? all[0] ?? {};
        const status = row.status ?? "";
        return {
            name,
            slot: slotOf({ name }),
            address: (row.addr ?? "").replace(/:\d+$/, ""),
            status,
            isUp: status.startsWith("UP"),
            check: (row.check_status ?? "").replace(/^\* /, ""),
            statusSeconds: sum([row], "lastchg"),
            running: sum(all, "scur"),
            requestsPerSecond: sum(all, "rate"),
            responseMs: sum([row], "rtime"),
            failures: sum(all, "hrsp_5xx", "econ", "eresp"),
            requests: sum(all, "stot"),
        };
    });
}

/** Of these columns in these rows; one that is empty is 0. */
const sum = (rows: readonly Row[], ...names: Column[]): number =>
    rows.flatMap((row) => names.map((name) => Number(row[name]) || 0)).reduce((all, one) => all + one, 0);
