/**
 * `make doctor`: clears what a killed run left of a stack (its lock, its plugins, its pending operations), and deletes
 * what the account has of the stack and its state does not know.
 *
 * Exit 0: in order. 1: refused, failed, or not agreed to. 2: something stays that serves; the last lines say what to do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { deleteFromApi } from "./api";
import { runCommand } from "./command";
import { type Examination, type Row, rowsOf, tableOf, todoOf, whatStays } from "./doctor-report";
import { readDeadLocks, readStack, type Stack } from "./doctor-stack";
import { readInventory } from "./inventory";
import {
    type Deployment,
    type Finding,
    type InService,
    judge,
    kinds,
    knownTo,
    loadBalancersToAsk,
    parseServersState,
    pendingOf,
} from "./orphans";
import { endProcesses, leftOver, listProcesses } from "./runs";
import { runOverSsh } from "./ssh";
import { readOutputs, readPulumi } from "./stack";
import { confirm } from "./terminal";
import { isLocked } from "./up";

const usage = "make doctor STACK=NAME ARGS='[--yes] [--serving] [--quiet]'";

interface Options {
    stack: string;
    /** Don't ask. */
    yes: boolean;
    /** Delete what serves as well. */
    serving: boolean;
    /** Say nothing but errors, and what stays. */
    quiet: boolean;
}

/** How long a request that a plugin had sent may take until its droplet is in the API's lists. */
const settleSeconds = 3;

async function main(options: Options): Promise<number> {
    const say = (text: string) => {
        if (!options.quiet && text !== "") console.log(text);
    };
    const stack = await readStack(options.stack, async (question) => options.yes || confirm(question));
    if (stack.backend === undefined)
        say("this state backend's locks can't be read: that a run is under way is seen only from the engine");
    let found = await examine(stack, options, false);
    say(tableOf(rowsOf(found)));
    if (!(await agreed(rowsOf(found), options))) return refused();

    const hasRemains = found.locks.length + found.processes.length + found.pending.length > 0;
    const deletes = found.orphans.some(({ verdict }) => verdict === "delete");
    // A refresh takes the lock: where it can't be read, that is how a live run is told from none.
    const needsRefresh = found.pending.length > 0 || (stack.backend === undefined && deletes);
    if (hasRemains || needsRefresh) {
        await clear(stack, found, say);
        const before = new Set(rowsOf(found).map(({ id }) => id));
        found = { ...(await examine(stack, options, needsRefresh)), locks: [], processes: [], pending: [] };
        say(tableOf(rowsOf(found)));
        const fresh = rowsOf(found).filter(({ id }) => !before.has(id));
        if (!(await agreed(fresh, options))) return refused();
    }
    await deleteOrphans(found.orphans, say);
    const advice = whatStays(stack, found.orphans);
    if (advice === undefined) say(`stack ${stack.name} is in order; next: pulumi up --stack ${stack.name}`);
    else console.error(advice);
    return advice === undefined ? 0 : 2;
}

/**
 * First the account, then the locks, then the state. A run that was making something while the account was listed
 * either still holds its lock, and all is refused, or has written it to the state: it is never taken for an orphan.
 */
async function examine(stack: Stack, { serving }: Options, refresh: boolean): Promise<Examination> {
    const { name, prefix } = stack;
    const inventory = await readInventory(prefix);
    const locks = await readDeadLocks(stack);
    if (refresh) await refreshState(name);
    const exported = await readPulumi("stack", "export", "--stack", name);
    const { deployment } = JSON.parse(exported) as { deployment: Deployment | null };
    const known = knownTo(deployment ?? {});
    const pending = pendingOf(deployment ?? {});
    // Without either, no run of this stack was killed, and whatever was left belongs to another.
    const processes = locks.length + pending.length > 0 ? await leftOver(await listProcesses()) : [];
    const inService = await askLoadBalancers(name, loadBalancersToAsk(prefix, known, inventory));
    const orphans = judge({ prefix, inventory, known, inService, giveUp: serving });
    return { locks, processes, pending, orphans };
}

/**
 * Never `--import-pending-creates`: it can't adopt a droplet, for the API does not return user data, and drops it.
 * https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/
 */
async function refreshState(stack: string): Promise<void> {
    const options = ["--yes", "--skip-preview", "--clear-pending-creates", "--stack", stack];
    await readPulumi("refresh", ...options).catch((error: unknown) => {
        const { message, cause } = error as Error & { cause?: { stdout?: string } };
        const words = `${message}\n${cause?.stdout ?? ""}`;
        const locked = isLocked(words);
        const help = `wait for that run or, if you are sure that it is dead, \`pulumi cancel --stack ${stack}\` and then this again`;
        throw new Error(locked ? `${message}\n${help}` : words.trim(), { cause: error });
    });
}

async function askLoadBalancers(stack: string, hosts: readonly string[]): Promise<InService> {
    if (hosts.length === 0) return new Set();
    try {
        const { deployKey: privateKey, hostKey } = await readOutputs(stack);
        const ask = "echo 'show servers state' | socat - /run/haproxy/admin.sock";
        const answers = await Promise.all(
            hosts.map((host) => runOverSsh(ask, { host, privateKey, hostKey })),
        );
        return new Set(answers.flatMap(parseServersState));
    } catch (error) {
        return error as Error;
    }
}

/** Whether all of this may be done. */
async function agreed(rows: readonly Row[], { yes }: Options): Promise<boolean> {
    const todo = todoOf(rows);
    if (todo.length === 0 || yes) return true;
    const deletes = todo.filter(({ todo }) => todo === "delete").length;
    return confirm(`Clear ${todo.length - deletes}, delete ${deletes}?`);
}

function refused(): number {
    const help = process.stdin.isTTY ? "" : "; without a terminal, `--yes` says that it may be";
    console.error(`error: nothing was deleted${help}`);
    return 1;
}

/** Before anything is listed again: what lives may still make a droplet. */
async function clear(stack: Stack, found: Examination, say: (text: string) => void): Promise<void> {
    const { locks, processes } = found;
    for (const { pid, args } of await endProcesses(processes))
        console.error(`warning: process ${pid} is another user's and can't be ended from here: ${args}`);
    if (processes.length > 0) say(`ended ${processes.map(({ pid }) => pid).join(" ")}`);
    // Since the question was asked, somebody else may have cleared it, and run.
    if ((await readDeadLocks(stack)).length > 0) await readPulumi("cancel", "--yes", "--stack", stack.name);
    if (locks.length + processes.length > 0) await sleep(settleSeconds * 1000);
}

async function deleteOrphans(orphans: readonly Finding[], say: (text: string) => void): Promise<void> {
    const due = orphans.filter(({ verdict }) => verdict === "delete");
    const remove = async ({ kind, name, id }: Finding) => {
        const { route, pending } = kinds[kind];
        await deleteFromApi(`${route}/${id}`, pending);
        say(`deleted ${kind} ${name} (${id})`);
    };
    // One that is still being made takes a while; the others need not wait for it.
    await Promise.all(due.filter(({ kind }) => kind === "droplet").map(remove));
    for (const orphan of due.filter(({ kind }) => kind !== "droplet")) await remove(orphan);
}

function readOptions(args: string[]): Options {
    const { values, positionals } = parseArgs({
        args,
        allowPositionals: true,
        options: {
            stack: { type: "string" },
            yes: { type: "boolean", default: false },
            serving: { type: "boolean", default: false },
            quiet: { type: "boolean", default: false },
        },
    });
    return { ...values, stack: values.stack ?? positionals[0] ?? "dev" };
}

runCommand(usage, readOptions, main);
