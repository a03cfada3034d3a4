import { mask } from "../cli/mask";
import { rest } from "../cli/terminal";
import type { StackOutputs } from "../pulumi/run";
import { Connection } from "./connection";
import type { TimedReading } from "./reading";

/** A look that failed. */
export interface BlindLook {
    atMs: number;
    /** Why, without secrets. */
    problem: string;
}

/** After a look that failed, the next one begins twice as late as the one before, up to so many seconds. */
const longestPause = 10;
/** How often the outputs are read again, in seconds: an `up` changes them. */
const outputsSeconds = 60;

/**
 * Looks at a stack's pool again and again, and begins anew where the connection breaks: the load balancer or its key may be
 * another one since then.
 *
 * @param first What `readOutputs` said: there may be no such stack, which a caller wants to know before all else.
 * @param everySeconds How often.
 * @param signal Ends it.
 * @returns Looks, whether they failed or not, with the newest outputs that are known.
 */
export async function* follow(
    stack: string,
    first: StackOutputs,
    everySeconds: number,
    signal: AbortSignal,
): AsyncGenerator<{ outputs: StackOutputs; look: TimedReading | BlindLook }, void, undefined> {
    const connection = new Connection(stack, {}, first);
    let readAtMs = Date.now();
    const close = () => {
        connection.close();
    };
    signal.addEventListener("abort", close);
    try {
        for (let pause = everySeconds; !signal.aborted;) {
            const startedMs = Date.now();
            const look = await connection.look().catch((error: unknown): BlindLook => {
                return { atMs: Date.now(), problem: mask((error as Error).message) };
            });
            const longest = Math.max(longestPause, everySeconds);
            pause = "problem" in look ? Math.min(2 * pause, longest) : everySeconds;
            if (hasEnded(signal)) return;
            yield { outputs: connection.outputs ?? first, look };
            // Beside the looks; what can't be read just now is read the next time.
            if (Date.now() - readAtMs > outputsSeconds * 1000) {
                readAtMs = Date.now();
                void connection.readOutputs().catch(() => undefined);
            }
            await rest(startedMs + pause * 1000 - Date.now(), signal);
        }
    } finally {
        signal.removeEventListener("abort", close);
        close();
    }
}

/** A function: that it was false before the look says nothing of now. */
const hasEnded = ({ aborted }: AbortSignal): boolean => aborted;
