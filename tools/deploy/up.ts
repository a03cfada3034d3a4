import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { promisify } from "node:util";
import type { Which } from "../doctor/leftovers";
import { mask, maskingWriter } from "../cli/mask";
import { readPlan } from "../plan/read";
import { isLocked, withAuthor } from "../pulumi/run";

export interface Failure {
    problem: string;
    /** Nothing was begun, since another run holds the stack: worth another try when that one has ended. */
    locked: boolean;
    /** Somebody stopped it. @default false */
    interrupted?: boolean;
}

/** @param words Those that tell of a lock. @default the problem's own */
export const failure = (problem: string, words = problem): Failure => ({ problem, locked: isLocked(words) });

/**
 * Asks the doctor whether an earlier run has left something half done. What such runs left to delete and serves nobody,
 * it deletes: no run will use it again, and this one may need the room. It changes nothing else.
 */
export async function requireOrder(stack: string): Promise<Failure | undefined> {
    const { code, words } = await askDoctor(stack, "marked");
    return code === 0 ? undefined : failure(`something is to be cleared first (make doctor):\n${words}`);
}

/**
 * Runs the doctor. Without a terminal it asks nothing, and so clears nothing else.
 *
 * @returns Its exit code, and what it said; of that, what it deleted and what is not as it should be has been printed.
 */
async function askDoctor(stack: string, which: Which): Promise<{ code: number; words: string }> {
    // This process again, with what makes it understand TypeScript.
    const script = [...process.execArgv, process.argv[1] ?? ""];
    const args = [...script, "doctor", "--stack", stack, "--clear-left", which];
    const run = promisify(execFile)(process.execPath, args);
    const { code, stdout, stderr } = await run.then(
        (ended) => ({ code: 0, ...ended }),
        (error: unknown) => error as { code: number; stdout: string; stderr: string },
    );
    for (const line of stdout.match(/^deleted .*$/gm) ?? []) console.log(line);
    if (code === 0) process.stderr.write(stderr);
    return { code, words: `${stdout}${stderr}`.trim() };
}

/**
 * {@link runUp}; where it fails, what it made and serves nobody is deleted at once: a run that nobody watches leaves what
 * served before, and nothing else to pay for. Not after an interruption: whoever stopped it may want to go on.
 */
export async function upOrClear(
    stack: string,
    how: Parameters<typeof runUp>[1],
): Promise<Failure | undefined> {
    const failed = await runUp(stack, how);
    if (failed === undefined || failed.locked || failed.interrupted) return failed;
    const { code, words } = await askDoctor(stack, "all");
    return code === 0 ? failed : { ...failed, problem: `${failed.problem}\n${words}` };
}

/** Plans a change as `make plan` does, and prints it in a line. @returns Why it may not be applied. */
export async function requirePlan(stack: string, flags: readonly string[]): Promise<Failure | undefined> {
    const { plan } = await readPlan(stack, flags);
    console.log(`${stack}: ${plan.summary}`);
    return plan.applicable ? undefined : failure(refusalOf(plan.refusals));
}

export function refusalOf(refusals: readonly string[]): string {
    return ["refused, nothing was changed:", ...refusals.map((text) => text.replace(/^/gm, "  "))].join("\n");
}

/**
 * Runs `pulumi up`, without asking.
 *
 * @param options.refresh Look first how things really are, and fix what is not as it was made. @default false
 * @param options.message Why: it stands in the stack's history. @default what git says of the last commit
 * @returns Why it did not end well; the reason itself has been printed.
 */
export async function runUp(
    stack: string,
    { quiet, refresh = false, message }: { quiet?: boolean; refresh?: boolean; message?: string },
): Promise<Failure | undefined> {
    const more = [...(refresh ? ["--refresh"] : []), ...(message ? ["--message", message] : [])];
    const args = ["up", "--yes", "--skip-preview", "--stack", stack, ...more];
    // On a terminal pulumi draws on stdout; its errors come on stderr.
    const draws = !quiet && process.stdout.isTTY;
    const env = withAuthor(process.env);
    const child = spawn("pulumi", args, { env, stdio: ["ignore", draws ? "inherit" : "pipe", "pipe"] });
    const stdout = maskingWriter((text) => process.stdout.write(text));
    const stderr = maskingWriter((text) => process.stderr.write(text));
    let output = "";
    let errors = "";
    const signals: NodeJS.Signals[] = [];
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        if (quiet) output += text;
        else stdout.write(text);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
        errors += text;
        if (!quiet) stderr.write(text);
    });
    // The terminal sends Ctrl-C to pulumi as well: it ends in order, and we after it. SIGTERM comes to us alone.
    const interrupt = (signal: NodeJS.Signals) => {
        signals.push(signal);
        if (signal === "SIGTERM") child.kill(signal);
    };
    process.on("SIGINT", interrupt);
    process.on("SIGTERM", interrupt);
    try {
        const [code] = (await once(child, "close")) as [number | null];
        stdout.end();
        stderr.end();
        if (signals.length > 0) return { problem: "it was interrupted", locked: false, interrupted: true };
        if (code === 0) return undefined;
        if (quiet) process.stderr.write(mask(output + errors));
        return failure("`pulumi up` failed", errors);
    } finally {
        process.off("SIGINT", interrupt);
        process.off("SIGTERM", interrupt);
    }
}
