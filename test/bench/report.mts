import Table from "cli-table3";
import { cacheTable } from "./cache-figures.mts";
import type { Goal } from "./goals.mts";
import { failures, type Row, totals } from "./measure.mts";
import type { Measured } from "./scenarios.mts";
import { slowKinds } from "./slow-clients.mts";

const heads = [
    "change",
    "by",
    "takes s",
    "short requests",
    "lost",
    "slow ones",
    "lost",
    "cut",
    "idle closed",
    "p50 ms",
    "p99 ms",
    "max ms",
    "least servers",
];

/** Cells of a row, as text. Latencies are those of short requests: the worse one of kept-alive and fresh connections. */
function cells(row: Row): string[] {
    const isSlow = (kind: string) => slowKinds.some(({ name }) => name === kind);
    const short = row.load.filter(({ kind }) => !isSlow(kind));
    const shortTotals = totals({ ...row, load: short });
    const slowTotals = totals({ ...row, load: row.load.filter(({ kind }) => isSlow(kind)) });
    const worst = (key: "p50Ms" | "p99Ms" | "maxMs", digits: number) =>
        Math.max(...short.map((result) => result[key])).toFixed(digits);
    return [
        row.change,
        row.system,
        row.seconds.toFixed(0),
        grouped(shortTotals.sent),
        grouped(shortTotals.lost),
        grouped(slowTotals.sent),
        grouped(slowTotals.lost),
        row.cutBecause ? grouped(shortTotals.cut + slowTotals.cut) : "",
        grouped(short.reduce((sum, { idleClosed }) => sum + idleClosed, 0)),
        worst("p50Ms", 1),
        worst("p99Ms", 0),
        worst("maxMs", 0),
        String(row.leastServers),
    ];
}

/** 1234567 as 1,234,567. */
function grouped(count: number): string {
    return count.toLocaleString("en-US");
}

/** The rows in the order of scenarios, each of ours followed by DOProxy's. */
export function ordered(rows: readonly Row[]): Row[] {
    const key = ({ scenario, change }: Row) => `${scenario} ${change}`;
    const keys = [...new Set(rows.map(key))];
    return [...rows].sort((a, b) => keys.indexOf(key(a)) - keys.indexOf(key(b)));
}

/** For a terminal. */
export function terminalTable(rows: readonly Row[]): string {
    const table = new Table({ head: heads, style: { head: [], border: [], compact: true } });
    for (const row of ordered(rows)) table.push(cells(row));
    return table.toString();
}

/** For RESULTS.md: the table, and what failed in each row, by kind. */
export function markdownTable(rows: readonly Row[]): string {
    const line = (texts: string[]) => `| ${texts.join(" | ")} |`;
    const lines = [
        line(heads),
        line(heads.map(() => "---")),
        ...ordered(rows).map((row) => line(cells(row))),
    ];
    const failed = ordered(rows)
        .filter((row) => failures(row) !== "")
        .map((row) => {
            const why = row.cutBecause ? ` (cut: ${row.cutBecause})` : "";
            return `- ${row.change}, ${row.system}: ${failures(row)}${why}`;
        });
    return [...lines, ...(failed.length > 0 ? ["", "What failed:", "", ...failed] : [])].join("\n");
}

/** For both: each figure, what was aimed at, and whether it is that. */
export function goalLines(goals: readonly Goal[]): string {
    return goals
        .map(
            ({ what, found, wanted, met }) =>
                `- ${met ? "" : "NOT MET: "}${what}: ${found}; wanted: ${wanted}`,
        )
        .join("\n");
}

/** What the figures depend on. */
export interface Machine {
    cores: number;
    memoryGiB: number;
    /** Name and version of each program that matters. */
    versions: Record<string, string>;
}

/**
 * The text of RESULTS.md.
 *
 * @param date ISO 8601.
 */
export function resultsPage(
    measured: Measured,
    goals: readonly Goal[],
    machine: Machine,
    date: string,
): string {
    const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
    const previews = (measured.previews ?? []).map(
        ({ servers, seconds, peakMiB, cpuSeconds }) =>
            `| ${servers} | ${seconds.toFixed(1)} | ${peakMiB} | ${Object.entries(cpuSeconds)
                .map(([name, used]) => `${name} ${used.toFixed(1)}`)
                .join(", ")} |`,
    );
    const traces = measured.traces
        ? `\n## The autoscaler on replayed traces\n\nOurs · DigitalOcean's autoscale pool · Kubernetes' HPA: docs/autoscaling.md.\n\n${measured.traces}\n`
        : "";
    const cache = measured.cache
        ? `\n## The cache\n\nOne server of userdata/varnish.yaml with 1 vCPU: docs/caching.md.\n\n${cacheTable(measured.cache)}\n`
        : "";
    return `# What each change loses, and how long it takes

\`make bench\`, ${date.slice(0, 10)}, on ${machine.cores} cores and ${machine.memoryGiB} GiB of memory (${versions.join(", ")}), which carry
droplets, load balancer and clients together. Clients ask from outside the load balancer: short requests by wrk over
kept-alive and over fresh connections, and beside them ${slowKinds.map(({ name, clients }) => `${clients} × ${name}`).join(", ")}.

Lost: requests that a better load balancer would have answered. Cut: those that nobody could have saved, named below.
Idle closed: connections that ended under a client without a request on them; it has to open another. Latencies are of
short requests, the worse of both kinds. Least servers: what HAProxy held for good at the worst moment. DOProxy: the
steps of the [article](${doProxyArticle}), on the same cloud with the same servers.

${markdownTable(measured.rows)}

## Against what was aimed at

${goalLines(goals)}

## Previews from nothing

| servers | seconds | peak MiB | CPU seconds |
| --- | --- | --- | --- |
${previews.join("\n")}
${traces}${cache}`;
}

const doProxyArticle =
    "https://www.digitalocean.com/community/tutorials/how-to-automate-the-scaling-of-your-web-application-on-digitalocean";
