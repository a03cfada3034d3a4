import { coloursFor } from "./terminal";
import { timeSince } from "./words";

/** How often the line of a step that runs says how long it has taken, without a terminal. */
const reportSeconds = 60;

/**
 * Runs a step of something long, with a line on stderr: what is done, and how long it takes. On a terminal the line counts
 * its seconds; without one it is there at the beginning, once a minute, and at the end.
 *
 * @param what Such as `making a snapshot`.
 */
export async function runStep<T>(what: string, work: () => Promise<T>): Promise<T> {
    const started = Date.now();
    const { isTTY } = process.stderr;
    const { dim, green, red } = coloursFor(process.stderr);
    const line = (text: string) => (isTTY ? `\r${text}\x1b[K` : text);
    const show = () => {
        const time = timeSince(started);
        process.stderr.write(
            line(dim(`· ${what}${time === "0 s" ? "" : `, ${time}`}`)) + (isTTY ? "" : "\n"),
        );
    };
    show();
    const timer = setInterval(show, isTTY ? 1000 : reportSeconds * 1000);
    const end = (mark: string) => {
        clearInterval(timer);
        process.stderr.write(`${line(`${mark} ${what}, ${timeSince(started)}`)}\n`);
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
