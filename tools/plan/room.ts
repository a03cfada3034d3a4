import type { Plan } from "./model";

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
    if (dropletsAtOnce(count, size) <= limit) return undefined;
    const what = replaced > 0 ? `a batch of ${Math.min(size, replaced)}` : "this change";
    const none = `not even --batch 1 fits; delete what is not needed, or ${askForMore}`;
    const { idle } = count;
    const advice =
        idle && dropletsAtOnce(without(count), size) <= limit
            ? `${doctorFirst(idle)}, then it fits`
            : adviseBatch(count, size - 1, (batch) => `--batch ${batch}`);
    return (
        `the account's limit is ${limit} droplets, ${existing} exist, ${what} needs ${dropletsAtOnce(count, size)}: ` +
        (advice ?? none)
    );
}

const without = (count: DropletCount): DropletCount => ({
    ...count,
    existing: count.existing - (count.idle?.droplets ?? 0),
});

/** Which batch fits, if need be after the doctor; `undefined`: not even one server. */
export function adviseBatch(
    count: DropletCount,
    most: number,
    say: (batch: number) => string,
): string | undefined {
    const [now, then] = [count, without(count)].map((room) => fittingBatch(room, most));
    if (now !== undefined) return `${say(now)} fits, or ${askForMore}`;
    return count.idle && then !== undefined
        ? `${doctorFirst(count.idle)}, then ${say(then)} fits, or ${askForMore}`
        : undefined;
}

/** Where it is enough, or helps, to delete first what serves nobody. */
export function doctorFirst({ droplets, stack }: NonNullable<DropletCount["idle"]>): string {
    return `\`make doctor STACK=${stack}\` deletes ${droplets} that serve${droplets === 1 ? "s" : ""} nobody`;
}

/** The largest batch of at most so many servers that fits into the account's limit; `undefined`: not even one. */
function fittingBatch(count: DropletCount, most: number): number | undefined {
    const sizes = Array.from({ length: Math.max(0, most) }, (_, i) => most - i);
    return sizes.find((size) => dropletsAtOnce(count, size) <= count.limit);
}

function dropletsAtOnce({ existing, first, replaced }: DropletCount, batch: number): number {
    const atFirst = existing + first.dropletsMade;
    return Math.max(atFirst, atFirst - first.dropletsDeleted + Math.min(batch, replaced));
}

/** Why the account has no room for what exists at once while it runs, and what would fit. */
export function roomProblem({
    servers,
    droplets,
    left,
    stack,
}: Pick<Plan, "servers" | "droplets" | "left" | "stack">): { text: string; canBeMet: boolean } | undefined {
    const { account, before, whileRunning, after } = droplets;
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
    const idle = { droplets: marked + goes, stack };
    const advice =
        needed - idle.droplets <= account.limit
            ? `${doctorFirst(idle)}, then it fits`
            : adviseBatch(
                  { ...account, first, replaced, idle },
                  replaced,
                  (batch) => `\`npm run rollout -- --batch ${batch}\``,
              );
    return {
        text:
            `the account's limit is ${account.limit} droplets, ${account.existing} exist, this needs ${needed} at once: ` +
            (advice ?? `delete what is not needed, or ${askForMore}`),
        canBeMet: advice !== undefined,
    };
}
