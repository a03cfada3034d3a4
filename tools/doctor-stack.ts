import { readFile, rm } from "node:fs/promises";
import * as path from "node:path";
import { parse } from "yaml";
import {
    cutOffAttributes,
    fileBackend,
    isElsewhere,
    listProcesses,
    type Lock,
    mayLive,
    readLocks,
} from "./runs";
import { readPulumi } from "./stack";

/** Where a stack's state and names are. */
export interface Stack {
    name: string;
    project: string;
    /** `<namePrefix>-<stack>`. */
    prefix: string;
    /** Folder of its state; `undefined` for a backend that is no folder, whose locks can't be read. */
    backend: string | undefined;
}

/**
 * @param mayDelete Asks whether a file may go without which the state can be read again.
 * @throws Error where there is no such stack, its state can't be read, or it is another program's.
 */
export async function readStack(
    name: string,
    mayDelete: (question: string) => Promise<boolean>,
): Promise<Stack> {
    const readConfig = () => readPulumi("config", "--json", "--stack", name);
    const [whoami, first] = await Promise.all([
        readPulumi("whoami", "--verbose", "--json"),
        readConfig().catch((error: unknown) => error as Error),
    ]);
    const backend = fileBackend((JSON.parse(whoami) as { url: string }).url);
    if (first instanceof Error) await mendState(name, backend, first, mayDelete);
    const config = first instanceof Error ? await readConfig() : first;
    const entries = Object.entries(JSON.parse(config) as Record<string, { value?: string }>);
    const [key, entry] = entries.find(([key]) => key.endsWith(":namePrefix")) ?? [];
    if (key === undefined || entry?.value === undefined)
        throw new Error(`stack ${name} has no namePrefix in its config: this is no stack of this program`);
    // `organization/project/stack` on some backends.
    const prefix = `${entry.value}-${path.basename(name)}`;
    return { name, project: key.split(":")[0] ?? "", prefix, backend };
}

/** Makes a state readable again that a killed run left unreadable. @throws The problem, if it is another one. */
async function mendState(
    name: string,
    backend: string | undefined,
    problem: Error,
    mayDelete: (question: string) => Promise<boolean>,
): Promise<void> {
    if (backend === undefined || !problem.message.includes("failed to load checkpoint")) throw problem;
    const { name: project } = parse(await readFile("Pulumi.yaml", "utf8")) as { name: string };
    const locks = await readDeadLocks({ name, project, backend });
    const file = await cutOffAttributes(backend, project, path.basename(name));
    if (locks.length === 0 || file === undefined) throw problem;
    const question = `pulumi was killed while it wrote ${file}, which is empty now; nothing is lost with it. Delete it?`;
    if (!(await mayDelete(question)))
        throw new Error(`${problem.message}\n${question} \`--yes\` says that it may be`);
    await rm(file);
}

/**
 * The locks that runs left which died; none for a backend whose locks can't be read.
 *
 * @throws Error if one may belong to a run that lives.
 */
export async function readDeadLocks({
    name,
    project,
    backend,
}: Pick<Stack, "name" | "project" | "backend">): Promise<Lock[]> {
    const locks = backend === undefined ? [] : await readLocks(backend, project, path.basename(name));
    // Only now: a run that began between the two would be taken for dead.
    const processes = locks.length > 0 ? await listProcesses() : [];
    const live = locks.find((lock) => mayLive(lock, processes));
    if (live) throw new Error(refusalFor(live, name));
    return locks;
}

/** Why nothing is done while a lock is held. */
function refusalFor(lock: Lock, stack: string): string {
    const { pid, username, hostname, timestamp } = lock;
    const run = `stack ${stack} is locked by ${username}@${hostname} (pid ${pid}) since ${timestamp}`;
    const here = `a \`pulumi\` of that id runs on this host; wait for it, or end it (kill -INT ${pid}, then again this)`;
    const cancel = `\`pulumi cancel --stack ${stack}\` and then this again`;
    const elsewhere = `that is another host, and whether it still runs can't be seen from here; wait for it or, if you are sure that it is dead, ${cancel}`;
    return `${run}: ${isElsewhere(lock) ? elsewhere : here}`;
}
