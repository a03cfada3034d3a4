import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import tls from "node:tls";
import { promisify } from "node:util";
import { certificateFile, certifiedFile } from "../../components/haproxy/https.ts";
import type { Progress } from "../../sandbox/progress.ts";
import { httpsConfig } from "../certificates.ts";
import { cpuSeconds, freePort, median, Proxies, serverConfig, tenLines } from "./proxies.mts";
import { ours, type Place } from "./throughput.mts";

/** One kind of load over TLS, on our haproxy.cfg and on ten lines with the same certificate. */
export interface TlsRate {
    kind: string;
    /** Medians of the rounds. */
    perSecond: { ours: number; tenLines: number };
    /** Ours over ten lines just before, median of the rounds. */
    ratio: number;
    /** CPU of HAProxy, medians of the rounds. */
    cpuMicroseconds: { ours: number; tenLines: number };
}

/** What connections cost in memory, in KiB each. */
export interface TlsMemory {
    state: string;
    plainKiB: number;
    tlsKiB: number;
}

export interface TlsFigures {
    rates: TlsRate[];
    memory: TlsMemory[];
}

const rounds = 15;
const connections = 4000;
const https = { redirect: true, hsts: 0 };

/** A load of a second: how many requests there were. @throws Error if one fails */
type Load = (port: number) => Promise<number>;

const wrk =
    (...options: string[]): Load =>
    async (port) => {
        const url = `https://127.0.0.1:${port}/`;
        const { stdout } = await promisify(execFile)("wrk", ["-t1", "-c32", "-d1s", ...options, url]);
        const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(stdout) ?? [];
        if (!requests || /Non-2xx|connect [1-9]|timeout [1-9]/.test(stdout)) throw new Error(stdout);
        return Number(requests) / Number(seconds);
    };

const h2load: Load = async (port) => {
    const options = ["-D1", "-c4", "-m10", `https://127.0.0.1:${port}/`];
    const { stdout } = await promisify(execFile)("h2load", options);
    const [, done] = /^requests: .* (\d+) succeeded, 0 failed, 0 errored/m.exec(stdout) ?? [];
    if (!done || !stdout.includes("Application protocol: h2")) throw new Error(stdout);
    return Number(done);
};

const loads: Record<string, Load> = {
    "handshakes, HTTP/1.1": wrk("-H", "Connection: close"),
    "requests, HTTP/1.1": wrk(),
    "requests, HTTP/2": h2load,
};

/** Handshakes and requests a second over TLS 1.3 on loopback, and memory; as {@link benchThroughput} does it. */
export async function benchTls(say: Progress): Promise<TlsFigures> {
    const proxies = new Proxies();
    try {
        const { tlsCertificate, tlsKey } = httpsConfig();
        writeFileSync(path.join(proxies.folder, "site.pem"), tlsCertificate + tlsKey);
        writeFileSync(path.join(proxies.folder, "certified.lst"), "www.example.com\n");
        const behind = await freePort();
        await proxies.start("server", serverConfig(behind), behind);
        const place = { behind, logSocket: proxies.logSocket, folder: proxies.folder };
        const start = async (name: string, render: (place: Place) => string) => {
            const port = await freePort();
            return { port, pid: await proxies.start(name, render({ ...place, port }), port) };
        };
        const tenLines = await start("ten-lines", plain);
        const own = await start("ours", await oursOverTls());
        const rates: TlsRate[] = [];
        for (const [kind, load] of Object.entries(loads)) {
            await say.step(`${kind} over TLS, in ${rounds} rounds`, async () => {
                const [first, second, ratios]: [Round[], Round[], number[]] = [[], [], []];
                for (let round = 0; round < rounds; round++) {
                    // Who comes second may find the machine slower: they take turns.
                    const turns = [
                        async () => first.push(await measured(tenLines, load)),
                        async () => second.push(await measured(own, load)),
                    ];
                    for (const turn of round % 2 === 0 ? turns : turns.reverse()) await turn();
                    ratios.push((second.at(-1)?.rate ?? NaN) / (first.at(-1)?.rate ?? NaN));
                }
                const middle = (of: Round[], key: keyof Round) =>
                    Math.round(median(of.map((one) => one[key])));
                rates.push({
                    kind,
                    perSecond: { ours: middle(second, "rate"), tenLines: middle(first, "rate") },
                    ratio: median(ratios),
                    cpuMicroseconds: { ours: middle(second, "cpu"), tenLines: middle(first, "cpu") },
                });
            });
        }
        const memory: TlsMemory[] = [];
        for (const [state, bytes] of Object.entries(states)) {
            const kib = async (isTls: boolean) => {
                const render = isTls ? await oursOverTls() : ours;
                const patient = (at: Place) =>
                    render(at).replace(/timeout http-(request|keep-alive) 5s/g, "timeout http-$1 600s");
                return memoryOf(await start(`memory-${isTls}-${memory.length}`, patient), bytes, isTls);
            };
            await say.step(`${connections} connections, ${state}`, async () => {
                memory.push({ state, plainKiB: await kib(false), tlsKiB: await kib(true) });
            });
        }
        return { rates, memory };
    } finally {
        proxies.stop();
    }
}

interface Round {
    /** A second. */
    rate: number;
    /** Microseconds each. */
    cpu: number;
}

async function measured({ port, pid }: { port: number; pid: number }, load: Load): Promise<Round> {
    const [before, started] = [cpuSeconds(pid), Date.now()];
    const rate = await load(port);
    const seconds = Math.min((Date.now() - started) / 1000, 1);
    return { rate, cpu: ((cpuSeconds(pid) - before) * 1e6) / (rate * seconds) };
}

const plain = (place: Place): string => tenLines(place, ` ssl crt ${place.folder}/site.pem alpn h2,http/1.1`);

/** Ours with HTTPS on the port, and HTTP on another. */
async function oursOverTls(): Promise<(place: Place) => string> {
    const http = await freePort();
    return (place) =>
        ours({ ...place, port: http }, { https })
            .replace("bind :443", `bind 127.0.0.1:${place.port}`)
            .replaceAll(certificateFile, path.join(place.folder, "site.pem"))
            .replaceAll(certifiedFile, path.join(place.folder, "certified.lst"));
}

const head = "GET / HTTP/1.1\r\nHost: www.example.com\r\n";

/** What a connection does while its memory is looked at, by the bytes that were sent on it. */
const states: Record<string, string> = {
    "idle after a request": `${head}\r\n`,
    "in the middle of a request": head,
};

/** How much memory a connection costs, in KiB; as many from each address as nobody minds. */
async function memoryOf(
    { port, pid }: { port: number; pid: number },
    bytes: string,
    isTls: boolean,
): Promise<number> {
    const before = residentKiB(pid);
    const sockets: net.Socket[] = [];
    const open = (index: number) =>
        new Promise<void>((resolve, reject) => {
            const options = {
                host: "127.0.0.1",
                port,
                localAddress: `127.0.7.${1 + Math.floor(index / 40)}`,
            };
            const ready = () => {
                socket.write(bytes);
                if (bytes.endsWith("\r\n\r\n"))
                    socket.once("data", () => {
                        resolve();
                    });
                else resolve();
            };
            const socket = isTls
                ? tls.connect({ ...options, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] }, ready)
                : net.connect(options, ready);
            socket.once("error", reject);
            sockets.push(socket);
        });
    for (let index = 0; index < connections; index += 50)
        await Promise.all(Array.from({ length: 50 }, (_, i) => open(index + i)));
    await sleep(1000);
    const cost = (residentKiB(pid) - before) / connections;
    for (const socket of sockets) socket.destroy();
    return Math.round(cost * 10) / 10;
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html */
function residentKiB(pid: number): number {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? NaN);
}
