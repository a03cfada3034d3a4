import { useAccountOf } from "../live/api";
import { mask, maskAll } from "../cli/mask";
import { planAsMarkdown } from "./markdown";
import { readPlan } from "./read";
import { planAsText } from "./text";
import { runPreview } from "../pulumi/preview";
import { type ReportOptions, writeReports } from "../cli/reports";
import { coloursFor } from "../cli/terminal";

/**
 * What `pulumi up` would do to a stack, for the person who has to agree to it. Changes nothing. What the engine prints
 * stays in memory: it carries secrets.
 *
 * @returns The exit code; reports are written in any case.
 */
export async function plan(stack: string, options: ReportOptions & { refresh?: boolean }): Promise<number> {
    // What can't be read, the preview says.
    await useAccountOf(stack).catch(() => undefined);
    const flags = options.refresh ? ["--refresh"] : [];
    const { plan: read, document } = await readPlan(stack, flags);
    const plan = maskAll(read);
    const isShown = options.markdown !== undefined && document.errors.length === 0;
    const args = ["preview", "--diff", "--color", "never", "--stack", stack, ...flags];
    // What is wrong, the other preview says.
    const engineDiff = isShown ? await runPreview(...args).catch(() => "") : "";
    writeReports(options, {
        markdown: planAsMarkdown(plan, mask(readableEngineDiff(engineDiff))),
        json: `${JSON.stringify(plan, null, 2)}\n`,
        text: planAsText(plan, coloursFor(process.stdout)),
    });
    return plan.applicable ? 0 : 1;
}

/** Of user data the engine knows a hash before and the whole text after, and shows both for each droplet. */
const wholeUserData = /^( +)~ userData: *\n\1 {4}- [0-9a-f]{40}\n(?:\1 {4}\+(?: .*)?\n)+/gm;

/**
 * What `pulumi preview --diff` prints, without what tells a reviewer nothing: its greeting, the provider of each
 * resource (one that changes is shown in another form), and user data, whose own diff shows it better.
 */
export function readableEngineDiff(text: string): string {
    return text
        .replace(/^@ previewing update\.*\n/gm, "")
        .replace(/^ +\[provider=.*\]\n/gm, "")
        .replace(wholeUserData, "$1~ userData: (another one: its diff stands by itself)\n");
}
