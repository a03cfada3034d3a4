import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { mask } from "../cli/mask";
import { clock, coloursFor, isInteractive, rest, stopOn } from "../cli/terminal";
import { Watch } from "../live/watch";
import { readOutputs, type StackOutputs } from "../pulumi/run";
import { StackConfig } from "../pulumi/stack-config";
import { frame, logLine, type Scene, sparkSeconds } from "./frame";

/** How often HAProxy is asked, in seconds: on a terminal, and for a log. */
const terminalSeconds = 1;
const logSeconds = 5;

/** The alternate screen without a cursor, and back. https://invisible-island.net/xterm/ctlseqs/ctlseqs.html */
const enter = "\x1b[?1049h\x1b[?25l";
const leave = "\x1b[?25h\x1b[?1049l";

/** A stack's pool as HAProxy sees it, live; without a terminal, a line for each change. Ends with q or Ctrl-C. */
export async function top(stack: string): Promise<void> {
    // Before the terminal is taken: there may be no such stack.
    let outputs: StackOutputs | undefined = await readOutputs(stack);
    let scene: Scene = { ...about(stack, outputs), looks: [], problem: undefined };
    let watch: Watch | undefined;
    const isTerminal = isInteractive();
    const stop = stopOn("SIGINT", "SIGTERM", "SIGHUP");
    if (isTerminal) open(stop);
    try {
        for (let said = ""; !stop.signal.aborted;) {
            const startedMs = Date.now();
            try {
                if (!watch) {
                    // Each time anew: the load balancer or its key may be another one since the connection broke.
                    outputs ??= await readOutputs(stack);
                    scene = { ...scene, ...about(stack, outputs) };
                    watch = new Watch(outputs);
                }
                const reading = await watch.look();
                const since = startedMs - sparkSeconds * 1000;
                const looks = [...scene.looks, { atMs: Date.now(), reading }].filter(
                    ({ atMs }) => atMs >= since,
                );
                scene = { ...scene, looks, problem: undefined };
            } catch (error) {
                watch?.close();
                watch = outputs = undefined;
                scene = { ...scene, problem: mask((error as Error).message) };
            }
            if (isTerminal) draw(scene);
            else said = log(scene, said);
            const seconds = isTerminal ? terminalSeconds : logSeconds;
            await rest(startedMs + seconds * 1000 - Date.now(), stop.signal);
        }
    } finally {
        watch?.close();
        process.stdin.pause();
    }
}

/** What HAProxy does not know. */
function about(stack: string, { url, monthlyCost, servers }: StackOutputs): Omit<Scene, "looks" | "problem"> {
    return { stack, url, monthlyCost, wanted: servers.length, autoscale: settingsOf(stack) };
}

/** None where the folder has no config of the stack, or a wrong one: a preview says what is wrong. */
function settingsOf(stack: string): AutoscaleSettings | undefined {
    try {
        return new StackConfig(stack).readAutoscale();
    } catch {
        return undefined;
    }
}

/** In raw mode Ctrl-C and Ctrl-D are keys like any other. */
const quitKeys = ["q", "\u0003", "\u0004"];

/** However this process ends, the terminal is as it was. */
function open(stop: AbortController): void {
    process.stdout.write(enter);
    process.once("exit", () => {
        if (process.stdin.isTTY) process.stdin.setRawMode(false);
        process.stdout.write(leave);
    });
    process.stdin.setRawMode(true);
    process.stdin.on("data", (keys: Buffer) => {
        if (quitKeys.some((key) => keys.includes(key))) stop.abort();
    });
}

/** In place, each line to its end: nothing flickers. */
function draw(scene: Scene): void {
    const { columns, rows } = process.stdout;
    const lines = frame(scene, coloursFor(process.stdout), columns, rows);
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`);
}

function log(scene: Scene, said: string): string {
    const { text, key } = logLine(scene);
    if (key !== said) console.log(`${clock()}  ${text}`);
    return key;
}
