import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { mask } from "../cli/mask";
import { clock, coloursFor, rest, stopOn } from "../cli/terminal";
import { useAccountOf } from "../live/api";
import { conflictWith, type Heartbeat } from "../live/heartbeat";
import { readHistory } from "../history/read";
import { StackConfig } from "../pulumi/stack-config";
import { commitHand } from "./commit-hand";
import { CpuWatch } from "./cpu";
import { type Hand, upHand } from "./hands";
import { Looker } from "./looker";
import { AutoscalerMetrics, serveMetrics } from "./metrics";
import type { Decision } from "./model";
import { otherHandAtWork } from "./other-hand";
import { Scaler } from "./scaler";
import { readWanted } from "./wanted";

export interface AutoscaleOptions {
    /** @default dev */
    stack: string;
    /** How changes are made. @default none is: what would be done is printed */
    apply?: Hand["name"];
    /** Look, decide, act, and end, for a timer. @default false */
    once?: boolean;
    /** Show pulumi's output only where it fails. @default false */
    quiet?: boolean;
    /** Serve metrics for Prometheus on this port of 127.0.0.1; not with `once`. @default none are served */
    metricsPort?: number;
}

/** How often HAProxy is asked, in seconds. */
const lookSeconds = 5;
/** Looks of a run with `--once`; the runs before it made the rest of a window. */
const onceLooks = 3;
/** How often a timer begins such a run, in seconds. */
const timerSeconds = 60;
/** How far back the stack's history is searched for another hand. */
const entriesAsked = 20;
/** The same words are printed again after so many seconds. */
const repeatSeconds = 600;

/**
 * Watches a stack's pool, and scales it.
 *
 * @returns The exit code: 0, or 2 with `once` where something is wrong that a person should know.
 * @throws Error where it can't begin: no `autoscale` in the config, another autoscaler at work, no such stack.
 */
export async function autoscale(options: AutoscaleOptions): Promise<number> {
    const { stack, apply, once = false, quiet = false, metricsPort } = options;
    const config = new StackConfig(stack);
    // What is wrong in the file is said at once.
    const { settings } = readWanted(config);
    const hand = { up: () => upHand(stack, config, quiet), commit: () => commitHand(config) };
    const cpu = new CpuWatch(stack, print);
    const scaler = new Scaler(stack, config, print, apply && hand[apply](), cpu);
    // A dry run asks the account for nothing else; where a pipeline applies, a token in the environment serves for it.
    if (apply === "up" || (apply === undefined && settings.cpu > 0)) await useAccountOf(stack);
    const other = apply && otherHandAtWork(await readHistory(stack, entriesAsked), apply, Date.now());
    if (other) throw new Error(other);
    const metrics = new AutoscalerMetrics();
    const server = metricsPort === undefined ? undefined : await serveMetrics(metrics, metricsPort);
    const looker = new Looker(stack, { alone: apply !== undefined });
    const stop = stopOn("SIGINT", "SIGTERM");
    const say = speaker();
    try {
        let look = await looker.begin();
        const conflict =
            apply &&
            "reading" in look &&
            conflictWith(look.reading.heartbeat, { host: hostname(), hand: apply });
        if (conflict) throw new Error(conflict);
        for (let looks = 1; ; looks++) {
            const isLast = once && looks >= onceLooks;
            const decision: Told = await scaler.round(look, !once || isLast).catch(unreadable);
            say(decision);
            metrics.tell({ look, decision, settings: scaler.settings });
            const everySeconds = once ? timerSeconds : lookSeconds;
            if (apply) looker.heartbeat = heartbeat(apply, everySeconds, decision);
            if (isLast) {
                const problem = await lookUntil(scaler.settle(), looker);
                if (problem !== undefined) print(problem);
                return decision.alarming || problem !== undefined ? 2 : 0;
            }
            await rest(lookSeconds * 1000, stop.signal);
            if (stop.signal.aborted) {
                // A last word, so that nobody wonders why it is silent. A timer's next run says more; where nobody
                // answered just now, nobody would hear it.
                if (apply && !once && "reading" in look) {
                    await lookUntil(scaler.settle(), looker);
                    looker.heartbeat = heartbeat(apply, everySeconds, stopped);
                    await looker.look();
                }
                return 0;
            }
            look = await looker.look();
        }
    } finally {
        await scaler.settle();
        looker.close();
        server?.close();
        server?.closeAllConnections();
    }
}

/** What people are told of a decision. */
type Told = Pick<Decision, "action" | "reason" | "alarming"> & Partial<Pick<Decision, "replicas">>;

/** What others find on the load balancer. */
function heartbeat(
    hand: Heartbeat["hand"],
    everySeconds: number,
    { action, reason, alarming = false, stopped }: Told & Pick<Heartbeat, "stopped">,
): string {
    const who = { host: hostname(), pid: process.pid, hand, everySeconds };
    const word: Heartbeat = { ...who, action, reason: mask(reason), alarming, stopped };
    return JSON.stringify(word);
}

const stopped = { action: "none", reason: "stopped", stopped: true } as const;

/** A file that somebody is just editing, say: it is looked at again. */
const unreadable = (error: unknown): Told => ({
    action: "none",
    reason: `nothing is changed: ${(error as Error).message}`,
    alarming: true,
});

/** Who does not look for a minute has no lock on the load balancer any more. */
async function lookUntil<T>(ended: Promise<T>, looker: Looker): Promise<T> {
    const hasEnded = ended.then(() => true);
    do await looker.look();
    while (!(await Promise.race([hasEnded, sleep(lookSeconds * 1000, false)])));
    return ended;
}

function print(text: string): void {
    const { dim } = coloursFor(process.stdout);
    console.log(`${dim(clock())}  ${mask(text)}`);
}

/** Prints each decision that says something new; figures alone are nothing new. */
function speaker(): (decision: Told) => void {
    const { yellow, bold } = coloursFor(process.stdout);
    let said = { words: "", atMs: 0 };
    return ({ action, reason, alarming }) => {
        const words = `${action} ${reason.replace(/\d+/g, "")}`;
        const nowMs = Date.now();
        if (words === said.words && nowMs - said.atMs < repeatSeconds * 1000) return;
        said = { words, atMs: nowMs };
        const colour = alarming ? yellow : action === "none" ? (text: string) => text : bold;
        print(colour(reason));
    };
}
