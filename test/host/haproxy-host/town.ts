/**
 * Runs inside a host's network namespace: the web servers behind its HAProxy, and the clients in front. Each message
 * `{ id, call, args }` from the test is answered by `{ id, result }` or `{ id, error }`.
 */
import { createHash } from "node:crypto";
import * as http from "node:http";
import * as net from "node:net";
import { dnsAnswer } from "../../../sandbox/region/dns.ts";
import { Attack, type Damage, type Method, SecondClient, type Service } from "./attackers";

/** A request as a web server saw it. */
export interface Seen {
    method: string;
    url: string;
    /** Names in lower case; values of a repeated header in order. */
    headers: Record<string, string[]>;
    /** As it came, without its framing. */
    body: string;
}

/** What a client got; status 0 and the reason when there was no answer. */
export interface Answer {
    status: number;
    headers: http.IncomingHttpHeaders;
    body: string;
    error?: string;
}

/** Result of a load: requests by who answered, and what failed. */
export interface Load {
    answers: Record<string, number>;
    failures: string[];
}

interface WebServer {
    server: http.Server;
    seen: Seen[];
    healthStatus: number;
}

/** Where clients that hurt come from; so do programs of the host. */
const attacker = "127.0.0.1";

const large = Buffer.alloc(2_000_000, "x");
const webServers = new Map<string, WebServer>();
let loadRuns = false;
let load: Promise<Load> | undefined;
let attack: Attack | undefined;
let secondClient: SecondClient | undefined;
const held: net.Socket[] = [];
const said = new Map<number, http.Server>();

const calls = {
    /**
     * A web server on address:8080: /healthz has the status given; everything tells its address. `?ms=N` waits before it
     * answers, `?pause=N` before it reads the body, `?large` is long, `?header=N` has a header so long, `?close` closes
     * without an answer, `?cut` in the middle of one, `?events=N` begins and never ends, and goes on each N ms; 0 is silent.
     */
    serve: (address: string, healthStatus = 200): Promise<void> => {
        const own: WebServer = {
            seen: [],
            healthStatus,
            server: http.createServer({ maxHeaderSize: 131_072 }),
        };
        const note = (request: http.IncomingMessage): Seen => {
            const { method = "", url = "" } = request;
            const seen = { method, url, headers: headersOf(request), body: "" };
            own.seen.push(seen);
            return seen;
        };
        own.server.on("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
            const seen = note(request);
            const url = new URL(request.url ?? "", "http://town");
            const asked = (name: string): number => Number(url.searchParams.get(name) ?? 0);
            setTimeout(() => {
                request.on("data", (data: Buffer) => (seen.body += data.toString("latin1")));
            }, asked("pause"));
            if (url.searchParams.has("close")) return void request.socket.destroy();
            if (url.searchParams.has("cut")) {
                response.writeHead(200, { "content-length": 1000 }).write("x");
                return void setTimeout(() => request.socket.destroy(), 200);
            }
            if (url.searchParams.has("events")) {
                const say = () => response.write("data: 1\n\n");
                response.writeHead(200, { "content-type": "text/event-stream" });
                say();
                if (asked("events") === 0) return;
                const saying = setInterval(say, asked("events"));
                return void response.once("close", () => {
                    clearInterval(saying);
                });
            }
            if (asked("header") > 0) response.setHeader("x-long", "x".repeat(asked("header")));
            const status =
                url.pathname === "/healthz"
                    ? own.healthStatus
                    : Number(url.searchParams.get("status") ?? 200);
            const moved = status >= 300 && status < 400 ? { location: "/elsewhere" } : {};
            setTimeout(() => {
                const answer = (): unknown =>
                    response.writeHead(status, moved).end(url.searchParams.has("large") ? large : address);
                if (asked("pause") === 0) answer();
                else request.once("end", answer);
            }, asked("ms"));
        });
        // WebSocket's handshake, and then an echo. https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
        own.server.on("upgrade", (request: http.IncomingMessage, socket: net.Socket) => {
            const { headers } = note(request);
            const key = `${headers["sec-websocket-key"]?.[0]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
            const accept = createHash("sha1").update(key).digest("base64");
            socket.on("error", () => undefined);
            socket.write(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
                    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
            );
            socket.once("data", (data: Buffer) => socket.end(data));
        });
        // What this second parser of HTTP can't read.
        own.server.on("clientError", ({ message }: Error, socket: net.Socket) => {
            if (message.startsWith("Parse Error"))
                own.seen.push({ method: "", url: message, headers: {}, body: "" });
            if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        });
        webServers.set(address, own);
        return new Promise((resolve) => own.server.listen(8080, address, resolve));
    },
    setHealth: (address: string, status: number) => {
        webServer(address).healthStatus = status;
    },
    /** The machine is gone: its connections are reset, its port refuses. */
    destroy: (address: string): Promise<void> => {
        const { server } = webServer(address);
        webServers.delete(address);
        const closed = new Promise<void>((resolve) =>
            server.close(() => {
                resolve();
            }),
        );
        server.closeAllConnections();
        return closed;
    },
    seen: (address: string) => webServer(address).seen,
    /** Takes port 80 of the host (or another), so that HAProxy can't have it. */
    takePort: (port: number): Promise<void> =>
        new Promise((resolve) =>
            net.createServer((socket) => socket.destroy()).listen(port, "0.0.0.0", resolve),
        ),
    /** DNS over TCP on this address: the IPv4 addresses of these names, and of no other. */
    resolve: (address: string, names: Record<string, string>): Promise<void> =>
        new Promise((resolve) =>
            net
                .createServer((socket) => {
                    socket.on("error", () => undefined);
                    // A query is short: it comes in one piece, behind its length.
                    socket.on("data", (data: Buffer) => {
                        const answer = dnsAnswer(data.subarray(2), { domains: [] }, { ownNames: names });
                        if (!answer) return void socket.destroy();
                        const length = Buffer.alloc(2);
                        length.writeUInt16BE(answer.length);
                        socket.write(Buffer.concat([length, answer]));
                    });
                })
                .listen(53, address, resolve),
        ),
    /** From now on every request on this port of 127.0.0.1 is answered with this text. */
    say: (port: number, text: string): Promise<void> => {
        said.get(port)?.close();
        const server = http.createServer((_, response) => response.end(text));
        said.set(port, server);
        return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
    },
    request: (path: string, options: http.RequestOptions = {}, body = "") => request(path, options, body),
    /** Sends these bytes (one character each) to port 80; all that comes back until it is closed, for 8 s at most. */
    raw: (bytes: string): Promise<string> =>
        new Promise((resolve, reject) => {
            let text = "";
            let sent = 0;
            // Piece by piece: who is refused must not be writing, or the answer is lost with the connection.
            const write = (): void => {
                if (sent >= bytes.length || text !== "" || socket.destroyed) return;
                socket.write(bytes.slice(sent, (sent += 32_768)), "latin1");
                setTimeout(() => setImmediate(write), 20); // after what has come was read
            };
            const socket = net.connect(80, "127.0.0.1", write);
            const bound = setTimeout(() => socket.destroy(), 8000);
            socket.on("data", (data) => (text += data.toString("latin1")));
            socket.on("error", reject);
            socket.on("close", () => {
                clearTimeout(bound);
                resolve(text);
            });
        }),
    /** Sends these bytes, closes its own side, and resolves with what comes until the other side is closed, too. */
    askAndClose: (bytes: string): Promise<string> =>
        new Promise((resolve, reject) => {
            let text = "";
            const socket = net.connect(80, "127.0.0.1", () => socket.end(bytes, "latin1"));
            socket.setTimeout(10_000, () => socket.destroy());
            socket.on("data", (data) => (text += data.toString("latin1")));
            socket.on("error", reject);
            socket.on("close", () => {
                resolve(text);
            });
        }),
    /** Opens so many connections with these bytes, and keeps them: the status of each one's answer, 0 for none. */
    hold: (bytes: string, count: number): Promise<number[]> =>
        Promise.all(
            Array.from({ length: count }, () => {
                const socket = net.connect(80, "127.0.0.1", () => socket.write(bytes));
                held.push(socket);
                return new Promise<number>((resolve) => {
                    socket.once("data", (data) => {
                        resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString("latin1"))?.[1] ?? 0));
                    });
                    socket.on("error", () => undefined);
                    socket.once("close", () => {
                        resolve(0);
                    });
                });
            }),
        ),
    /** Ends all that {@link hold} has opened: says good-bye, and still listens. */
    leave: () => {
        for (const socket of held.splice(0)) socket.end();
    },
    /** Holds connections from {@link attacker} until {@link endAttack}. */
    startAttack: (method: Method) => {
        attack = new Attack({ host: "127.0.0.1", from: attacker }, method);
    },
    /** How many connections the attack holds now. */
    attackHolds: () => attack?.open ?? 0,
    /** How many it has opened until now. */
    attackOpened: () => attack?.damage.opened ?? 0,
    endAttack: (): Damage | undefined => attack?.stop(),
    /** Another client, from an address of its own, until {@link endSecondClient}. */
    startSecondClient: () => {
        secondClient = new SecondClient({ host: "127.0.0.1", from: "127.0.0.2" });
    },
    endSecondClient: (): Promise<Service> | undefined => secondClient?.stop(),
    /** Keep-alive clients that ask, pause a little and ask again; ended by {@link endLoad}. */
    startLoad: (clients: number) => {
        loadRuns = true;
        load = runLoad(clients);
    },
    endLoad: (): Promise<Load> | undefined => {
        loadRuns = false;
        return load;
    },
};

/** The calls a test can make. */
export type Calls = typeof calls;

function webServer(address: string): WebServer {
    const found = webServers.get(address);
    if (!found) throw new Error(`no web server on ${address}`);
    return found;
}

function headersOf(request: http.IncomingMessage): Record<string, string[]> {
    return Object.fromEntries(
        Object.entries(request.headersDistinct).map(([name, values]) => [name, values ?? []]),
    );
}

function request(path: string, options: http.RequestOptions, body: string): Promise<Answer> {
    return new Promise((resolve) => {
        const failed = (error: Error): void => {
            resolve({ status: 0, headers: {}, body: "", error: error.message });
        };
        // A connection of its own, unless told: a kept one may be closed for idleness just as it is used again.
        const sent = http.request(
            { host: "127.0.0.1", port: 80, path, agent: false, ...options },
            (response) => {
                let text = "";
                response.on("data", (data: Buffer) => (text += data.toString()));
                response.on("end", () => {
                    resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
                });
                response.on("error", failed);
            },
        );
        sent.on("error", failed);
        sent.end(body);
    });
}

async function runLoad(clients: number): Promise<Load> {
    const result: Load = { answers: {}, failures: [] };
    const client = async (): Promise<void> => {
        const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
        while (loadRuns) {
            const { status, body, error } = await request("/", { agent }, "");
            if (status === 200) result.answers[body] = (result.answers[body] ?? 0) + 1;
            else result.failures.push(error ?? `HTTP ${status}`);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        agent.destroy();
    };
    await Promise.all(Array.from({ length: clients }, client));
    return result;
}

process.on("message", ({ id, call, args }: { id: number; call: keyof Calls; args: never[] }) => {
    const answer: (...values: never[]) => unknown = calls[call];
    Promise.resolve()
        .then(() => answer(...args))
        .then(
            (result) => process.send?.({ id, result }),
            (error: unknown) => process.send?.({ id, error: String(error) }),
        );
});
process.on("disconnect", () => process.exit());
process.send?.({ id: 0 });
