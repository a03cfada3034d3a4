import { once } from "node:events";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import pc from "picocolors";
import type { Colors } from "picocolors/types";

/**
 * Colours for what is written to a stream: on a terminal alone, and without NO_COLOR. picocolors by itself has them in
 * a pipeline (CI=true), too, where files would hold them.
 */
export function coloursFor(stream: { isTTY?: boolean }): Colors {
    return pc.createColors(pc.isColorSupported && (stream.isTTY ?? false));
}

export function isInteractive(): boolean {
    return process.stdin.isTTY && process.stdout.isTTY;
}

/** Asks for y or N on a terminal. Without one, and after Ctrl-C or Ctrl-D, the answer is no. */
export async function confirm(question: string): Promise<boolean> {
    if (!isInteractive()) return false;
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    // Ctrl-D closes it, and the question would never be answered; Ctrl-C is a rejection.
    const closed = once(terminal, "close").then(() => "no");
    const answered = terminal.question(`${question} [y/N] `).catch(() => "no");
    const answer = await Promise.race([answered, closed]);
    terminal.close();
    return /^y(es)?$/i.test(answer.trim());
}

/** For a command that runs until it is stopped: these signals abort it, and end it no more. */
export function stopOn(...signals: NodeJS.Signals[]): AbortController {
    const stop = new AbortController();
    for (const signal of signals)
        process.on(signal, () => {
            stop.abort();
        });
    return stop;
}

/** For what has to end well without its terminal: the first write to one that is closed would else end the process. */
export function outliveTerminal(): void {
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => undefined);
}

/** Waits so many milliseconds, or until `signal` is aborted. */
export async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
    await sleep(Math.max(0, milliseconds), undefined, { signal }).catch(() => undefined);
}

/** The time of day, `13:04:59`, for a line of a log. */
export const clock = (): string => new Date().toTimeString().slice(0, 8);
