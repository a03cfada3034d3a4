import { clock, coloursFor, isInteractive, stopOn } from "../cli/terminal";
import { withBlindness, withLook as withEvents } from "../live/events";
import { type BlindLook, follow } from "../live/follow";
import type { TimedReading } from "../live/reading";
import { readOutputs, type StackOutputs } from "../pulumi/run";
import { autoscaleOf } from "../pulumi/stack-config";
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
    const outputs = await readOutputs(stack);
    let scene: Scene = { ...about(stack, outputs), ...nothing, nowMs: Date.now() };
    const isTerminal = isInteractive();
    const stop = stopOn("SIGINT", "SIGTERM", "SIGHUP");
    if (isTerminal) open(stop);
    try {
        let [said, known] = ["", outputs];
        const seconds = isTerminal ? terminalSeconds : logSeconds;
        for await (const { outputs: read, look } of follow(stack, outputs, seconds, stop.signal)) {
            if (read !== known) scene = { ...scene, ...about(stack, read) };
            known = read;
            scene = "problem" in look ? withoutLook(scene, look) : withLook(scene, look);
            if (isTerminal) draw(scene);
            else said = log(scene, said);
        }
    } finally {
        process.stdin.pause();
    }
}

const nothing = { looks: [], events: [], problem: undefined };

function withLook(scene: Scene, look: TimedReading): Scene {
    const since = look.atMs - sparkSeconds * 1000;
    const looks = [...scene.looks, look].filter(({ atMs }) => atMs >= since);
    const events = withEvents(scene.events, look, scene.looks.at(-1));
    return { ...scene, looks, events, problem: undefined, nowMs: look.atMs };
}

const withoutLook = (scene: Scene, { atMs, problem }: BlindLook): Scene => ({
    ...scene,
    events: withBlindness(scene.events, atMs, problem),
    ...{ problem, nowMs: atMs },
});

/** What HAProxy does not know. */
function about(
    stack: string,
    { url, monthlyCost, servers }: StackOutputs,
): Omit<Scene, keyof typeof nothing | "nowMs"> {
    return { stack, url, monthlyCost, wanted: servers.length, autoscale: autoscaleOf(stack) };
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
