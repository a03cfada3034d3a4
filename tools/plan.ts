/**
 * `make plan`: what `pulumi up` would do to a stack, for the person who has to agree to it. Changes nothing.
 *
 * It runs the real preview, and reads the state for what that hides. What the engine prints stays in memory: it carries
 * secrets.
 *
 * Exit 0: it can be applied. 1: refused by the program, the engine or a limit; files are written all the same.
 */
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { readLimits } from "../policy/limits";
import { listAll, readDropletRoom } from "./api";
import { runCommand } from "./command";
import { readUnseenLocks } from "./doctor-stack";
import { type AccountFacts, buildPlan } from "./plan/build";
import { readableEngineDiff } from "./plan/diffs";
import { maskSecrets } from "./plan/mask";
import { planAsMarkdown } from "./plan/markdown";
import { planAsText } from "./plan/text";
import { type PreviewDocument, readPreviewDocument, runPreview } from "./preview-json";
import { type ReportOptions, reportOptions, writeReports } from "./reports";
import { fileBackend } from "./runs";
import { readPulumi } from "./stack";
import { readState, type StackState } from "./state";
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
    const flags = ["--stack", stack, ...(options.refresh ? ["--refresh"] : [])];
    const problems: string[] = [];
    // Whoever reads the plan is to see it: a pull request has no other place.
    const orProblem =
        <T>(otherwise: T) =>
        (error: unknown) => {
            problems.push((error as Error).message);
            return otherwise;
        };
    const document: PreviewDocument = { config: {}, steps: [], errors: [], warnings: [] };
    const [seen, state, account, obstacles, engineDiff] = await Promise.all([
        readPreviewDocument(flags).catch(orProblem(document)),
        readState(stack).catch(orProblem<StackState>({ resources: [], leftovers: [], pending: [] })),
        readAccount(),
        readObstacles(stack),
        markdown === undefined ? "" : readEngineDiff(flags),
    ]);
    const name = path.basename(stack);
    const limits = await Promise.resolve(name).then(readLimits).catch(orProblem(undefined));
    const errors = [...seen.errors, ...new Set(problems)];
    const plan = buildPlan({ stack, document: { ...seen, errors }, state, account, limits, obstacles });
    const secrets = [process.env.DIGITALOCEAN_TOKEN, process.env.PULUMI_CONFIG_PASSPHRASE];
    writeReports(options, {
        markdown: maskSecrets(planAsMarkdown(plan, errors.length > 0 ? "" : engineDiff), secrets),
        json: maskSecrets(`${JSON.stringify(plan, null, 2)}\n`, secrets),
        text: maskSecrets(planAsText(plan, coloursFor(process.stdout)), secrets),
    });
    return plan.applicable ? 0 : 1;
}

/**
 * A lock that a run holds or has left; none for a backend whose locks can't be read. Where the stack can't be read, the
 * preview says why.
 */
async function readObstacles(stack: string): Promise<string[]> {
    try {
        const { url } = JSON.parse(await readPulumi("whoami", "--verbose", "--json")) as { url: string };
        const { name: project } = parse(readFileSync("Pulumi.yaml", "utf8")) as { name: string };
        const locks = await readUnseenLocks({ name: stack, project, backend: fileBackend(url) });
        return locks.map(
            ({ pid, hostname }) =>
                `a killed run left its lock (pid ${pid} on ${hostname}), or one holds it that can't be seen from here: \`make doctor STACK=${stack}\` first, then plan again`,
        );
    } catch (error) {
        const { message } = error as Error;
        return message.includes("is locked by") ? [message] : [];
    }
}

/** Where the API refuses, the preview has said so. */
async function readAccount(): Promise<AccountFacts> {
    try {
        const [sizes, droplets] = await Promise.all([
            listAll<{ slug: string; price_monthly: number }>("sizes", "sizes"),
            readDropletRoom(),
        ]);
        return {
            monthlyPrices: new Map(sizes.map(({ slug, price_monthly }) => [slug, price_monthly])),
            droplets,
        };
    } catch {
        return { monthlyPrices: new Map(), droplets: null };
    }
}

/** The engine's own words; what is wrong, the other preview says. */
async function readEngineDiff(flags: readonly string[]): Promise<string> {
    return readableEngineDiff(await runPreview(["--diff", "--color", "never", ...flags]).catch(() => ""));
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
