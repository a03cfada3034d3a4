import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../../sandbox/progress.ts";
import type { SshTarget } from "../../tools/live/ssh.ts";
import { type KindResult, startLoad } from "./load.mts";
import { firstRequests, leastUp, Sampler } from "./sampler.mts";

/** What is measured: this program, or what it replaces. */
export interface System {
    readonly system: "dropscale" | "DOProxy";
    readonly url: string;
    readonly loadBalancer: SshTarget;
}

/** One change under load. */
export interface Row {
    scenario: string;
    change: string;
    system: System["system"];
    /** How long the change took, in seconds. */
    seconds: number;
    /** Servers that HAProxy held for good, at the worst moment. */
    leastServers: number;
    /** From the beginning of the change until the last new server was seen with a request, in seconds. */
    lastFirstRequestSeconds?: number;
    /** What can't be saved by anybody, and why; see {@link RowOptions.cut}. */
    cutBecause?: string;
    cutKinds: readonly string[];
    load: KindResult[];
}

/** What {@link measure} is told of a change. */
export interface RowOptions {
    /** Name of the scenario. */
    scenario: string;
    /** In a few words. */
    change: string;
    /**
     * Kinds of requests that no load balancer can save in this change: their failures are shown apart. Everything
     * else must be 0.
     */
    cut?: { because: string; kinds: readonly string[] };
}

/** How long the load runs before the change, and after it, in seconds. */
const beforeSeconds = 3;
const afterSeconds = 3;

/** Makes a change under load. */
export async function measure(
    say: Progress,
    system: System,
    { scenario, change, cut }: RowOptions,
    work: () => Promise<void>,
): Promise<Row> {
    const sampler = new Sampler(system.loadBalancer);
    const load = startLoad(system.url);
    try {
        await sleep(beforeSeconds * 1000);
        const start = Date.now();
        await say.step(`${system.system}: ${change}`, work);
        const seconds = (Date.now() - start) / 1000;
        await sleep(afterSeconds * 1000);
        const samples = await sampler.stop();
        const results = await load.stop();
        const last = Math.max(...firstRequests(samples).values());
        const row: Row = {
            scenario,
            change,
            system: system.system,
            seconds,
            leastServers: leastUp(samples),
            ...(last > 0 && { lastFirstRequestSeconds: (last - start) / 1000 }),
            ...(cut && { cutBecause: cut.because }),
            cutKinds: cut?.kinds ?? [],
            load: results,
        };
        say.log(summary(row));
        return row;
    } catch (error) {
        await Promise.all([sampler.stop(), load.stop()]);
        throw error;
    }
}

/** Requests that a row's load sent, and what failed of them: by right (0 is the goal) and otherwise. */
export function totals({ load, cutKinds }: Row): { sent: number; lost: number; cut: number } {
    const failed = (kinds: KindResult[]) =>
        kinds.flatMap(({ failed }) => Object.values(failed)).reduce((sum, count) => sum + count, 0);
    return {
        sent: load.reduce((sum, { sent }) => sum + sent, 0),
        lost: failed(load.filter(({ kind }) => !cutKinds.includes(kind))),
        cut: failed(load.filter(({ kind }) => cutKinds.includes(kind))),
    };
}

/** `GET, kept alive: 3 × status 503; 5 s stream: 1 × cut off`; empty if nothing failed. */
export function failures({ load }: Row): string {
    return load
        .filter(({ failed }) => Object.keys(failed).length > 0)
        .map(
            ({ kind, failed }) =>
                `${kind}: ${Object.entries(failed)
                    .map(([what, count]) => `${count} × ${what}`)
                    .join(", ")}`,
        )
        .join("; ");
}

function summary(row: Row): string {
    const { sent, lost, cut } = totals(row);
    const why = failures(row);
    return `${sent} requests, ${lost} lost, ${cut} cut; at least ${row.leastServers} servers${why && `; ${why}`}`;
}
