import * as path from "node:path";
import { readLimits } from "../../policy/limits";
import { apiAddress, listAll, readDropletRoom } from "../live/api";
import { projectName, readBackend, readStack, readUnseenLocks } from "../pulumi/stack";
import { readTaggedDroplets } from "../live/account";
import { type Live, readLive, servingByState } from "../live/pool";
import { type PreviewDocument, readPreviewDocument } from "../pulumi/preview";
import { readPulumi } from "../pulumi/run";
import { parseState, type StackState } from "../pulumi/state";
import { strangersIn } from "./strangers";
import { type AccountFacts, buildPlan } from "./build";
import type { Plan } from "./model";

/**
 * Runs the real preview, and reads the state for what that hides. Changes nothing. What goes wrong is
 * part of the plan, for its readers to see. `live` only after a run that did not end well.
 */
export async function readPlan(
    stack: string,
    flags: readonly string[],
): Promise<{ plan: Plan; document: PreviewDocument; state: StackState; live: Live | undefined }> {
    const problems: string[] = [];
    const note = (error: unknown): undefined => {
        problems.push((error as Error).message);
    };
    const empty: PreviewDocument = { config: {}, steps: [], errors: [], warnings: [] };
    // First: the engine acts on what stands in a state as soon as it loads it.
    const found = await readPulumi("stack", "export", "--stack", stack).catch(note);
    const exported = found ?? '{ "deployment": null }';
    const state = parseState(exported);
    const strangers = strangersIn(exported, stack, apiAddress());
    const [seen = empty, account, obstacles, live] = await Promise.all([
        strangers.length > 0
            ? { ...empty, errors: strangers }
            : readPreviewDocument(["--stack", stack, ...flags]).catch(note),
        readAccount(),
        readObstacles(stack),
        strangers.length > 0 ? undefined : readIfUnfinished(stack, state),
    ]);
    const name = path.basename(stack);
    const limits = await Promise.resolve(name).then(readLimits).catch(note);
    const document = { ...seen, errors: [...seen.errors, ...new Set(problems)] };
    const plan = buildPlan({ stack, document, state, account, limits, obstacles, live });
    return { plan, document, state, live };
}

/** The load balancer is asked only where the state can't tell what serves: after a run that did not end well. */
async function readIfUnfinished(stack: string, state: StackState): Promise<Live | undefined> {
    if (state.leftovers.length === 0 && !(servingByState(state) instanceof Error)) return undefined;
    try {
        const where = await readStack(stack, () => Promise.resolve(false));
        return await readLive(where, state, readTaggedDroplets(where.prefix));
    } catch {
        return undefined;
    }
}

/**
 * A lock that a run holds or has left; none for a backend whose locks can't be read. Where the stack can't be read, the
 * preview says why.
 */
async function readObstacles(stack: string): Promise<string[]> {
    try {
        const backend = await readBackend();
        const locks = await readUnseenLocks({ name: stack, project: projectName(), backend });
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
