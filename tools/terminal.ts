import { once } from "node:events";
import { createInterface } from "node:readline/promises";

/** Asks for y or N on a terminal. Without one, and after Ctrl-C or Ctrl-D, the answer is no. */
export async function confirm(question: string): Promise<boolean> {
    if (!process.stdin.isTTY || !process.stdout.isTTY) return false;
    const terminal = createInterface({ input: process.stdin, output: process.stdout });
    // Ctrl-D closes it, and the question would never be answered; Ctrl-C is a rejection.
    const closed = once(terminal, "close").then(() => "no");
    const answered = terminal.question(`${question} [y/N] `).catch(() => "no");
    const answer = await Promise.race([answered, closed]);
    terminal.close();
    return /^y(es)?$/i.test(answer.trim());
}
