import { types } from "../../lib/identity";
import { count, some } from "../cli/words";
import { readDroplets } from "../live/account";
import { refreshResources } from "../pulumi/run";
import { readState } from "../pulumi/state";

/**
 * Takes the droplets out of the state that the account no longer has: whatever deletes such a one fails, for the provider
 * waits for it to be unlocked first. What they were is made again by the next `up`, or was to go in any case.
 *
 * @returns Whether there was any.
 * @throws Error where another run holds the stack, or none of the state's droplets is in the account.
 */
export async function forgetGone(stack: string): Promise<boolean> {
    const [{ resources, leftovers }, all] = await Promise.all([readState(stack), readDroplets()]);
    const there = new Set(all.map(({ id }) => String(id)));
    const droplets = [...resources, ...leftovers].filter(({ type }) => type === types.droplet);
    const gone = droplets.filter(({ id = "" }) => !there.has(id));
    if (gone.length === 0) return false;
    // Rather another account's token than all of them destroyed.
    if (gone.length === droplets.length)
        throw new Error(
            `the account has none of the ${count(droplets.length, "droplet")} in the state: is DIGITALOCEAN_TOKEN this stack's?`,
        );
    console.log(
        `gone from the account, and now from the state: ${some(
            gone.map(({ name }) => name),
            10,
            ", ",
        )}`,
    );
    await refreshResources(stack, [...new Set(gone.map(({ urn }) => urn))]);
    return true;
}
