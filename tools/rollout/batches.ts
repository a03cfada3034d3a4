import { commandNames, isServer, slotOf, types } from "../../lib/identity";
import { type Action, type Change, find, listChanges } from "../plan/changes";
import type { PreviewDocument } from "../pulumi/preview";
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

/**
 * Takes from a preview what a roll-out needs.
 *
 * Which servers serve is known from the text that was last applied to the load balancer: HAProxy has a server if
 * the text has its name with its address. After a run that ended before it had applied its text, every server may serve.
 *
 * @throws Error if the applied text is not readable.
 */
export function poolChanges({ steps }: Pick<PreviewDocument, "steps">): PoolChanges {
    const all = listChanges(steps, []);
    const changes = all.filter(({ action, type }) => action !== "same" && type !== types.stack);
    const replaced = changes.filter((change) => change.action === "replace" && isServer(change));
    const applied = replaced.length > 0 ? appliedText(all) : undefined;
    const isServing = ({ name, before }: Change) =>
        applied?.includes(`server ${name} ${String(before?.outputs?.ipv4AddressPrivate)}:`) ?? true;
    const slotsOf = (servers: Change[]) => servers.flatMap((one) => slotOf(one) ?? []).sort((a, b) => a - b);
    const droplets = (...wanted: Action[]) =>
        changes.filter(({ action, type }) => type === types.droplet && wanted.includes(action)).length;
    return {
        replaced: slotsOf(replaced),
        notServing: slotsOf(replaced.filter((server) => !isServing(server))),
        others: changes
            .filter((change) => (change.after ?? change.before)?.custom && !replaced.includes(change))
            .map(({ action, name }) => `${action} ${name}`),
        changes: changes.length > 0,
        dropletsMade: droplets("create", "replace"),
        dropletsDeleted: droplets("delete", "replace"),
    };
}

/**
 * What was last applied to the load balancer; empty where nothing ever was, `undefined` where it is not known. A server
 * that is replaced gets another address, so the commands are among the changes.
 */
function appliedText(changes: readonly Change[]): string | undefined {
    const command = find(changes, types.remoteCommand, commandNames().staged);
    if (command && !command.before) return "";
    const staged = stagedHaproxy(changes.map(({ type, name, before }) => ({ type, name, ...before })));
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
