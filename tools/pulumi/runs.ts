import { execFile } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

export interface Lock {
    pid: number;
    username: string;
    hostname: string;
    timestamp: string;
}

export interface Process {
    pid: number;
    /** Of an engine in a container: its number there, and in the containers between, innermost last. */
    innerPids?: number[];
    parent: number;
    /** Name or path of its program, without arguments. */
    command: string;
    args: string;
}

const graceSeconds = 5;

/**
 * Folder of a file backend (`file:///folder`, `file://~/folder`); `undefined` for any other backend. As pulumi reads it:
 * first `~` (of the user's account, not of HOME), then the absolute path, and only of that what is escaped (`%20`), without a fragment.
 * https://github.com/pulumi/pulumi/blob/v3.253.0/pkg/backend/diy/backend.go (massageBlobPath)
 */
export function fileBackend(backendUrl: string): string | undefined {
    const [, folder] = /^file:\/\/([^?]*)/.exec(backendUrl) ?? [];
    if (folder === undefined) return undefined;
    const absolute = path.resolve(
        folder.startsWith("~") ? path.join(os.userInfo().homedir, folder.slice(2)) : folder,
    );
    return decodeURIComponent(absolute.replace(/#.*$/, ""));
}

/** https://www.pulumi.com/docs/iac/concepts/state-and-backends/#state-locking @throws Error if they can't be read */
export async function readLocks(folder: string, project: string, stack: string): Promise<Lock[]> {
    const locks = path.join(folder, ".pulumi/locks/organization", project, stack);
    const names = await readdir(locks).catch((error: unknown) => {
        const { code, message } = error as NodeJS.ErrnoException;
        // The first lock makes the folder.
        if (code === "ENOENT") return [];
        throw new Error(
            `the locks of stack ${stack} can't be read (${message}), so that a run may be under way: run this as a user who may read ${locks}`,
            { cause: error },
        );
    });
    const files = names.filter((name) => name.endsWith(".json"));
    return Promise.all(
        files.map(async (name) => {
            const file = path.join(locks, name);
            try {
                return JSON.parse(await readFile(file, "utf8")) as Lock;
            } catch (error) {
                throw new Error(
                    `the lock ${file} can't be read (${(error as Error).message}): try again, or delete it`,
                    { cause: error },
                );
            }
        }),
    );
}

/**
 * The file that makes every command end in "failed to load checkpoint: EOF": a file backend keeps each file's attributes
 * beside it and writes them first, so that a SIGKILL at that moment leaves them empty. Without them all is well: they
 * repeat a type and a checksum. https://pkg.go.dev/gocloud.dev/blob/fileblob
 */
export async function cutOffAttributes(
    folder: string,
    project: string,
    stack: string,
): Promise<string | undefined> {
    const file = path.join(folder, ".pulumi/stacks", project, `${stack}.json.attrs`);
    return (await readFile(file, "utf8").catch(() => "{}")) === "" ? file : undefined;
}

export function isElsewhere({ hostname }: Lock): boolean {
    return hostname !== os.hostname();
}

/**
 * The engine that took a lock, where it can be seen from here; after a reboot a pid is soon another's. A container may have
 * the host's name, and has numbers of its own: the host sees both, and a container sees neither the host's processes nor
 * another one's. So that none is found proves nothing.
 */
export function engineOf(lock: Lock, processes: readonly Process[]): Process | undefined {
    if (isElsewhere(lock)) return undefined;
    return processes.find(
        (candidate) =>
            [candidate.pid, ...(candidate.innerPids ?? [])].includes(lock.pid) && isEngine(candidate),
    );
}

export async function listProcesses(): Promise<Process[]> {
    const [commands, lines] = await Promise.all([ps("pid=,comm="), ps("pid=,ppid=,args=")]);
    const names = new Map(
        commands.map((line) => /^\s*(\d+)\s+(.*)$/.exec(line) ?? []).map(([, a, b]) => [a, b]),
    );
    const processes = lines.flatMap((line): Process[] => {
        const [, pid, parent, args] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
        if (args === undefined) return [];
        return [{ pid: Number(pid), parent: Number(parent), command: names.get(pid) ?? "", args }];
    });
    return Promise.all(
        processes.map(async (found) =>
            isEngine(found) ? { ...found, innerPids: await readInnerPids(found.pid) } : found,
        ),
    );
}

/** https://man7.org/linux/man-pages/man5/proc_pid_status.5.html (`NSpid`); none where there is no such file. */
async function readInnerPids(pid: number): Promise<number[]> {
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    const [, pids = ""] = /^NSpid:\s+\d+\s*(.*)$/m.exec(status) ?? [];
    return pids.split(/\s+/).filter(Boolean).map(Number);
}

/** `-e` and `-ww` (whole lines) mean the same on Linux and on macOS. */
async function ps(columns: string): Promise<string[]> {
    const { stdout } = await promisify(execFile)("ps", ["-eww", "-o", columns], { maxBuffer: Infinity });
    return stdout.split("\n");
}

/**
 * Plugins and programs whose engine is gone: language host and plugins get the engine's address as their last
 * argument, the program behind `--engine`. After a SIGKILL of the engine they live on, and may still make what they
 * were asked to.
 *
 * Never one whose engine lives: a `pulumi` among its ancestors (it may be in a container, with a network of its own),
 * or something that listens at the engine's address.
 */
export async function leftOver(processes: readonly Process[]): Promise<Process[]> {
    const found = processes.map(async (process) => {
        const port = enginePort(process.args);
        const isLeft = port !== undefined && !hasEngine(process, processes) && !(await listens(port));
        return isLeft ? [process] : [];
    });
    return (await Promise.all(found)).flat();
}

/**
 * Ends processes: SIGTERM, and SIGKILL for those that are still there after {@link graceSeconds}.
 *
 * @returns Those that can't be ended, since they are another user's.
 */
export async function endProcesses(processes: readonly Process[]): Promise<Process[]> {
    const refused = processes.filter(({ pid }) => !signal(pid, "SIGTERM"));
    let rest = processes.filter((process) => !refused.includes(process));
    const deadline = Date.now() + graceSeconds * 1000;
    while (rest.length > 0 && Date.now() < deadline) {
        await sleep(100);
        const now = await listProcesses();
        rest = rest.filter(({ pid, args }) => now.some((other) => other.pid === pid && other.args === args));
    }
    for (const { pid } of rest) signal(pid, "SIGKILL");
    return refused;
}

/** Port of the engine in the command line of a plugin or a program; `undefined` for any other process. */
function enginePort(args: string): number | undefined {
    const [, port] =
        /^(?:\S*node )?(?:\S*\/)?pulumi-(?:language|resource|analyzer|converter)-\S+ (?:.* )?127\.0\.0\.1:(\d+)$/.exec(
            args.trim(),
        ) ??
        /^\S*node .*\/@pulumi\/pulumi\/cmd\/run\S* .*--engine 127\.0\.0\.1:(\d+) /.exec(args) ??
        [];
    return port === undefined ? undefined : Number(port);
}

/** A `pulumi` itself; wrapped, it is called `.pulumi-wrapped` and the like. */
function isEngine({ command }: Process): boolean {
    return /^\.?pulumi(?!-(language|resource|analyzer|converter))/.test(path.basename(command));
}

function hasEngine(process: Process, processes: readonly Process[]): boolean {
    const parent = processes.find(({ pid }) => pid === process.parent && pid > 1);
    return isEngine(process) || (parent !== undefined && hasEngine(parent, processes));
}

/** Where nobody is, it is refused at once; what is merely slow to answer lives. */
async function listens(port: number): Promise<boolean> {
    const socket = connect({ host: "127.0.0.1", port, timeout: 2000 });
    try {
        await Promise.race([once(socket, "connect"), once(socket, "timeout")]);
        return true;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code !== "ECONNREFUSED";
    } finally {
        socket.destroy();
    }
}

/** `false` where the process is another user's; one that is gone is fine. */
function signal(pid: number, name: NodeJS.Signals): boolean {
    try {
        process.kill(pid, name);
    } catch (error) {
        return (error as NodeJS.ErrnoException).code !== "EPERM";
    }
    return true;
}
