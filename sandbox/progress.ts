import { performance } from "node:perf_hooks";
import pc from "picocolors";

/** Tells a person on stderr what is going on: one line at the start of a step, one at its end. */
export interface Progress {
    /** A line of news about what is going on. */
    log: (line: string) => void;
    /** Runs a step; says how long it took if that was over a second. */
    step: <T>(title: string, work: () => Promise<T>) => Promise<T>;
}

/**
 * @param options.quiet Only errors are said. @default false
 * @param options.write Where lines go. @default stderr, coloured on a terminal unless NO_COLOR is set
 */
export function progress(options: { quiet?: boolean; write?: (line: string) => void } = {}): Progress {
    const terminal: { isTTY?: boolean } = process.stderr;
    // With CI=true picocolors would colour files, too, were it given `undefined`.
    const colours = pc.createColors(pc.isColorSupported && (terminal.isTTY ?? false));
    const write = options.write ?? ((line: string) => process.stderr.write(`${line}\n`));
    const say = options.quiet ? () => undefined : write;
    return {
        log: (line) => {
            say(colours.dim(`  ${line}`));
        },
        step: async (title, work) => {
            const start = performance.now();
            say(`${colours.cyan("·")} ${title}`);
            try {
                const result = await work();
                const seconds = (performance.now() - start) / 1000;
                if (seconds > 1) say(`${colours.green("✓")} ${title}: ${duration(seconds)}`);
                return result;
            } catch (error) {
                say(`${colours.red("✗")} ${title}`);
                throw error;
            }
        },
    };
}

/** `4 s`, `2 min 5 s`. */
export function duration(seconds: number): string {
    const whole = Math.round(seconds);
    return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
