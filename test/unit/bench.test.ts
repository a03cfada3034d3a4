import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { withApp } from "../bench/app.mts";
import { cacheTable, type Way } from "../bench/cache-figures.mts";
import { goals } from "../bench/goals.mts";
import { failures, type Row, totals } from "../bench/measure.mts";
import { goalLines, markdownTable, ordered, resultsPage, terminalTable } from "../bench/report.mts";
import { firstRequests, leastUp, parseSamples } from "../bench/sampler.mts";
import { median } from "../bench/proxies.mts";
import { parseWrk } from "../bench/wrk-report.mts";

const clean = {
    sent: 1000,
    answered: 1000,
    connect: 0,
    read: 0,
    write: 0,
    slow: 0,
    statuses: {},
    otherPages: 0,
    firstFailure: 0,
    lastFailure: 0,
    p50Ms: 1,
    p99Ms: 20,
    maxMs: 30,
};
const printed = (changes: Partial<typeof clean> | { statuses: Record<string, number> }) =>
    `Running 60m test @ http://x/\n${JSON.stringify({ ...clean, ...changes })}\n`;

describe("parseWrk", () => {
    it("finds nothing wrong where nothing is", () => {
        expect(parseWrk(printed({}))).toEqual({
            sent: 1000,
            failed: {},
            idleClosed: 0,
            p50Ms: 1,
            p99Ms: 20,
            maxMs: 30,
        });
    });
    it("counts what was never answered, of which wrk says nothing", () => {
        expect(parseWrk(printed({ answered: 997 })).failed).toEqual({ "no answer": 3 });
    });
    it("tells a request that was cut from a connection that was closed without one", () => {
        expect(parseWrk(printed({ answered: 998, read: 5, write: 1 }))).toMatchObject({
            failed: { "no answer": 2 },
            idleClosed: 4,
        });
    });
    it("counts wrong answers by status, other pages, and when they came", () => {
        const wrong = { statuses: { 502: 2, 503: 1 }, otherPages: 4, firstFailure: 10, lastFailure: 12 };
        expect(parseWrk(printed(wrong))).toMatchObject({
            failed: { "status 502": 2, "status 503": 1, "another page": 4 },
            first: "1970-01-01T00:00:10.000Z",
            last: "1970-01-01T00:00:12.000Z",
        });
    });
    it("says in wrk's words that it did not start", () => {
        expect(() => parseWrk("unable to connect to x:80 Connection refused\n")).toThrow(
            "wrk counted nothing: unable to connect to x:80 Connection refused",
        );
    });
});

describe("samples of HAProxy's servers", () => {
    const samples = parseSamples(
        [
            "100.5\tweb-0\tUP\t7\tweb-1\tDOWN\t3",
            "101.0",
            "101.5\tweb-0\tUP 1/2\t0\tweb-1\tno check\t0\tweb-2\tUP\t0",
            "102.0\tweb-0\tUP\t1\tweb-1\tUP\t2\tweb-2\tUP\t4",
            "102.5\tweb-0\tUP\t1\twe",
        ].join("\n"),
    );
    it("leaves out lines that say nothing or are cut short", () => {
        expect(samples.map(({ at }) => at)).toEqual([100_500, 101_500, 102_000]);
    });
    it("knows the worst moment", () => {
        expect(leastUp(samples)).toBe(1);
    });
    it("knows when a new server had its first request", () => {
        expect([...firstRequests(samples)]).toEqual([["web-2", 102_000]]);
    });
});

const kind = (name: string, sent: number, failed: Record<string, number> = {}) => ({
    kind: name,
    sent,
    failed,
    idleClosed: 0,
    p50Ms: 1,
    p99Ms: 2,
    maxMs: 3,
    failures: [],
});
const row = (changes: Partial<Row>): Row => ({
    scenario: "scale",
    change: "+1",
    system: "dropscale",
    seconds: 20,
    leastServers: 3,
    cutKinds: [],
    load: [kind("GET, kept alive", 1_000_000), kind("2 s GET", 200)],
    ...changes,
});

describe("the report", () => {
    const dead = row({
        scenario: "dead",
        change: "killed",
        cutBecause: "it died",
        cutKinds: ["5 s stream"],
        load: [kind("GET, kept alive", 5000, { "status 503": 2 }), kind("5 s stream", 9, { "cut off": 1 })],
    });
    it("tells lost requests from those that nobody could have saved", () => {
        expect(totals(dead)).toEqual({ sent: 5009, lost: 2, cut: 1 });
        expect(failures(dead)).toBe("GET, kept alive: 2 × status 503; 5 s stream: 1 × cut off");
    });
    it("puts DOProxy's rows under ours", () => {
        const theirs = row({ system: "DOProxy" });
        expect(ordered([row({}), dead, theirs])).toEqual([row({}), theirs, dead]);
    });
    it("shows all of it, in a terminal and as Markdown", () => {
        const text = markdownTable([row({}), dead]);
        expect(text).toContain("| +1 | dropscale | 20 | 1,000,000 | 0 | 200 | 0 |  | 0 | 1.0 | 2 | 3 | 3 |");
        expect(text).toContain("| killed | dropscale | 20 | 5,000 | 2 | 9 | 0 | 1 | 0 |");
        expect(text).toContain("5 s stream: 1 × cut off (cut: it died)");
        expect(terminalTable([row({})])).toContain("1,000,000");
    });
});

describe("goals", () => {
    const row8 = row({ scenario: "scale-8", change: "+8", seconds: 60 });
    const measured = {
        rows: [
            row({ lastFirstRequestSeconds: 18 }),
            row8,
            row({ system: "DOProxy", seconds: 16 }),
            { ...row8, system: "DOProxy" as const, seconds: 120 },
        ],
        bootSeconds: { 1: 8, 8: 42 },
        throughput: [
            {
                configuration: "ten lines",
                requestsPerSecond: 10_000,
                ratio: 1,
                cpuMicrosecondsPerRequest: 50,
            },
            { configuration: "ours", requestsPerSecond: 9000, ratio: 0.9, cpuMicrosecondsPerRequest: 60 },
            {
                configuration: "ours, without its log",
                requestsPerSecond: 9800,
                ratio: 0.98,
                cpuMicrosecondsPerRequest: 52,
            },
        ],
        previews: [3, 100, 1000].map((servers) => ({
            servers,
            seconds: servers / 10 + 3,
            peakMiB: servers,
            cpuSeconds: {},
        })),
    };
    it("compares each figure with what was wanted", () => {
        const found = goals(measured).map(({ what, met }) => [what.split(/[,:]/)[0], met]);
        expect(found).toEqual([
            ["short requests", true],
            ["two-second requests", true],
            ["+1", true],
            ["+8 over +1", true],
            ["DOProxy's +8 over ours", false],
            ["the same where droplets do not share cores", true],
            ["throughput of our haproxy.cfg over ten lines", false],
            ["preview of three servers", true],
            ["preview of 1", true],
            ["memory of the preview of 1", true],
        ]);
        // (60 - 42) / (20 - 8); 120 / 60; 8 x 16 / (60 - 42 + 8)
        const text = goalLines(goals(measured));
        expect(text).toContain("1.50 times (+8: 60.0 s");
        expect(text).toContain("- NOT MET: DOProxy's +8 over ours: 2.00 times");
        expect(text).toContain("4.92 times (128.0 and 26.0 s)");
        expect(text).toContain(
            "0.90 (9000 and 10000 requests a second; CPU a request 60.0 and 50.0 µs; without its log 0.98 and 52.0 µs)",
        );
    });
    it("stand in RESULTS.md with the command, the date and the machine", () => {
        const machine = { cores: 2, memoryGiB: 24, versions: { wrk: "4.1.0" } };
        const page = resultsPage(measured, goals(measured), machine, "2026-11-22T16:00:00.000Z");
        expect(page).toMatch(/^`make bench`, 2026-11-22, on 2 cores and 24 GiB of memory \(wrk 4\.1\.0\)/m);
        expect(page).toContain("| +8 | DOProxy | 120 |");
        expect(page).toContain("- NOT MET: throughput of our haproxy.cfg");
        expect(page).toContain("| 1000 | 103.0 | 1000 |  |");
    });
    it("is not met by one lost request", () => {
        const lost = row({ load: [kind("GET, kept alive", 1_000_000, { "no answer": 1 })] });
        const [short] = goals({ rows: [lost], bootSeconds: {} });
        expect(short).toMatchObject({ met: false, found: "1 of 1,000,000 lost, and 0 cut as said" });
    });
    it("judges TLS by handshakes and requests of HTTP/1.1, and by memory", () => {
        const rate = (kind: string, ratio: number) => ({
            ...{ kind, ratio, perSecond: { ours: 950, tenLines: 1000 } },
            cpuMicroseconds: { ours: 60, tenLines: 50 },
        });
        const tls = {
            rates: [rate("handshakes, HTTP/1.1", 0.94), rate("requests, HTTP/2", 0.5)],
            memory: [{ state: "idle", plainKiB: 10, tlsKiB: 43 }],
        };
        expect(goals({ rows: [], bootSeconds: {}, tls }).map(({ met, found }) => [met, found])).toEqual([
            [false, "0.94 (950 and 1000 a second; CPU 60 and 50 µs each)"],
            [true, "0.50 (950 and 1000 a second; CPU 60 and 50 µs each)"],
            [false, "33.0 KiB (43.0 and 10.0)"],
        ]);
    });
    it("judges the cache by how much faster a page is that is worth it", () => {
        const figure = (pageMs: number, way: Way, requestsPerSecond: number) => ({
            ...{ pageMs, way, requestsPerSecond, p99Ms: 5 },
            cpuMsPerRequest: 900 / requestsPerSecond,
        });
        const cache = [1, 10].flatMap((pageMs) => [
            figure(pageMs, "nginx and PHP-FPM", 100),
            figure(pageMs, "from the cache", 1800),
        ]);
        expect(goals({ rows: [], bootSeconds: {}, cache }).map(({ met, found }) => [met, found])).toEqual([
            [
                true,
                "18.0 times (1800 and 100.0 requests a second), 18 times less CPU (0.500 and 9.00 ms a request)",
            ],
            [
                false,
                "18.0 times (1800 and 100.0 requests a second), 18 times less CPU (0.500 and 9.00 ms a request)",
            ],
        ]);
        expect(cacheTable(cache)).toContain("| 10 ms | from the cache | 1,800 | 5.0 | 0.50 | 18.0 | 18.0 |");
    });
    it("says nothing of what was not measured", () => {
        expect(goals({ rows: [], bootSeconds: {} })).toEqual([]);
    });
});

it("puts the app behind the site of userdata/nginx.yaml, and into its health path", () => {
    const text = readFileSync(path.join(__dirname, "../../userdata/nginx.yaml"), "utf8");
    const { write_files, runcmd } = parse(withApp(text)) as {
        write_files: { path: string; content: string }[];
        runcmd: string[];
    };
    expect(withApp(text)).toMatch(/^#cloud-config\n/);
    const site = write_files.find((file) => file.path.includes("nginx"))?.content ?? "";
    expect(site).toMatch(/location = \/healthz \{[^}]*proxy_pass http:\/\/127\.0\.0\.1:8000;/);
    expect(write_files.find((file) => file.path.endsWith("bench-app.py"))?.content).toContain("/slow");
    expect(runcmd.findIndex((command) => command.includes("bench-app"))).toBe(runcmd.length - 2);
    expect(() => withApp(text.replace('return 200 "ok\\n"', "return 204"))).toThrow(/adapt withApp/);
});

it("takes the middle of several rounds", () => {
    expect(median([5, 1, 3])).toBe(3);
});
