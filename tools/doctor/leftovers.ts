/**
 * Deletes the droplets that failed runs left and that serve nobody, before the next try makes more: by the API, and then
 * out of the state.
 *
 * Not by the engine: it would delete by name, and what serves has the same one. A droplet that is gone it fails to delete
 * ("unexpected state 'Not Found'"), but a refresh of those names finds which of them are gone, the marked ones too, and
 * forgets just these.
 */
import { deleteFromApi } from "../live/api";
import { kinds, readTaggedDroplets } from "../live/account";
import { describeLock, readUnseenLocks, type Stack } from "../pulumi/stack";
import { type Live, type LiveDroplet, readLive } from "../live/pool";
import { leftOf } from "../live/left";
import { refreshResources } from "../pulumi/run";
import { readState } from "../pulumi/state";

/** `marked`: only what has a successor, so that no run will use it again. `all`: what waits, too. */
export type Which = "marked" | "all";

/**
 * What may go: nothing while somebody who could tell does not answer, or applies another haproxy.cfg; and nothing that
 * the file names, which HAProxy would read at its next start.
 */
export function clearable(live: Live, which: Which): LiveDroplet[] {
    const { haproxy } = live;
    if (haproxy instanceof Error) return [];
    if (haproxy && (haproxy.isApplying || haproxy.servers === undefined)) return [];
    const { idle, waiting } = leftOf(live);
    const isNamed = ({ address }: LiveDroplet) =>
        address !== "" && haproxy?.text.includes(` ${address}:`) === true;
    return [...idle, ...(which === "all" ? waiting : [])].filter((droplet) => !isNamed(droplet));
}

/**
 * Deletes what may go of these. It asks once more: since they were named, a run may have taken them into service.
 *
 * @throws Error if a run is under way, or as askApi.
 */
export async function clearLeftovers(
    stack: Stack,
    named: readonly LiveDroplet[],
    say: (text: string) => void,
): Promise<void> {
    if (named.length === 0) return;
    // Takes the lock: where it can't be read, that is how a live run is told from none.
    if (stack.backend === undefined) await forget(stack.name, named);
    const [lock] = await readUnseenLocks(stack);
    if (lock) throw new Error(describeLock(lock, stack.name));
    const state = await readState(stack.name);
    const hasAdminHost = named.some(({ isAdminHost }) => isAdminHost);
    const live = await readLive(stack, state, readTaggedDroplets(stack.prefix, hasAdminHost));
    const due = clearable(live, "all").filter(({ id }) => named.some((droplet) => droplet.id === id));
    const { route, pending } = kinds.droplet;
    const remove = async ({ name, id, status }: LiveDroplet) => {
        if (status !== "gone") await deleteFromApi(`${route}/${id}`, pending);
        const why = status === "gone" ? "was gone already" : "served nobody";
        say(`deleted droplet ${name} (${id}), which ${why}`);
    };
    await Promise.all(due.map(remove));
    if (due.length > 0) await forget(stack.name, due);
}

/** Takes those of these droplets out of the state that are gone from the account. */
async function forget(stack: string, droplets: readonly LiveDroplet[]): Promise<void> {
    const urns = new Set(droplets.flatMap(({ urn }) => urn ?? []));
    await refreshResources(stack, [...urns]);
}
