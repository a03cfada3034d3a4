import Table from "cli-table3";
import { failures, type Row, totals } from "./measure.mts";
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
