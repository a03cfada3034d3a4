import { type Outcome, autoscalePool, dropscale, podAutoscaler, replay } from "./scalers.mts";
import type { Trace } from "./pool.mts";
import { randomFrom, traces } from "./traces.mts";

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

const heads = ["trace", "s under capacity", "server-hours", "changes", "what it is"];

/** Each figure of ours, of DigitalOcean's autoscale pool, and of Kubernetes' HPA. */
export function tracesTable(rows: readonly TraceRow[]): string {
    const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
    const cells = ({ trace, ...all }: TraceRow) => {
        const three = (show: (outcome: Outcome) => string) =>
            [all.ours, all.autoscalePool, all.podAutoscaler].map(show).join(" · ");
        return [
            trace.name,
            three(({ underSeconds }) => String(underSeconds)),
            three(({ serverHours }) => serverHours.toFixed(1)),
            three(({ changes }) => String(changes)),
            trace.remark,
        ];
    };
    return [line(heads), line(heads.map(() => "---")), ...rows.map((row) => line(cells(row)))].join("\n");
}
