import { names, serverName, types } from "../../lib/identity";
import { some } from "../cli/words";
import type { DropletCount } from "../plan/room";
import { holdDuring, type PoolChanges } from "./batches";
import type { Leftover } from "../pulumi/state";

export interface RolloutState {
    whole: PoolChanges;
    /** The preview while every server that serves is held: the same one where none would be replaced. */
    first: PoolChanges;
    leftovers: readonly Pick<Leftover, "name" | "type">[];
    batches: readonly (readonly number[])[];
}

export interface Step {
    title: string;
    hold: number[];
    replaces: readonly number[];
}

/**
 * The steps of a roll-out: what replaces no server that serves, where there is such a thing (new slots, the load
 * balancer, settings, what an `up` that did not end well has left), and then each batch.
 *
 * So a load balancer and servers never change at the same time, and what did not get ready is out of the way first.
 *
 * @throws Error for a change that `hold` does not hold back.
 */
export function planSteps({ whole, first, leftovers, batches }: RolloutState): Step[] {
    const hold = holdDuring(batches, -1);
    const unheld = first.replaced.filter((slot) => hold.includes(slot));
    if (unheld.length > 0) {
        throw new Error(
            `this change can't be rolled out in batches: ${serverNames(unheld)} would be replaced although held, for hold ` +
                "keeps image, size and user data alone. Another region, vpcId or namePrefix is better a new stack; " +
                "for another SSH key see the preview, and run `pulumi up`",
        );
    }
    const changes = hold.length > 0 ? first.others.length + first.replaced.length > 0 : whole.changes;
    const before = { title: "before the batches", hold, replaces: first.replaced };
    const steps = batches.map((slots, i) => ({
        title: `batch ${i + 1} of ${batches.length} (${serverNames(slots)})`,
        hold: holdDuring(batches, i),
        replaces: slots,
    }));
    return changes || leftovers.length > 0 ? [before, ...steps] : steps;
}

export function dropletsNeeded(
    { first, leftovers, batches }: RolloutState,
    steps: readonly Step[],
): Pick<DropletCount, "first" | "replaced"> {
    const leaving = leftovers.filter(({ type }) => type === types.droplet).length;
    return {
        first:
            steps.length > batches.length
                ? { dropletsMade: first.dropletsMade, dropletsDeleted: first.dropletsDeleted + leaving }
                : { dropletsMade: 0, dropletsDeleted: 0 },
        replaced: batches.flat().length,
    };
}

export function announcement({ first, leftovers, batches }: RolloutState, steps: readonly Step[]): string[] {
    const lines: string[] = [];
    if (steps.length > batches.length) {
        const what = [
            ...first.replaced.map((slot) => `replace ${serverName(slot)}, which does not serve`),
            ...first.others,
            ...leftovers.map(({ name }) => `delete the old ${name}`),
        ];
        lines.push(
            `first, without replacing a server that serves: ${some(what, 10, ", ") || "note the new settings"}`,
        );
    }
    if (first.others.includes(`replace ${names.loadBalancer}`))
        lines.push(
            "the load balancer is replaced, too: what is in flight on it is cut when the address moves",
        );
    if (batches.length > 0) {
        const count = batches.length === 1 ? "1 batch" : `${batches.length} batches`;
        lines.push(`${count}: ${batches.map(serverNames).join(" | ")}`);
    }
    return lines;
}

export const serverNames = (slots: readonly number[]): string =>
    slots.map((slot) => serverName(slot)).join(" ");
