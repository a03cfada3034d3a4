import { types } from "../../lib/identity";
import { some } from "../cli/words";
import { readDroplets, strangeAccount } from "../live/account";
import { refreshResources } from "../pulumi/run";
import { readState, type StackState } from "../pulumi/state";

/**
 * Takes the droplets out of the state that the account no longer has: whatever deletes such a one fails, for the provider
 * waits for it to be unlocked first. What they were is made again by the next `up`, or was to go in any case.
 *
 * @param state Of the stack, where it has been read just now. @default it is read
 * @returns Whether there were any.
 * @throws Error where another run holds the stack, or none of the state's droplets is in the account.
 */
export async function forgetGone(stack: string, state?: StackState): Promise<boolean> {
    const [{ resources, leftovers }, all] = await Promise.all([state ?? readState(stack), readDroplets()]);
    const known = [...resources, ...leftovers];
    const there = new Set(all.map(({ id }) => String(id)));
    const gone = known.filter(({ type, id = "" }) => type === types.droplet && !there.has(id));
    if (gone.length === 0) return false;
    // Rather another account's token than all of them destroyed.
    const strange = strangeAccount({ resources: known }, { droplets: all });
    if (strange) throw new Error(`${strange}: is DIGITALOCEAN_TOKEN this stack's?`);
    const names = gone.map(({ name }) => name);
    console.log(`gone from the account, and now from the state: ${some(names, 10, ", ")}`);
    await refreshResources(stack, [...new Set(gone.map(({ urn }) => urn))]);
    return true;
}
