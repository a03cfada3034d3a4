import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connects } from "../e2e/client.ts";

/** HAProxies on loopback, until {@link stop}. */
export class Proxies {
    /** For their files. HAProxy drops its privileges, and its own user has to be able to enter. */
    readonly folder = mkdtempSync(path.join(tmpdir(), "dropscale-throughput-"));
    /** A socket that somebody reads, as journald would. */
    readonly logSocket = path.join(this.folder, "log");
    private readonly started: ChildProcess[];

    constructor() {
        chmodSync(this.folder, 0o755);
        this.started = [spawn("socat", ["-u", `UNIX-RECV:${this.logSocket},mode=666`, "/dev/null"])];
    }

    /** Resolves with its process id when it listens. */
    async start(name: string, text: string, port: number): Promise<number> {
        const file = path.join(this.folder, `${name}.cfg`);
        writeFileSync(file, text);
        // `-db`: in the foreground.
        const child = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
        this.started.push(child);
        while (!(await connects("127.0.0.1", port))) {
            if (child.exitCode !== null) throw new Error(`haproxy (${name}) ended with ${child.exitCode}`);
            await sleep(100);
        }
        return child.pid ?? 0;
    }

    stop(): void {
        for (const child of this.started) child.kill("SIGKILL");
        rmSync(this.folder, { recursive: true });
    }
}

/** The one behind the others: it answers everything at once. */
export const serverConfig = (port: number) => `\
defaults
    mode http
    timeout client 60s
frontend web
    bind :${port}
    http-request return status 200 content-type text/plain string "${"x".repeat(600)}"
`;

/** What ours is measured against. @param onBind What follows the address that it listens at. @default nothing */
export const tenLines = ({ port, behind }: { port: number; behind: number }, onBind = "") => `\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend web
    bind 127.0.0.1:${port}${onBind}
    default_backend pool
backend pool
    server web-0 127.0.0.1:${behind}
`;

/** User and system time of a process. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export function cpuSeconds(pid: number): number {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /, "")
        .split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function freePort(): Promise<number> {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.once("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            server.close(() => {
                resolve(typeof address === "object" && address ? address.port : 0);
            });
        });
    });
}

/** The middle one; of an even number the upper of the two. */
export function median(values: readonly number[]): number {
    return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}
