/**
 * `make plan`: what `pulumi up` would do to a stack, for the person who has to agree to it. Changes nothing.
 *
 * It runs the real preview, and reads the state for what that hides. What the engine prints stays in memory: it carries
 * secrets.
 *
 * Exit 0: it can be applied. 1: refused by the program, the engine or a limit; files are written all the same.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import pc from "picocolors";
import { askApi, listAll } from "./api";
import { type AccountFacts, buildPlan } from "./plan/build";
import { maskSecrets } from "./plan/mask";
import { planAsMarkdown } from "./plan/markdown";
import { planAsText } from "./plan/text";
import { type PreviewDocument, readPreviewDocument } from "./preview-json";
import { readPulumi } from "./stack";
import { readState, type StackState } from "./state";

const usage =
    "make plan STACK=NAME ARGS='[--markdown FILE] [--json FILE] [--quiet] [--refresh]' (FILE `-`: stdout)";

interface Options {
    stack: string;
    markdown?: string;
    json?: string;
    /** Print no text for people. */
    quiet: boolean;
    /** Ask the account what is there now, before anything is compared. */
    refresh: boolean;
}

async function main(options: Options): Promise<number> {
    const { stack, markdown, json, quiet } = options;
    const flags = ["--stack", stack, ...(options.refresh ? ["--refresh"] : [])];
    const [document, state, account, engineDiff] = await Promise.all([
        readPreviewDocument(flags).catch(asRefusal),
        readState(stack).catch((): StackState => ({ resources: [], leftovers: [], pending: [] })),
        readAccount(),
        markdown === undefined ? "" : readEngineDiff(flags),
    ]);
    const plan = buildPlan({ stack, document, state, account, obstacles: [] });
    const secrets = [process.env.DIGITALOCEAN_TOKEN, process.env.PULUMI_CONFIG_PASSPHRASE];
    const write = (file: string | undefined, text: string) => {
        if (file === "-") process.stdout.write(maskSecrets(text, secrets));
        else if (file !== undefined) writeFileSync(file, maskSecrets(text, secrets));
    };
    write(markdown, planAsMarkdown(plan, document.errors.length > 0 ? "" : engineDiff));
    write(json, `${JSON.stringify(plan, null, 2)}\n`);
    const colours = pc.createColors(pc.isColorSupported && process.stdout.isTTY);
    if (!quiet && markdown !== "-" && json !== "-") write("-", planAsText(plan, colours));
    return plan.applicable ? 0 : 1;
}

/** What stands in the way of a preview is a refusal, too: whoever reads the plan is to see it. */
function asRefusal(error: unknown): PreviewDocument {
    return { config: {}, steps: [], errors: [(error as Error).message], warnings: [] };
}

/** Where the API refuses, the preview has said so. */
async function readAccount(): Promise<AccountFacts> {
    try {
        const [sizes, account, droplets] = await Promise.all([
            listAll<{ slug: string; price_monthly: number }>("sizes", "sizes"),
            askApi("account") as Promise<{ account: { droplet_limit: number } }>,
            askApi("droplets?per_page=1") as Promise<{ meta: { total: number } }>,
        ]);
        return {
            monthlyPrices: new Map(sizes.map(({ slug, price_monthly }) => [slug, price_monthly])),
            droplets: { limit: account.account.droplet_limit, existing: droplets.meta.total },
        };
    } catch {
        return { monthlyPrices: new Map(), droplets: null };
    }
}

/** The engine's own words; what is wrong, the other preview says. */
async function readEngineDiff(flags: readonly string[]): Promise<string> {
    const text = await readPulumi("preview", "--diff", "--color", "never", ...flags).catch(() => "");
    return text.replace(/^@ previewing update\.*\n/gm, "");
}

function readOptions(): Options {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            markdown: { type: "string" },
            json: { type: "string" },
            quiet: { type: "boolean", default: false },
            refresh: { type: "boolean", default: false },
        },
    });
    const [stack = "dev", ...more] = positionals;
    if (more.length > 0)
        throw new Error(`one stack is planned at a time, got ${positionals.join(", ")}\nallowed: ${usage}`);
    return { stack, ...values };
}

async function run(): Promise<void> {
    process.exitCode = await main(readOptions());
}

run().catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    console.error(`error: ${message}${code?.startsWith("ERR_PARSE_ARGS") ? `\nallowed: ${usage}` : ""}`);
    process.exitCode = 1;
});
