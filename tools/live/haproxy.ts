import type { StackOutputs } from "../pulumi/run";
import { type Heard, heartbeatIn, printHeartbeat } from "./heartbeat";
import { onLoadBalancer } from "./ssh";

/** What HAProxy says of a server. https://docs.haproxy.org/2.6/management.html#9.1 */
export interface HaproxyServer {
    name: string;
    address: string;
    /** `UP`, `DOWN`, `MAINT`, `UP 1/2`, … */
    status: string;
    /** How the last health check ended: `L7OK`, `L7STS`, `L4CON`, …; `INI` before the first one, `* ` if one is under way. */
    check: string;
    current: number;
    /** Requests since HAProxy was reloaded last. */
    total: number;
    /** Of those, failed ones: connections refused or cut, answers that were none. */
    failed: number;
}

export interface LiveHaproxy {
    /** The host's own addresses: they tell which of the stack's load balancers has answered. */
    host: string[];
    /** haproxy.cfg, as the host has it on its disk. */
    text: string;
    /** That the worker names which takes connections; `undefined`: none answers, or it runs a text that is not ours. */
    generation: string | undefined;
    /** Of that worker; `undefined`: none answers. */
    servers: HaproxyServer[] | undefined;
    /** Addresses of the servers of workers that only end their last requests. */
    draining: string[];
    /** A run applies another text just now; one whose connection broke goes on without it. */
    isApplying: boolean;
    /** Of the autoscaler. */
    heartbeat: Heard | undefined;
}

/** apply.sh holds it while it applies a text. */
export const applyLock = "/run/dropscale-haproxy.lock";

const separator = (name: string): string => `-- dropscale: ${name}`;

/** In the order in which {@link question} prints them, each up to a blank line of its own. */
const parts = ["host", "text", "info", "servers", "draining", "applying", "heartbeat"] as const;

/** Of the master, as apply.sh asks: it tells the workers apart, and which of them takes connections. */
const question = `
master() { echo "$1" | timeout 5 socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock 2>/dev/null; }
part() { printf '\\n${separator("%s")}\\n' "$1"; }
part host; hostname -I
part text; cat /etc/haproxy/haproxy.cfg 2>/dev/null
part info; master '@1 show info'
part servers; master '@1 show stat -1 4 -1 json'
part draining
for pid in $(master 'show proc' | awk '/^#/ { old = $2 == "old" } old && $2 == "worker" { print $1 }'); do
    master "@!$pid show servers state"
done
part applying; flock --nonblock ${applyLock} true || echo yes
part heartbeat; ${printHeartbeat}
part end`;

/** Asks the load balancer that has the stack's address. @throws Error if it can't, or the answer is something else. */
export async function readHaproxy(outputs: StackOutputs): Promise<LiveHaproxy> {
    return parseHaproxy(await onLoadBalancer(outputs, question));
}

export function parseHaproxy(printed: string): LiveHaproxy {
    const [host = "", text = "", info = "", servers = "", draining = "", applying = "", heartbeat = ""] =
        parts.map((name, i) => {
            const from = `\n${separator(name)}\n`;
            const to = `\n${separator(parts[i + 1] ?? "end")}\n`;
            const [, rest = ""] = printed.split(from);
            return rest.split(to)[0] ?? "";
        });
    return {
        host: host.trim().split(/\s+/),
        text,
        generation: /^description: gen=([0-9a-f]{16})$/im.exec(info)?.[1],
        servers: servers.trim() === "" ? undefined : parseStatistics(servers),
        draining: draining.trim() === "" ? [] : parseServersState(draining),
        isApplying: applying.trim() !== "",
        heartbeat: heartbeatIn(heartbeat),
    };
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
        const text = (name: string): string => String(values.get(name) ?? "");
        const number = (name: string): number => Number(values.get(name) ?? 0);
        const name = text("svname");
        const server = servers.get(name) ?? {
            name,
            address: text("addr").replace(/:\d+$/, ""),
            ...{ status: text("status"), check: text("check_status") },
            ...{ current: 0, total: 0, failed: 0 },
        };
        server.current += number("scur");
        server.total += number("stot");
        server.failed += number("econ") + number("eresp");
        servers.set(name, server);
    }
    return [...servers.values()];
}

/** What {@link askHaproxy} prints where no HAProxy runs. */
const noHaproxy = "no HAProxy runs";

/**
 * A shell command whose output {@link parseServersState} reads; it fails where it can't tell. Only exit 1 of pgrep means that
 * nothing matched: https://man7.org/linux/man-pages/man1/pgrep.1.html
 */
export const askHaproxy = `pgrep -x haproxy >/dev/null
case $? in
0) echo 'show servers state' | socat - /run/haproxy/admin.sock ;;
1) echo '${noHaproxy}' ;;
*) exit 1 ;;
esac`;

/** Takes the addresses, each once, out of what HAProxy answers to `show servers state`. @throws Error if it is anything else. */
export function parseServersState(text: string): string[] {
    if (text.trim() === noHaproxy) return [];
    const header = text.split("\n").find((line) => line.startsWith("# "));
    const column = header?.slice(2).split(" ").indexOf("srv_addr") ?? -1;
    if (column < 0) throw new Error("HAProxy did not answer `show servers state` as expected");
    const lines = text.split("\n").filter((line) => /^\d+ \S+ \d+ /.test(line));
    return [...new Set(lines.map((line) => line.split(" ")[column] ?? ""))];
}
