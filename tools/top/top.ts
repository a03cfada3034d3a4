import { clock, coloursFor, isInteractive, stopOn } from "../cli/terminal";
import { FollowedHistory } from "../history/follow";
import { Story } from "../history/story";
import { follow } from "../live/follow";
import { readOutputs } from "../pulumi/run";
import { autoscaleOf } from "../pulumi/stack-config";
import { frame, logLine, type Scene } from "./frame";

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
    const isTerminal = isInteractive();
    const stop = stopOn("SIGINT", "SIGTERM", "SIGHUP");
    if (isTerminal) open(stop);
    const story = new Story();
    const history = new FollowedHistory(stack);
    const told = history.follow((entries) => {
        story.history(entries);
    }, stop.signal);
    try {
        let said = "";
        const seconds = isTerminal ? terminalSeconds : logSeconds;
        for await (const { outputs: read, look } of follow(stack, outputs, seconds, stop.signal)) {
            const problem = "problem" in look ? look.problem : undefined;
            if ("problem" in look) story.blind(look);
            else {
                story.look(look);
                history.saw(look.reading);
            }
            const { url, monthlyCost, servers } = read;
            const situation = story.situation(stack, servers.length, autoscaleOf(stack));
            const scene = { ...situation, url, monthlyCost, problem };
            if (isTerminal) draw(scene);
            else said = log(scene, said);
        }
        await told;
    } finally {
        process.stdin.pause();
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
