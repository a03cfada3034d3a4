/**
 * `make plan`: what `pulumi up` would do to a stack, for the person who has to agree to it. Changes nothing.
 *
 * It runs the real preview, and reads the state for what that hides. What the engine prints stays in memory: it carries
 * secrets.
 *
 * Exit 0: it can be applied. 1: refused by the program, the engine or a limit; files are written all the same.
 */
import { parseArgs } from "node:util";
import { useAccountOf } from "./api";
import { runCommand } from "./command";
import { mask, maskAll } from "./mask";
import { readableEngineDiff } from "./plan/diffs";
import { planAsMarkdown } from "./plan/markdown";
import { readPlan } from "./plan/read";
import { planAsText } from "./plan/text";
import { runPreview } from "./preview-json";
import { type ReportOptions, reportOptions, writeReports } from "./reports";
import { coloursFor } from "./terminal";

const usage =
    "make plan STACK=NAME ARGS='[--markdown FILE] [--json FILE] [--quiet] [--refresh]' (FILE `-`: stdout)";

interface Options extends ReportOptions {
    stack: string;
    /** Ask the account what is there now, before anything is compared. */
    refresh: boolean;
}

async function main(options: Options): Promise<number> {
    const { stack, markdown } = options;
    // What can't be read, the preview says.
    await useAccountOf(stack).catch(() => undefined);
    const flags = options.refresh ? ["--refresh"] : [];
    const { plan: made, document } = await readPlan(stack, flags);
    const plan = maskAll(made);
    const engineDiff =
        markdown === undefined || document.errors.length > 0 ? "" : await readEngineDiff(stack, flags);
    writeReports(options, {
        markdown: planAsMarkdown(plan, mask(engineDiff)),
        json: `${JSON.stringify(plan, null, 2)}\n`,
        text: planAsText(plan, coloursFor(process.stdout)),
    });
    return plan.applicable ? 0 : 1;
}

/** The engine's own words; what is wrong, the other preview says. */
async function readEngineDiff(stack: string, flags: readonly string[]): Promise<string> {
    const options = ["--diff", "--color", "never", "--stack", stack, ...flags];
    return readableEngineDiff(await runPreview(options).catch(() => ""));
}

function readOptions(args: string[]): Options {
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: {
            ...reportOptions,
            refresh: { type: "boolean", default: false },
        },
    });
    const [stack = "dev", ...more] = positionals;
    if (more.length > 0) throw new Error(`one stack is planned at a time, got ${positionals.join(", ")}`);
    return { stack, ...values };
}

runCommand(usage, readOptions, main);
