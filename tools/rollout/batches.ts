import { commandNames, serverName, slotOf, types } from "../../lib/identity";
import type { PreviewDocument, PreviewStep } from "../pulumi/preview";
import { stagedHaproxy } from "../pulumi/state";

export interface PoolChanges {
    replaced: number[];
    /** Those of them whose droplet HAProxy has not got: it was made by an `up` that did not end well. */
    notServing: number[];
    /** What else would be done to real resources, as `create web-3`. */
    others: string[];
    /** Whether anything at all would change, inputs of components too. */
    changes: boolean;
    /** Droplets that would be made at the side of those there are: new ones and replacements. */
    dropletsMade: number;
    /** Droplets that would be deleted at the end, replaced ones too. */
    dropletsDeleted: number;
}

const idle = new Set(["same", "read", "refresh"]);
const replacing = new Set(["replace", "create-replacement"]);
const making = new Set(["create", ...replacing]);
const deleting = new Set(["delete", "delete-replaced", ...replacing]);

/**
 * Takes from a preview what a roll-out needs.
 *
 * Which servers serve is known from the text that was last applied to the load balancer: HAProxy has a server if
 * the text has its name with its address. After a run that ended before it had applied its text, every server may serve.
 *
 * @throws Error if the applied text is not readable.
 */
export function poolChanges({ steps: all }: Pick<PreviewDocument, "steps">): PoolChanges {
    const steps = all.filter(({ op, type }) => !idle.has(op) && type !== types.stack);
    const pool = new Map<number, PreviewStep>();
    for (const step of steps) {
        const slot = slotOf(step);
        if (slot !== undefined && replacing.has(step.op)) pool.set(slot, step);
    }
    const replaced = [...pool.keys()].sort((a, b) => a - b);
    const applied = replaced.length > 0 ? appliedText(all) : undefined;
    const droplets = steps.filter(({ type }) => type === types.droplet);
    return {
        replaced,
        notServing: replaced.filter((slot) => {
            if (applied === undefined) return false;
            const address = pool.get(slot)?.before?.outputs?.ipv4AddressPrivate;
            return !applied.includes(`server ${serverName(slot)} ${String(address)}:`);
        }),
        others: steps
            .filter((step) => (step.after ?? step.before)?.custom && !pool.has(slotOf(step) ?? -1))
            .map(({ op, name }) => `${op} ${name}`),
        changes: steps.length > 0,
        dropletsMade: droplets.filter(({ op }) => making.has(op)).length,
        dropletsDeleted: droplets.filter(({ op }) => deleting.has(op)).length,
    };
}

/**
 * What was last applied to the load balancer; empty where nothing ever was, `undefined` where it is not known. A server
 * that is replaced gets another address, so the commands are among the steps.
 */
function appliedText(steps: readonly PreviewStep[]): string | undefined {
    const { staged: command } = commandNames();
    const step = steps.find(({ type, name }) => type === types.remoteCommand && name === command);
    if (step && !step.before) return "";
    const staged = stagedHaproxy(steps.map(({ type, name, before }) => ({ type, name, ...before })));
    // To guess would be to take every server for one that does not serve, and to replace all at once.
    if (!staged?.text.includes("\nbackend pool\n"))
        throw new Error("the state's haproxy.cfg can't be read: which servers serve is not known");
    return staged.applied ? staged.text : undefined;
}

/**
 * Puts every server that has to be replaced and serves into exactly one batch.
 *
 * First come those that `held` lets go already: the rest of an interrupted batch, or a canary that somebody chose.
 * So a roll-out that goes on has the batches that were left.
 */
export function planBatches(
    { replaced, notServing }: Pick<PoolChanges, "replaced" | "notServing">,
    held: readonly number[],
    size: number,
): number[][] {
    const serving = replaced.filter((slot) => !notServing.includes(slot));
    const free = serving.filter((slot) => !held.includes(slot));
    const kept = serving.filter((slot) => held.includes(slot));
    return [free, kept].flatMap((slots) => chunks(slots, size));
}

function chunks(slots: readonly number[], size: number): number[][] {
    const count = Math.ceil(slots.length / size);
    return Array.from({ length: count }, (_, i) => slots.slice(i * size, (i + 1) * size));
}

/** `hold` while a batch is replaced: every slot of those that come later, ascending. */
export function holdDuring(batches: readonly (readonly number[])[], batch: number): number[] {
    return batches
        .slice(batch + 1)
        .flat()
        .sort((a, b) => a - b);
}
