import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What became of the requests of one kind of client. */
export interface TlsCounts {
    requests: number;
    /** As the program says it; empty if nothing failed. */
    failures: string;
}

/** Each connection asks every 20 ms or so: two cores have to have time for what is tested. */
const pace = "function delay() return math.random(10, 30) end\n";

/**
 * Clients of HTTPS until they are told to stop: wrk over connections that are kept and over fresh ones, a handshake each,
 * and h2load over HTTP/2. None checks the certificate. Needs `wrk` and `h2load` (nghttp2-client).
 *
 * @param url With the address; its name goes into the Host header.
 */
export function startTlsLoad(url: string, name: string): { stop: () => Promise<Record<string, TlsCounts>> } {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-tls-load-"));
    const script = path.join(folder, "pace.lua");
    writeFileSync(script, pace);
    const wrk = ["-t1", "-c8", "-d1h", "--timeout=10s", "-s", script, "-H", `Host: ${name}`, url];
    const kept = runUntilStopped("wrk", wrk);
    const fresh = runUntilStopped("wrk", ["-H", "Connection: close", ...wrk]);
    const h2 = new Http2Load(url, name);
    return {
        stop: async () => {
            const [one, other, http2] = await Promise.all([kept(), fresh(), h2.stop()]);
            rmSync(folder, { recursive: true });
            return { "HTTP/1.1, kept alive": ofWrk(one), "HTTP/1.1, fresh": ofWrk(other), "HTTP/2": http2 };
        },
    };
}

/** Starts a program that sums up at Ctrl-C; the function ends it, and returns what it printed. */
function runUntilStopped(command: string, args: string[]): () => Promise<string> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
        stream.on("data", (data: Buffer) => (output += data.toString()));
    const closed = once(child, "close");
    return async () => {
        child.kill("SIGINT");
        await closed;
        return output;
    };
}

function ofWrk(output: string): TlsCounts {
    const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? NaN);
    return { requests, failures: /(Socket errors|Non-2xx).*/.exec(output)?.[0] ?? "" };
}

/** h2load, which says nothing at Ctrl-C, again and again: each time four connections with five requests at a time. */
class Http2Load {
    private stopped = false;
    private readonly counts: TlsCounts = { requests: 0, failures: "" };
    private readonly loop: Promise<void>;

    constructor(url: string, name: string) {
        this.loop = this.run(["-n400", "-c4", "-m5", "-H", `host: ${name}`, url]);
    }

    async stop(): Promise<TlsCounts> {
        this.stopped = true;
        await this.loop;
        return this.counts;
    }

    private async run(args: string[]): Promise<void> {
        while (!this.stopped) {
            const output = await printedBy("h2load", args);
            this.counts.requests += 400;
            if (!/^status codes: 400 2xx/m.test(output) || !output.includes("Application protocol: h2"))
                this.counts.failures += output;
            await sleep(300);
        }
    }
}

async function printedBy(command: string, args: string[]): Promise<string> {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr])
        stream.on("data", (data: Buffer) => (output += data.toString()));
    await once(child, "close");
    return output;
}
