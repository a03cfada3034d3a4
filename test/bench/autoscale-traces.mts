import Table from "cli-table3";
import { autoscalePool, dropscale, type Outcome, podAutoscaler, replay } from "./traces/scalers.mts";
import { randomFrom, traces } from "./traces/traces.mts";
import type { Trace } from "./traces/pool.mts";

/** What three scalers make of a trace. */
export interface TraceRow {
    trace: Trace;
    ours: Outcome;
    autoscalePool: Outcome;
    podAutoscaler: Outcome;
}

/** Every trace by every scaler; the same each time. */
export function replayTraces(): TraceRow[] {
    return traces.map((trace) => ({
        trace,
        ours: replay(trace, dropscale(trace, randomFrom(11))),
        autoscalePool: replay(trace, autoscalePool(trace)),
        podAutoscaler: replay(trace, podAutoscaler(trace)),
    }));
}
const cells = ({ underSeconds, serverHours, changes, most }: Outcome) =>
    [String(underSeconds), serverHours.toFixed(1), String(changes), String(most)].join(" / ");

if (process.argv[1] === import.meta.filename) {
    const table = new Table({
        head: ["trace", "dropscale", "DO pool", "HPA", ""],
        style: { head: [], border: [], compact: true },
    });
    for (const row of replayTraces())
        table.push([
            row.trace.name,
            cells(row.ours),
            cells(row.autoscalePool),
            cells(row.podAutoscaler),
            row.trace.remark,
        ]);
    console.log(table.toString());
}
