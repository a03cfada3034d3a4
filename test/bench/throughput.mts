import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { HttpsOptions } from "../../components/haproxy/https.ts";
import { renderHaproxyConfig } from "../../components/haproxy/render.ts";
import type { Progress } from "../../sandbox/progress.ts";
import { declaredKeys } from "../stack-config.ts";
import { cpuSeconds, freePort, median, Proxies, serverConfig, tenLines } from "./proxies.mts";

/** One configuration under as much load as wrk can make. */
export interface Throughput {
    configuration: string;
    /** Median of the rounds. */
    requestsPerSecond: number;
    /** Over the first configuration just before, median of the rounds: a machine's speed changes from second to second. */
    ratio: number;
    /** Of the HAProxy that is measured, median of the rounds. */
    cpuMicrosecondsPerRequest: number;
}

const rounds = 15;
const secondsPerRound = 1;

/**
 * Requests a second through our haproxy.cfg, through a ten-line one, and through variants of ours, in turn, on loopback:
 * one HAProxy as the proxy under test, one as the server behind it. In ours only what the machine dictates differs: port,
 * socket and `/dev/log`, which is a socket that somebody reads, as journald would.
 */
export async function benchThroughput(say: Progress): Promise<Throughput[]> {
    const proxies = new Proxies();
    try {
        const behind = await freePort();
        await proxies.start("server", serverConfig(behind), behind);
        const subjects = new Map<string, Subject>();
        for (const [name, { render, headers = [] }] of Object.entries(configurations)) {
            const port = await freePort();
            const { logSocket, folder } = proxies;
            const pid = await proxies.start(
                `proxy-${port}`,
                render({ port, behind, logSocket, folder }),
                port,
            );
            subjects.set(name, { port, pid, headers, rate: [], cpu: [], ratio: [] });
        }
        await say.step(`full load on ${[...subjects.keys()].join("; ")}, in ${rounds} rounds`, async () => {
            const [first, ...others] = subjects.values();
            if (first === undefined) return;
            for (let round = 0; round < rounds; round++)
                for (const each of others) {
                    // Its own numbers are those of short requests.
                    const { headers } = each;
                    const before = await load(
                        headers.length === 0 ? first : { ...first, headers, rate: [], cpu: [] },
                    );
                    each.ratio.push((await load(each)) / before);
                }
        });
        return [...subjects].map(([configuration, { rate, ratio, cpu }]) => ({
            configuration,
            requestsPerSecond: Math.round(median(rate)),
            ratio: ratio.length === 0 ? 1 : median(ratio),
            cpuMicrosecondsPerRequest: Math.round(median(cpu) * 10) / 10,
        }));
    } finally {
        proxies.stop();
    }
}

interface Subject {
    port: number;
    pid: number;
    headers: readonly string[];
    /** Requests a second of each round. */
    rate: number[];
    /** Microseconds of CPU a request, of each round. */
    cpu: number[];
    /** Requests a second over those of the first configuration just before. */
    ratio: number[];
}

/** A round; its requests a second. */
async function load({ port, pid, headers, rate, cpu }: Subject): Promise<number> {
    const before = cpuSeconds(pid);
    const { requests, seconds } = await fullLoad(port, headers);
    rate.push(requests / seconds);
    cpu.push(((cpuSeconds(pid) - before) * 1e6) / requests);
    return requests / seconds;
}

/** What only this machine decides. */
export interface Place {
    port: number;
    behind: number;
    logSocket: string;
    folder: string;
}

interface Configuration {
    render: (place: Place) => string;
    /** Of the requests, here and to the first configuration just before; none by default. */
    headers?: readonly string[];
}

/** As a browser sends them for a page that it was led to from another one. */
const browserHeaders = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Referer: http://www.example.com/some/page.html",
    "Connection: keep-alive",
    "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Priority: u=0, i",
];

/** By name; the first one is what the others are measured against. */
const configurations: Record<string, Configuration> = {
    "ten lines": { render: (place) => tenLines(place) },
    ours: { render: (place) => ours(place) },
    "ours, a browser's headers": { render: (place) => ours(place), headers: browserHeaders },
    "ours, without its log": { render: (place) => ours(place).replace(/^ {4}log .*\n/m, "") },
    "ours, one request in 100 logged": { render: (place) => ours(place, { logOneIn: 100 }) },
    "ours, every request logged": { render: (place) => ours(place, { logOneIn: 1 }) },
    // With another server to go to, HAProxy keeps a copy of each request until its answer begins.
    "ours, two servers": { render: (place) => ours(place, { addresses: ["127.0.0.1", "127.0.0.2"] }) },
};

/** As the stack's config makes it where it sets nothing. */
export function ours(
    { port, behind, logSocket, folder }: Place,
    {
        logOneIn = Number(declaredKeys.logOneIn?.default),
        addresses = ["127.0.0.1"],
        https,
    }: { logOneIn?: number; addresses?: string[]; https?: HttpsOptions } = {},
): string {
    const text = renderHaproxyConfig({
        appPort: behind,
        healthPath: "/healthz",
        healthHost: "health-check",
        serverTimeoutSeconds: Number(declaredKeys.serverTimeoutSeconds?.default),
        drainSeconds: Number(declaredKeys.drainSeconds?.default),
        trustedProxies: [],
        logOneIn,
        ...(https && { https }),
        servers: addresses.map((address, slot) => ({ name: `web-${slot}`, address })),
    });
    return text
        .replace("bind :80", `bind 127.0.0.1:${port}`)
        .replace("/run/haproxy/admin.sock", path.join(folder, `admin-${port}`))
        .replace("log /dev/log", `log ${logSocket}`);
}

/** @throws Error if a request fails: a wrong answer is a fast one. */
async function fullLoad(
    port: number,
    headers: readonly string[],
): Promise<{ requests: number; seconds: number }> {
    const url = `http://127.0.0.1:${port}/`;
    const options = ["-t1", "-c32", `-d${secondsPerRound}s`, ...headers.flatMap((each) => ["-H", each]), url];
    const { stdout } = await promisify(execFile)("wrk", options);
    const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(stdout) ?? [];
    if (!requests || !seconds || /Socket errors|Non-2xx/.test(stdout))
        throw new Error(`requests failed under full load:\n${stdout}`);
    return { requests: Number(requests), seconds: Number(seconds) };
}
