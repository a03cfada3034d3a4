import { isServer, names, types } from "../../lib/identity";
import { canonical, type PreviewStep, type ResourceState } from "../pulumi/preview";
import type { StateResource } from "../pulumi/state";

export type Action = "create" | "update" | "replace" | "delete" | "same";

export interface Change {
    urn: string;
    action: Action;
    type: string;
    name: string;
    before?: ResourceState;
    after?: ResourceState;
    reasons: string[];
    /** It is replaced since something that it depends on is, and that one is deleted before its successor is made. */
    deletedFirst: boolean;
}

/** The engine's operations that are not actions by themselves. https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/ */
const actions: Record<string, Action> = {
    create: "create",
    import: "create",
    "create-replacement": "replace",
    replace: "replace",
    "delete-replaced": "replace",
    "import-replacement": "replace",
    update: "update",
    delete: "delete",
    same: "same",
    read: "same",
    refresh: "same",
};

/** Of several steps of one resource the first here is what happens to it. */
const rank: Action[] = ["replace", "create", "delete", "update", "same"];

/**
 * Everything that the stack has or will have: what a preview leaves out, since nothing happens to it, is in the state.
 *
 * An operation that is not known here counts as an update, so that nothing is left unsaid.
 */
export function listChanges(steps: readonly PreviewStep[], resources: readonly StateResource[]): Change[] {
    const all = new Map<string, Change>();
    for (const { urn, type, name, custom, id, inputs, outputs } of resources) {
        const before = { custom, id, inputs, outputs };
        const change = { urn, type, name, before, after: before, reasons: [], deletedFirst: false };
        all.set(urn, { action: "same", ...change });
    }
    for (const step of steps) {
        const known = all.get(step.urn);
        const next = changeOf(step);
        if (!known || rank.indexOf(next.action) <= rank.indexOf(known.action)) all.set(step.urn, next);
    }
    return withLeaving([...all.values()]);
}

/**
 * Where a VPC takes its droplets along, the engine says nothing of those that do not come back: what the pool no longer
 * names is deleted.
 */
function withLeaving(changes: Change[]): Change[] {
    const servers = find(changes, types.pool, names.pool)?.after?.inputs?.servers;
    if (typeof servers !== "object" || servers === null) return changes;
    return changes.map((change) => {
        if (change.action !== "same" || !isServer(change) || change.name in servers) return change;
        const { after, ...rest } = change;
        return after === undefined ? change : { ...rest, action: "delete" };
    });
}

function changeOf({ op, after, differs, replacedFor, ...step }: PreviewStep): Change {
    const action = actions[op] ?? "update";
    const named = replacedFor.length > 0 ? replacedFor : differs;
    return {
        ...step,
        action,
        ...(after && action !== "delete" && { after }),
        // Of what is replaced along with something else the engine names no input.
        reasons: named.length > 0 || action !== "replace" ? named : differingInputs(step.before, after),
        deletedFirst: action === "replace" && named.length === 0,
    };
}

function differingInputs(before: ResourceState = {}, after: ResourceState = {}): string[] {
    const inputs = Object.keys({ ...before.inputs, ...after.inputs }).filter((key) => key !== "name");
    return inputs.filter((key) => textOf(before.inputs?.[key]) !== textOf(after.inputs?.[key]));
}

const textOf = (value: unknown) => JSON.stringify(canonical(value));

export function find(changes: readonly Change[], type: string, name: string): Change | undefined {
    return changes.find((change) => change.type === type && change.name === name);
}
