import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import * as path from "node:path";
import { parse } from "yaml";
import { prefixOf } from "../../lib/identity";
import {
    cutOffAttributes,
    fileBackend,
    engineOf,
    isElsewhere,
    listProcesses,
    type Lock,
    type Process,
    readLocks,
} from "./runs";
import { readPulumi } from "./run";

export interface Stack {
    name: string;
    project: string;
    /** `<namePrefix>-<stack>`. */
    prefix: string;
    /** `vpcId` of its config; empty for a VPC of its own. */
    vpcId: string;
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
    const [backend, first] = await Promise.all([
        readBackend(),
        readConfig(name).catch((error: unknown) => error as Error),
    ]);
    if (first instanceof Error) await repairState(name, backend, first, mayDelete);
    const entries = Object.entries(first instanceof Error ? await readConfig(name) : first);
    const find = (name: string) => entries.find(([key]) => key.endsWith(`:${name}`)) ?? [];
    const [key, entry] = find("namePrefix");
    if (key === undefined || entry?.value === undefined)
        throw new Error(`stack ${name} has no namePrefix in its config: this is no stack of this program`);
    // `organization/project/stack` on some backends.
    const prefix = prefixOf(entry.value, path.basename(name));
    const vpcId = find("vpcId")[1]?.value ?? "";
    return { name, project: key.split(":")[0] ?? "", prefix, vpcId, backend };
}

type Config = Record<string, { value?: string } | undefined>;
const configs = new Map<string, Promise<Config>>();

/**
 * A stack's config, secrets in plain text. It is asked for once in a process: that takes `pulumi` a quarter of a second.
 *
 * @throws Error in pulumi's words where there is no such stack, or its config can't be read.
 */
export function readConfig(stack: string): Promise<Config> {
    const known = configs.get(stack);
    if (known) return known;
    const config = readPulumi("config", "--json", "--show-secrets", "--stack", stack).then(
        (json) => JSON.parse(json) as Config,
    );
    configs.set(stack, config);
    config.catch(() => configs.delete(stack));
    return config;
}

/** A file of the project, which is in the current folder. */
export function readProjectFile(file: string): string {
    try {
        return readFileSync(file, "utf8");
    } catch {
        throw new Error(`there is no ${file} in ${process.cwd()}: run this in the project's folder`);
    }
}

export const projectName = (): string => (parse(readProjectFile("Pulumi.yaml")) as { name: string }).name;

/**
 * As `backend` of a {@link Stack}. PULUMI_BACKEND_URL goes before all else that says where it is:
 * https://github.com/pulumi/pulumi/blob/v3.253.0/pkg/workspace/creds.go (GetCurrentCloudURL)
 */
export async function readBackend(): Promise<Stack["backend"]> {
    const url = process.env.PULUMI_BACKEND_URL;
    if (url) return fileBackend(url);
    const whoami = await readPulumi("whoami", "--verbose", "--json");
    return fileBackend((JSON.parse(whoami) as { url: string }).url);
}

/** Makes a state readable again that a killed run left unreadable. @throws The problem, if it is another one. */
async function repairState(
    name: string,
    backend: string | undefined,
    problem: Error,
    mayDelete: (question: string) => Promise<boolean>,
): Promise<void> {
    if (backend === undefined || !problem.message.includes("failed to load checkpoint")) throw problem;
    const project = projectName();
    const locks = await readUnseenLocks({ name, project, backend });
    const file = await cutOffAttributes(backend, project, path.basename(name));
    if (locks.length === 0 || file === undefined) throw problem;
    const question = `pulumi was killed while it wrote ${file}, which is empty now; nothing is lost with it. Delete it?`;
    if (!(await mayDelete(question)))
        throw new Error(`${problem.message}\n${question} \`--yes\` confirms it`);
    await rm(file);
}

/** What tells where a stack's locks are. */
export type LockPlace = Pick<Stack, "name" | "project" | "backend">;

/** Those that runs hold, or have left; none for a backend whose locks can't be read. @throws as {@link readLocks} */
export async function locksOf({ name, project, backend }: LockPlace): Promise<Lock[]> {
    return backend === undefined ? [] : readLocks(backend, project, path.basename(name));
}

/**
 * Locks of this host whose runs can't be seen from here; none for a backend whose locks can't be read. Such a run is dead,
 * or lives in a container with this host's name, or, seen from a container, outside of it: who knows has to say so.
 *
 * @throws Error if one belongs to a run that lives, or to another host's.
 */
export async function readUnseenLocks(stack: LockPlace): Promise<Lock[]> {
    const locks = await locksOf(stack);
    // Only now: a run that began between the two would not be seen.
    const processes = locks.length > 0 ? await listProcesses() : [];
    for (const lock of locks) {
        const engine = engineOf(lock, processes);
        if (engine || isElsewhere(lock)) throw new Error(refusalFor(lock, engine, stack.name));
    }
    return locks;
}

export function describeLock({ pid, username, hostname, timestamp }: Lock, stack: string): string {
    return `stack ${stack} is locked by ${username}@${hostname} (pid ${pid}) since ${timestamp}`;
}

function refusalFor(lock: Lock, engine: Process | undefined, stack: string): string {
    const cancel = `\`pulumi cancel --stack ${stack}\` and then this again`;
    const elsewhere = `that is another host, and whether it still runs can't be seen from here; wait for it or, if you are sure that it is dead, ${cancel}`;
    const where = engine && engine.pid !== lock.pid ? "in a container of this host" : "on this host";
    const here = `a \`pulumi\` of that id runs ${where}; wait for it, or end it (kill -INT ${engine?.pid ?? lock.pid}, then again this)`;
    return `${describeLock(lock, stack)}: ${engine ? here : elsewhere}`;
}
