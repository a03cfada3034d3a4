import { Agent, request as requestHttp } from "node:http";
import { Agent as TlsAgent, request as requestHttps } from "node:https";
import { connect } from "node:net";

/** What {@link Visitors} ask for besides the page: an answer that takes some seconds. */
export const slowPath = "/slow";

/** One answer as a client sees it; `error` where there was none. */
export interface Answer {
    status?: number;
    headers?: Record<string, string | string[] | undefined>;
    body?: string;
    error?: string;
}

/** Whom a client of HTTPS expects, and by which authority; its certificate is checked. */
export interface Tls {
    servername: string;
    /** In PEM. */
    ca: string;
}

/** A GET over a connection of its own, or over one of `agent`'s. Never rejects. */
export function get(
    url: string,
    options: { agent?: Agent; headers?: Record<string, string>; tls?: Tls } = {},
): Promise<Answer> {
    return new Promise((resolve) => {
        const { agent = false, headers = {}, tls } = options;
        const request = url.startsWith("https:") ? requestHttps : requestHttp;
        const call = request(url, { agent, headers, timeout: 10_000, ...tls }, (response) => {
            let body = "";
            response.on("data", (chunk: Buffer) => (body += chunk.toString()));
            response.once("error", (error) => {
                resolve({ error: error.message });
            });
            response.once("end", () => {
                resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
            });
        });
        call.once("timeout", () => call.destroy(new Error("no answer in 10 s")));
        call.once("error", (error) => {
            resolve({ error: error.message });
        });
        call.end();
    });
}

/**
 * Clients that never stop asking, and remember what failed: for the page over kept-alive and fresh connections, and
 * for an answer that is streamed for seconds. Short requests alone would not notice a server that is taken away.
 */
export class Visitors {
    /** How many there are: each has at most one request under way. */
    static readonly clients = 7;
    /** Those of them that ask for what takes seconds. */
    static readonly streams = 3;
    requests = 0;
    readonly failures: string[] = [];
    private stopped = false;
    private readonly loops: Promise<void>[];

    /** @param tls For a URL of HTTPS. */
    constructor(
        url: string,
        private readonly tls?: Tls,
    ) {
        const kept = new (tls ? TlsAgent : Agent)({ keepAlive: true, maxSockets: 1 });
        this.loops = [
            ...[kept, kept, undefined, undefined].map((agent) => this.ask(url, agent)),
            ...Array.from({ length: Visitors.streams }, () => this.ask(`${url}${slowPath}`, undefined)),
        ];
    }

    /** Ends them; resolves when the last answer is in. */
    async stop(): Promise<void> {
        this.stopped = true;
        await Promise.all(this.loops);
    }

    /** Ends them when something has come to its end, well or not. */
    async during<T>(change: Promise<T>): Promise<T> {
        try {
            return await change;
        } finally {
            await this.stop();
        }
    }

    private async ask(url: string, agent: Agent | undefined): Promise<void> {
        while (!this.stopped) {
            const { status, error } = await get(url, {
                ...(agent && { agent }),
                ...(this.tls && { tls: this.tls, headers: { host: this.tls.servername } }),
            });
            this.requests++;
            if (status !== 200) {
                const what = error ?? `status ${status ?? 0}`;
                this.failures.push(`${new Date().toISOString()} GET ${new URL(url).pathname}: ${what}`);
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }
}

/** Asks until `count` different servers have answered, at most 200 times. Returns their host names, sorted. */
export async function serversAnswering(url: string, count: number): Promise<string[]> {
    const seen = new Set<string>();
    for (let i = 0; i < 200 && seen.size < count; i++) {
        const host = /<h1>(.*)<\/h1>/.exec((await get(url)).body ?? "")?.[1];
        if (host) seen.add(host.replace(/-[0-9a-f]{7}$/, ""));
    }
    return [...seen].sort();
}

/** Whether a TCP connection opens within two seconds. */
export function connects(host: string, port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect({ host, port, timeout: 2000 });
        const done = (open: boolean) => {
            socket.destroy();
            resolve(open);
        };
        socket.once("connect", () => {
            done(true);
        });
        for (const event of ["timeout", "error"]) {
            socket.once(event, () => {
                done(false);
            });
        }
    });
}
