import type { StackOutputs } from "../pulumi/run";
import { type Heard, heartbeatIn, printHeartbeat } from "./heartbeat";
import { parseServers, runningGeneration, type ServerReading } from "./reading";
import { onLoadBalancer } from "./ssh";

export interface LiveHaproxy {
    /** The host's own addresses: they tell which of the stack's load balancers has answered. */
    host: string[];
    /** haproxy.cfg, as the host has it on its disk. */
    text: string;
    /** That the worker names which takes connections; `undefined`: none answers, or it runs a text that is not ours. */
    generation: string | undefined;
    /** Of that worker; `undefined`: none answers. */
    servers: ServerReading[] | undefined;
    /** Addresses of the servers of workers that only end their last requests. */
    draining: string[];
    /** A run applies another text just now; one whose connection broke goes on without it. */
    isApplying: boolean;
    /** Of the autoscaler. */
    heartbeat: Heard | undefined;
}

/** apply.sh holds it while it applies a text. */
export const applyLock = "/run/dropscale-haproxy.lock";

/** Of the master, as apply.sh asks: it tells the workers apart, and which of them takes connections. */
const question = `
master() { echo "$1" | timeout 5 socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock 2>/dev/null; }
part() { printf '\\n-- dropscale: %s\\n' "$1"; }
part host; hostname -I
part text; cat /etc/haproxy/haproxy.cfg 2>/dev/null
part info; master '@1 show info'
part servers; master '@1 show stat -1 4 -1'
part draining
for pid in $(master 'show proc' | awk '/^#/ { old = $2 == "old" } old && $2 == "worker" { print $1 }'); do
    master "@!$pid show servers state"
done
part applying; flock --nonblock ${applyLock} true || echo yes
part heartbeat; ${printHeartbeat}
part end`;

/** Asks the load balancer that has the stack's address. @throws Error if it can't, or the answer is something else */
export async function readHaproxy(outputs: StackOutputs): Promise<LiveHaproxy> {
    return parseHaproxy(await onLoadBalancer(outputs, question));
}

/** Takes apart what {@link question} prints. @throws Error where HAProxy's part is something else, or was cut off */
export function parseHaproxy(printed: string): LiveHaproxy {
    const pieces = printed.split(/\n-- dropscale: (\w+)\n/);
    const part = (name: string) => pieces.find((_text, i) => i % 2 === 0 && pieces[i - 1] === name) ?? "";
    const [servers, draining] = [part("servers"), part("draining")];
    return {
        host: part("host").trim().split(/\s+/),
        text: part("text"),
        generation: runningGeneration(part("info")),
        servers: servers.trim() === "" ? undefined : parseServers(servers),
        draining: draining.trim() === "" ? [] : parseServersState(draining),
        isApplying: part("applying").trim() !== "",
        heartbeat: heartbeatIn(part("heartbeat")),
    };
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
