import { factsOf } from "../../policy/facts";
import { describeFinding } from "../../policy/finding";
import type { Limits } from "../../policy/limits";
import { judge } from "../../policy/rules";
import { askForMore, fittingBatch } from "../batches";
import type { Change } from "./changes";
import type { Plan } from "./model";

/** Holds what will be against the limits of the stack. */
export function judgePlan(
    changes: readonly Change[],
    { servers, monthlyCost }: Pick<Plan, "servers" | "monthlyCost">,
    limits: Limits,
): Plan["policy"] {
    const resources = changes
        .filter(({ action }) => action !== "delete")
        .map(({ urn, after }) => ({ urn, properties: { ...after?.inputs } }));
    if (resources.length === 0) return { violations: [], unjudged: [] };
    const facts = {
        ...factsOf(resources),
        serversBefore: servers.list.filter(({ action }) => action !== "create").map(({ name }) => name),
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
}: Pick<Plan, "servers" | "droplets">): { text: string; fitsInBatches: boolean } | undefined {
    const { account, before, whileRunning, after } = droplets;
    if (!account) return undefined;
    const made = whileRunning - before;
    const needed = account.existing + made;
    if (needed <= account.limit) return undefined;
    const replaced = servers.list.filter(({ action }) => action === "replace").length;
    const first = { dropletsMade: made - replaced, dropletsDeleted: whileRunning - after - replaced };
    const batch = fittingBatch({ ...account, first, replaced }, replaced);
    const text = `the account's limit is ${account.limit} droplets, ${account.existing} exist, this needs ${needed} at once`;
    return batch === undefined
        ? { text: `${text}: delete what is not needed, or ${askForMore}`, fitsInBatches: false }
        : {
              text: `${text}: \`npm run rollout -- --batch ${batch}\` fits, or ${askForMore}`,
              fitsInBatches: true,
          };
}
