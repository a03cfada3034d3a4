import { coloursFor } from "./terminal";
import { duration } from "./words";

/** How often the line of a step that runs says how long it has taken, without a terminal. */
const reportSeconds = 60;

/**
 * The steps of something long, one line each on stderr: what is done, and how long it takes. On a terminal the line of
 * the one that runs counts its seconds; without one it is there at the beginning, once a minute, and at the end.
 */
export class Steps {
    private readonly isTerminal = process.stderr.isTTY;

    /** Runs one of them. @param what Such as `making a snapshot`. */
    async run<T>(what: string, work: () => Promise<T>): Promise<T> {
        const started = Date.now();
        const seconds = () => Math.round((Date.now() - started) / 1000);
        const { dim, green, red } = coloursFor(process.stderr);
        const show = () => {
            const text = `· ${what}${seconds() > 0 ? `, ${duration(seconds())}` : ""}`;
            process.stderr.write(this.isTerminal ? `\r${dim(text)}\x1b[K` : `${text}\n`);
        };
        show();
        const timer = setInterval(show, this.isTerminal ? 1000 : reportSeconds * 1000);
        const end = (mark: string) => {
            clearInterval(timer);
            process.stderr.write(
                `${this.isTerminal ? "\r" : ""}${mark} ${what}, ${duration(seconds())}${this.isTerminal ? "\x1b[K" : ""}\n`,
            );
        };
        try {
            const result = await work();
            end(green("✓"));
            return result;
        } catch (error) {
            end(red("✗"));
            throw error;
        }
    }
}
