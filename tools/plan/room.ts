import type { Draft } from "./model";

export interface DropletCount {
    limit: number;
    existing: number;
    /** Those that the step before the batches makes, and those that it deletes at its end. */
    first: { dropletsMade: number; dropletsDeleted: number };
    replaced: number;
    /** What the doctor would delete first, since it serves nobody. @default nothing */
    idle?: { droplets: number; stack: string };
}

export const askForMore = "ask for more: https://cloud.digitalocean.com/account/team/droplet_limit_increase";

/** Why batches of that size don't fit into the account's limit, and what would; `undefined` if they fit. */
export function limitProblem(count: DropletCount, size: number): string | undefined {
    const { limit, existing, replaced } = count;
    const needed = dropletsAtOnce(count, size);
    if (needed <= limit) return undefined;
    const what = replaced > 0 ? `a batch of ${Math.min(size, replaced)}` : "this change";
    const advice =
        advise(count, needed, size - 1, (batch) => `--batch ${batch}`) ??
        `not even --batch 1 fits; delete what is not needed, or ${askForMore}`;
    return `the account's limit is ${limit} droplets, ${existing} exist, ${what} needs ${needed}: ${advice}`;
}

/**
 * What would fit: the same once the doctor has deleted what serves nobody, or batches of at most so many servers, if need
 * be after the doctor. `undefined`: nothing, not even a batch of one.
 */
function advise(
    { idle: { droplets, stack } = { droplets: 0, stack: "" }, ...count }: DropletCount,
    needed: number,
    most: number,
    say: (batch: number) => string,
): string | undefined {
    const doctor = `\`make doctor STACK=${stack}\` deletes ${droplets} that serve${droplets === 1 ? "s" : ""} nobody`;
    if (needed - droplets <= count.limit) return `${doctor}, then it fits`;
    const sizes = Array.from({ length: Math.max(0, most) }, (_, i) => most - i);
    const fitting = (deleted: number) =>
        sizes.find((size) => dropletsAtOnce(count, size) - deleted <= count.limit);
    const [now, then] = [fitting(0), fitting(droplets)];
    if (now !== undefined) return `${say(now)} fits, or ${askForMore}`;
    return then === undefined ? undefined : `${doctor}, then ${say(then)} fits, or ${askForMore}`;
}

function dropletsAtOnce({ existing, first, replaced }: DropletCount, batch: number): number {
    const atFirst = existing + first.dropletsMade;
    return Math.max(atFirst, atFirst - first.dropletsDeleted + Math.min(batch, replaced));
}

/** Why the account has no room for what exists at once while it runs, and what would fit. */
export function roomProblem(plan: Draft): { text: string; canBeMet: boolean } | undefined {
    const { servers, left, stack } = plan;
    const { account, before, whileRunning, after } = plan.droplets;
    if (!account) return undefined;
    const made = whileRunning - before;
    const needed = account.existing + made;
    if (needed <= account.limit) return undefined;
    // What waits is no part of a batch: a roll-out replaces it first, and the doctor deletes it.
    const waiting = servers.list.filter(({ waits }) => waits);
    const replaced = servers.list.filter(({ action, waits }) => action === "replace" && !waits).length;
    const first = { dropletsMade: made - replaced, dropletsDeleted: whileRunning - after - replaced };
    const marked = left.filter(({ leaves, serves }) => leaves && serves === false).length;
    const goes = waiting.filter(({ action }) => action === "replace" || action === "delete").length;
    const count = { ...account, first, replaced, idle: { droplets: marked + goes, stack } };
    const advice = advise(count, needed, replaced, (batch) => `\`npm run rollout -- --batch ${batch}\``);
    return {
        text:
            `the account's limit is ${account.limit} droplets, ${account.existing} exist, this needs ${needed} at once: ` +
            (advice ?? `delete what is not needed, or ${askForMore}`),
        canBeMet: advice !== undefined,
    };
}
