import { factsOf } from "../../policy/facts";
import { describeFinding } from "../../policy/finding";
import type { Limits } from "../../policy/limits";
import { judge } from "../../policy/rules";
import { adviseBatch, askForMore, doctorFirst } from "../rollout/batches";
import type { Change } from "./changes";
import type { Plan } from "./model";

/** Holds what will be against the limits of the stack. */
export function judgePlan(
    changes: readonly Change[],
    { monthlyCost }: Pick<Plan, "monthlyCost">,
    serversBefore: string[],
    limits: Limits,
): Plan["policy"] {
    const resources = changes
        .filter(({ action }) => action !== "delete")
        .map(({ urn, after }) => ({ urn, properties: { ...after?.inputs } }));
    if (resources.length === 0) return { violations: [], unjudged: [] };
    const facts = {
        ...factsOf(resources),
        serversBefore,
        monthlyCost: monthlyCost.after ?? undefined,
    };
    const { violations, unjudged } = judge(facts, limits);
    return {
        violations: violations.map(({ rule, advisory, ...finding }) => ({
            rule,
            advisory,
            text: describeFinding(finding),
        })),
        unjudged,
    };
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
