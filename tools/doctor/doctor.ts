/**
 * `make doctor`: clears what a killed run left of a stack (its lock, its plugins, its pending operations), and deletes
 * what the account has of the stack and its state does not know, and of what failed runs left in the state, what serves
 * nobody. What may be somebody else's is told, never deleted.
 *
 * Two things only a person can know: whether a run lives that can't be seen from here, and so whether what is not an hour
 * old is still being made. A yes on a terminal says so, and `--killed`; `--yes` by itself does not.
 *
 * Exit 0: in order, or only what waits for a person or its first hour. 1: refused, failed, or not agreed to. 2: something
 * stays that serves, or may; the last lines say what to do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { deleteFromApi, useAccountOf } from "../live/api";
import {
    type Examination,
    nextStep,
    type ExaminationRow,
    examinationRows,
    tableOf,
    todoOf,
    whatRuns,
    whatStays,
    whatWaits,
} from "./report";
import { describeLock, readStack, readUnseenLocks, type Stack } from "../pulumi/stack";
import { type Answers, type Known, loadBalancersToAsk } from "../live/in-service";
import { askHaproxy, parseServersState } from "../live/haproxy";
import { findHaproxy } from "../live/haproxy-check";
import { type Inventory, kinds, knownTo, readDroplets, readInventory, strangeAccount } from "../live/account";
import { clearable, clearLeftovers, type Which } from "./leftovers";
import { readLive } from "../live/pool";
import {
    type Deployment,
    dropletsInTheMaking,
    loadBalancersOf,
    parseState,
    stagedHaproxy,
} from "../pulumi/state";
import { type Orphan, findOrphans } from "../live/orphans";
import { readOutputs, readPulumi, refreshState } from "../pulumi/run";
import { endProcesses, leftOver, listProcesses } from "../pulumi/runs";
import { onLoadBalancer } from "../live/ssh";
import { confirm, isInteractive } from "../cli/terminal";

export interface DoctorOptions {
    yes: boolean;
    /** No run of the stack lives, here or elsewhere: its lock goes, and what is not an hour old. */
    killed: boolean;
    serving: boolean;
    /** Say nothing but errors, and what stays. */
    quiet?: boolean;
    /** What failed runs left, and serves nobody, is deleted without a question. @default all of it is asked for */
    clearLeft?: Which;
}

/** How long a request that a plugin had sent may take until its droplet is in the API's lists. */
const settleSeconds = 3;

export async function doctor(name: string, given: Partial<DoctorOptions>): Promise<number> {
    const options = { yes: false, killed: false, serving: false, ...given };
    const say = (text: string) => {
        if (!options.quiet && text !== "") console.log(text);
    };
    const consent = async (question: string) => (options.yes ? options.killed : confirm(question));
    const stack = await readStack(name, consent);
    await useAccountOf(name);
    if (stack.backend === undefined)
        say("this state backend's locks can't be read: that a run is under way is seen only from the engine");
    let found = await examine(stack, options);
    const { clearLeft } = options;
    if (clearLeft !== undefined && !hasRemains(found)) {
        const left = clearable(found.live, clearLeft);
        await clearLeftovers(stack, left, say);
        if (left.length > 0) found = await examine(stack, options);
    }
    const rows = (now: Examination) => examinationRows(now, clearLeft === undefined);
    say(tableOf(rows(found)));
    if (!(await agreed(rows(found), options))) return refused(stack, found, options);

    const deletes = found.orphans.some(({ verdict }) => verdict === "delete");
    // A refresh takes the lock: where it can't be read, that is how a live run is told from none.
    const refresh = found.pending.length > 0 || (stack.backend === undefined && deletes);
    if (hasRemains(found) || refresh) {
        await clear(stack, found, say);
        const before = new Set(rows(found).map(({ id }) => id));
        // The refresh takes what was pending out of the state.
        found = await examine(stack, options, { refresh, neverServed: found.neverServed });
        found = { ...found, locks: [], processes: [], pending: [] };
        say(tableOf(rows(found)));
        const fresh = rows(found).filter(({ id }) => !before.has(id));
        if (!(await agreed(fresh, options))) return refused(stack, found, options);
    }
    await deleteOrphans(found.orphans, say);
    if (clearLeft === undefined) await clearLeftovers(stack, clearable(found.live, "all"), say);
    const [stays, waits] = [whatStays(stack, found.orphans), whatWaits(stack, found.orphans)];
    for (const advice of [whatRuns(found), waits, stays]) if (advice !== undefined) console.error(advice);
    if (!stays && !waits) say(nextStep(stack, found));
    return stays !== undefined || found.haproxy?.isRisky ? 2 : 0;
}

function hasRemains({ locks, processes, pending }: Examination): boolean {
    return locks.length + processes.length + pending.length > 0;
}

/**
 * First the account, then the locks, then the state. A run that was making something while the account was listed
 * either still holds its lock, and all is refused, or has written it to the state: it is never taken for an orphan.
 *
 * @param again The second time: whether to refresh the state, and what the first time told of droplets being made.
 * @throws Error where a run lives, or the account is not the one that the state is of.
 */
async function examine(
    stack: Stack,
    options: DoctorOptions,
    again?: { refresh: boolean; neverServed: Known["neverServed"] },
): Promise<Examination & Pick<Known, "neverServed">> {
    const { name, prefix, vpcId } = stack;
    const droplets = readDroplets();
    const inventory = await readInventory(prefix, droplets);
    const locks = await readUnseenLocks(stack);
    if (again?.refresh) await refreshState(name);
    const exported = await readPulumi("stack", "export", "--stack", name);
    const deployment = (JSON.parse(exported) as { deployment: Deployment | null }).deployment ?? {};
    const stranger = strangeAccount(deployment, inventory);
    if (stranger !== undefined)
        throw new Error(
            `${stranger}: DIGITALOCEAN_TOKEN is likely another account's, and nothing was touched\n` +
                `if it is the right one, and they are gone: \`pulumi refresh --stack ${name}\`, then this again`,
        );
    const state = parseState(exported);
    const { pending } = state;
    // Without either, no run of this stack was killed, and whatever was left belongs to another.
    const processes = locks.length + pending.length > 0 ? await leftOver(await listProcesses()) : [];
    const known: Known = {
        known: knownTo(deployment),
        loadBalancerIds: loadBalancersOf(deployment),
        // Only with the lock of the run that wrote it: an old state that was put back may say so of what serves.
        neverServed: again?.neverServed ?? (locks.length > 0 ? dropletsInTheMaking(deployment) : new Set()),
    };
    const answers = await askLoadBalancers(name, prefix, inventory, known);
    const noRunLives = options.killed || (!options.yes && isInteractive());
    const facts = { ...known, prefix, inventory, vpcId, answers };
    const orphans = findOrphans({ ...facts, noRunLives, giveUp: options.serving });
    const live = await readLive(stack, state, droplets);
    const staged = stagedHaproxy(state.resources);
    const haproxy =
        staged && live.haproxy && !(live.haproxy instanceof Error)
            ? findHaproxy(staged, live.haproxy, name)
            : undefined;
    return { locks, processes, pending, orphans, live, haproxy, neverServed: known.neverServed };
}

async function askLoadBalancers(
    stack: string,
    prefix: string,
    inventory: Inventory,
    known: Known,
): Promise<Answers> {
    const hosts = loadBalancersToAsk(prefix, inventory, known);
    if (hosts.length === 0) return new Map();
    const outputs = readOutputs(stack);
    const ask = async (host: string | undefined): Promise<ReadonlySet<string>> => {
        const own = await outputs;
        if (host === undefined) throw new Error("it has no public address");
        const printed = await onLoadBalancer({ ...own, loadBalancerIp: host }, askHaproxy);
        return new Set(parseServersState(printed));
    };
    const answers = hosts.map(async ({ id, address }) => {
        return [id, await ask(address).catch((error: unknown) => error as Error)] as const;
    });
    return new Map(await Promise.all(answers));
}

async function agreed(rows: readonly ExaminationRow[], { yes, killed }: DoctorOptions): Promise<boolean> {
    const todo = todoOf(rows);
    if (todo.length === 0) return true;
    if (yes) return killed || !todo.some(({ kind }) => kind === "lock");
    const deletes = todo.filter(({ todo }) => todo === "delete").length;
    return confirm(
        `Clear ${todo.length - deletes}, delete ${deletes}? Only if no run of this stack is under way, in a container or elsewhere.`,
    );
}

function refused(stack: Stack, { locks }: Examination, { yes }: DoctorOptions): number {
    const hints = ["error: nothing was deleted"];
    if (!yes && !isInteractive()) hints.push("without a terminal, pass `--yes` to agree");
    const [lock] = isInteractive() ? [] : locks;
    const unseen = "and that run can't be seen from here: `--killed` confirms that it is dead";
    if (lock) hints.push(`${describeLock(lock, stack.name)}, ${unseen}`);
    console.error(hints.join("; "));
    return 1;
}

/** Before anything is listed again: what lives may still make a droplet. */
async function clear(stack: Stack, found: Examination, say: (text: string) => void): Promise<void> {
    const { locks, processes } = found;
    for (const { pid, args } of await endProcesses(processes))
        console.error(`warning: process ${pid} is another user's and can't be ended from here: ${args}`);
    if (processes.length > 0) say(`ended ${processes.map(({ pid }) => pid).join(" ")}`);
    // Since the question was asked, somebody else may have cleared it, and run.
    const now = await readUnseenLocks(stack);
    const other = now.find((lock) => !locks.some((asked) => isDeepStrictEqual(asked, lock)));
    if (other) throw new Error(`${describeLock(other, stack.name)}: it was not when this began`);
    if (now.length > 0) await readPulumi("cancel", "--yes", "--stack", stack.name);
    if (locks.length + processes.length > 0) await sleep(settleSeconds * 1000);
}

async function deleteOrphans(orphans: readonly Orphan[], say: (text: string) => void): Promise<void> {
    const due = orphans.filter(({ verdict }) => verdict === "delete");
    const remove = async ({ kind, name, id, check }: Orphan) => {
        const { route, pending } = kinds[kind];
        await deleteFromApi(`${route}/${check === undefined ? "" : `${check}/alerts/`}${id}`, pending);
        say(`deleted ${kind} ${name} (${id})`);
    };
    // One that is still being made takes a while; the others need not wait for it.
    await Promise.all(due.filter(({ kind }) => kind === "droplet").map(remove));
    for (const orphan of due.filter(({ kind }) => kind !== "droplet")) await remove(orphan);
}
