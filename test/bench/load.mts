import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Failure, SlowClients, slowKinds } from "./slow-clients.mts";
import { type Counts, parseWrk, type WrkReport } from "./wrk-report.mts";

/** What became of the requests of one kind. */
export interface KindResult extends Counts {
    kind: string;
    /** The first {@link shownFailures} failures with their times. */
    failures: Failure[];
}

/** A load that runs. */
export interface Load {
    /** Ends it after the last answers, or the lack of them; resolves when all is counted. */
    stop: () => Promise<KindResult[]>;
}

/** How many failures of a kind are kept with their times. */
export const shownFailures = 20;
/** Kinds of short requests: the Connection header, how many connections, and how long each pauses, in ms. */
const shortKinds = [
    { kind: "GET, kept alive", connection: "keep-alive", connections: 60, pauseMs: 36 },
    { kind: "GET, fresh connection", connection: "close", connections: 24, pauseMs: 80 },
];
/** An answer that takes longer than this has failed, in seconds. */
const patienceSeconds = 10;

/**
 * Starts some 1,300 short requests a second by wrk, and slow ones beside them. Paced, so that two cores can boot
 * droplets as well.
 *
 * @param url Of the site, without a slash at its end.
 */
export function startLoad(url: string): Load {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-load-"));
    const stopFile = path.join(folder, "stop");
    const short = shortKinds.map((kind) => startWrk(url, kind, stopFile));
    const slow = slowKinds.map((kind) => new SlowClients(url, kind));
    return {
        stop: async () => {
            await Promise.all(slow.map((clients) => clients.stop()));
            writeFileSync(stopFile, "");
            await sleep(1500);
            const reports = await Promise.all(short.map((wrk) => wrk.end())).finally(() => {
                rmSync(folder, { recursive: true });
            });
            return [
                ...reports.map((report, index) => shortResult(shortKinds[index]?.kind ?? "", report)),
                ...slow.map(slowResult),
            ];
        },
    };
}

function startWrk(
    url: string,
    { connection, connections, pauseMs }: (typeof shortKinds)[number],
    stopFile: string,
): { end: () => Promise<WrkReport> } {
    const script = path.join(import.meta.dirname, "wrk.lua");
    const options = ["-t1", `-c${connections}`, "-d1h", `--timeout=${patienceSeconds}s`, "-s", script];
    const wrk = spawn("wrk", [...options, `${url}/`, "--", String(pauseMs), connection, stopFile], {
        stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [wrk.stdout, wrk.stderr])
        stream.on("data", (data: Buffer) => (output += data.toString()));
    const closed = once(wrk, "close");
    return {
        end: async () => {
            // It prints its summary, and what wrk.lua adds.
            wrk.kill("SIGINT");
            await closed;
            return parseWrk(output);
        },
    };
}

function shortResult(kind: string, report: WrkReport): KindResult {
    const { first, last, ...counts } = report;
    const failures = first && last ? [{ at: first, what: `first of those until ${last}` }] : [];
    return { kind, ...counts, failures };
}

function slowResult({ kind, sent, failures, milliseconds }: SlowClients): KindResult {
    const failed: Record<string, number> = {};
    for (const { what } of failures) failed[what] = (failed[what] ?? 0) + 1;
    const sorted = [...milliseconds].sort((a, b) => a - b);
    const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0);
    return {
        kind: kind.name,
        sent,
        failed,
        idleClosed: 0,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        maxMs: at(1),
        failures: failures.slice(0, shownFailures),
    };
}
