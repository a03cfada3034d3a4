import { existsSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { CpuSeconds, MemoryUse } from "../machines.ts";

/** Processes that a droplet may have; forks fail beyond. Ten times what a busy web server needs. */
const MAX_PROCESSES = 4096;
/** Period of the processor quota. https://docs.kernel.org/scheduler/sched-bwc.html */
const CPU_PERIOD_US = 100_000;

/** What a droplet of a size may use. */
export interface Limits {
    memoryMiB: number;
    vcpus: number;
}

/** A mounted cgroup hierarchy: all of version 2, or some controllers of version 1. */
export interface Hierarchy {
    folder: string;
    version: 1 | 2;
    controllers: string[];
}

/** A limit's file and text in both versions. https://docs.kernel.org/admin-guide/cgroup-v2.html, cgroup-v1/ */
interface Setting {
    controller: string;
    v1: Record<string, string>;
    v2: Record<string, string>;
}

/** The hierarchies in a text of /proc/mounts: pure version 2, hybrid, or version 1 beside a bare version 2. */
export function hierarchies(mounts: string): Hierarchy[] {
    return mounts.split("\n").flatMap((line): Hierarchy[] => {
        const [, folder, type, options] = line.split(" ");
        if (!folder?.startsWith("/sys/fs/cgroup")) return [];
        if (type === "cgroup2") return [{ folder, version: 2, controllers: [] }];
        return type === "cgroup" ? [{ folder, version: 1, controllers: options?.split(",") ?? [] }] : [];
    });
}

/**
 * The cgroups of one instance's droplets: `<instance>/<droplet>` in EVERY hierarchy. Where a droplet has none of
 * its own, nspawn puts it into one that all share, and stopping a few of them takes minutes. Who runs, and
 * killing, freezing and waiting, are read from version 2, which every supported host has mounted.
 *
 * @throws Error when no cgroup version 2 is mounted.
 */
export class Cgroups {
    readonly #instanceId: string;
    readonly #all: Hierarchy[];
    readonly #unified: Hierarchy;

    constructor(instanceId: string) {
        this.#instanceId = instanceId;
        this.#all = hierarchies(readFileSync("/proc/mounts", "utf8"));
        const unified = this.#all.find(({ version }) => version === 2);
        if (unified === undefined) {
            throw new Error(
                "no cgroup2 is mounted under /sys/fs/cgroup; droplets need it (kernel 5.14 or newer)",
            );
        }
        this.#unified = unified;
    }

    /** Makes a droplet's cgroups and sets its limits. Returns their folders, which the launcher enters. */
    async make(droplet: number, limits: Limits): Promise<string[]> {
        for (const hierarchy of this.#all) {
            const parent = path.join(hierarchy.folder, this.#instanceId);
            for (const folder of [parent, path.join(parent, String(droplet))]) {
                await delegateControllers(hierarchy, path.dirname(folder));
                await mkdir(folder, { recursive: true });
                if (hierarchy.controllers.includes("cpuset")) await inheritCpuset(folder);
            }
            await apply(hierarchy, parent, instanceSettings());
            await apply(hierarchy, path.join(parent, String(droplet)), dropletSettings(limits));
        }
        return this.#folders(droplet);
    }

    /** Droplets that have a cgroup, running or not. */
    async list(): Promise<number[]> {
        const ids = new Set<number>();
        for (const { folder } of this.#all) {
            const entries = await readdir(path.join(folder, this.#instanceId)).catch(() => []);
            entries.filter((entry) => /^\d+$/.test(entry)).forEach((entry) => ids.add(Number(entry)));
        }
        return [...ids];
    }

    /** The file whose change tells that the last process ended. */
    eventsFile(droplet: number): string {
        return path.join(this.#v2(droplet), "cgroup.events");
    }

    /** Is any process in it? */
    async isPopulated(droplet: number): Promise<boolean> {
        return (await this.#event(droplet, "populated")) === "1";
    }

    /** The droplet's process 1, by its id on the host; undefined when it is not there (yet, or any more). */
    async initPid(droplet: number): Promise<number | undefined> {
        const file = path.join(this.#v2(droplet), "payload/init.scope/cgroup.procs");
        const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
        return pid > 0 ? pid : undefined;
    }

    /** Processor time of all its processes since it was made, also of those that have ended. */
    async cpuSeconds(droplet: number): Promise<CpuSeconds> {
        const text = await readFile(path.join(this.#v2(droplet), "cpu.stat"), "utf8");
        const seconds = (key: string) => Number(new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1]) / 1e6;
        return { user: seconds("user_usec"), system: seconds("system_usec") };
    }

    /** What all its processes have now; `memory.*` is of version 1 where that has the controller. */
    async memory(droplet: number): Promise<MemoryUse> {
        const first = this.#all.find(({ controllers }) => controllers.includes("memory"));
        const folder = path.join((first ?? this.#unified).folder, this.#instanceId, String(droplet));
        const read = (file: string) => readFile(path.join(folder, file), "utf8");
        const [used, stat] = await Promise.all([
            read(first ? "memory.usage_in_bytes" : "memory.current"),
            read("memory.stat"),
        ]);
        const cached = new RegExp(`^${first ? "total_cache" : "file"} (\\d+)$`, "m").exec(stat)?.[1];
        return { usedBytes: Number(used), cachedBytes: Number(cached ?? 0) };
    }

    /** Tasks in the states that Linux counts as its load: R and D of proc_pid_stat(5). */
    async activeTasks(droplet: number): Promise<number> {
        const states = await Promise.all((await tasksIn(this.#v2(droplet))).map(stateOf));
        return states.filter((state) => state === "R" || state === "D").length;
    }

    /** Kills every process at once, and resolves when none is left. */
    async kill(droplet: number): Promise<void> {
        const folder = this.#v2(droplet);
        if (!existsSync(folder)) return;
        await writeFile(path.join(folder, "cgroup.kill"), "1");
        await this.#waitFor(droplet, "populated", "0", 20_000);
    }

    /** Stops all processes for the time of `work`. */
    async frozen<T>(droplet: number, work: () => Promise<T>): Promise<T> {
        const file = path.join(this.#v2(droplet), "cgroup.freeze");
        await writeFile(file, "1");
        try {
            await this.#waitFor(droplet, "frozen", "1", 10_000);
            return await work();
        } finally {
            await writeFile(file, "0");
        }
    }

    /** Removes a droplet's cgroups; no process is left in them. */
    async remove(droplet: number): Promise<void> {
        for (const folder of this.#folders(droplet)) await removeCgroups(folder);
    }

    /** Removes the instance's own cgroups; no droplet is left in them. */
    async removeAll(): Promise<void> {
        for (const { folder } of this.#all) await removeCgroups(path.join(folder, this.#instanceId));
    }

    #folders(droplet: number): string[] {
        return this.#all.map(({ folder }) => path.join(folder, this.#instanceId, String(droplet)));
    }

    #v2(droplet: number): string {
        return path.join(this.#unified.folder, this.#instanceId, String(droplet));
    }

    async #event(droplet: number, key: string): Promise<string | undefined> {
        const text = await readFile(this.eventsFile(droplet), "utf8").catch(() => "");
        return new RegExp(`^${key} (\\d)$`, "m").exec(text)?.[1];
    }

    async #waitFor(droplet: number, key: string, value: string, timeoutMs: number): Promise<void> {
        const deadline = Date.now() + timeoutMs;
        while ((await this.#event(droplet, key)) !== value) {
            if (Date.now() > deadline) {
                throw new Error(
                    `droplet ${droplet}: its processes are not "${key} ${value}" after ${timeoutMs} ms`,
                );
            }
            await sleep(20);
        }
    }
}

/** A sandbox weighs as much as eight processes of the host, not as one; 1024 (100) is one. */
function instanceSettings(): Setting[] {
    return [{ controller: "cpu", v1: { "cpu.shares": "8192" }, v2: { "cpu.weight": "800" } }];
}

function dropletSettings({ memoryMiB, vcpus }: Limits): Setting[] {
    const bytes = String(memoryMiB * 2 ** 20);
    const [quota, period] = [String(vcpus * CPU_PERIOD_US), String(CPU_PERIOD_US)];
    const processes = { "pids.max": String(MAX_PROCESSES) };
    return [
        { controller: "memory", v1: { "memory.limit_in_bytes": bytes }, v2: { "memory.max": bytes } },
        {
            controller: "cpu",
            v1: { "cpu.cfs_period_us": period, "cpu.cfs_quota_us": quota },
            v2: { "cpu.max": `${quota} ${period}` },
        },
        { controller: "pids", v1: processes, v2: processes },
    ];
}

async function apply({ version, controllers, folder: root }: Hierarchy, folder: string, settings: Setting[]) {
    const available = version === 2 ? await controllersOf(root) : controllers;
    for (const setting of settings.filter(({ controller }) => available.includes(controller))) {
        for (const [file, text] of Object.entries(version === 1 ? setting.v1 : setting.v2)) {
            await writeFile(path.join(folder, file), text);
        }
    }
}

async function controllersOf(root: string): Promise<string[]> {
    return (await readFile(path.join(root, "cgroup.controllers"), "utf8")).trim().split(" ");
}

/** Version 2: a child has a controller's files only when its parent passes the controller on. */
async function delegateControllers({ version, folder: root }: Hierarchy, parent: string): Promise<void> {
    if (version === 1) return;
    for (const controller of ["cpu", "memory", "pids"]) {
        if (!(await controllersOf(root)).includes(controller)) continue;
        await writeFile(path.join(parent, "cgroup.subtree_control"), `+${controller}`);
    }
}

/** Version 1: a new cpuset is empty, and no process can enter it. cpuset(7) */
async function inheritCpuset(folder: string): Promise<void> {
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
        const own = await readFile(path.join(folder, file), "utf8");
        if (own.trim() !== "") continue;
        await writeFile(
            path.join(folder, file),
            await readFile(path.join(path.dirname(folder), file), "utf8"),
        );
    }
}

/** cgroups go from the bottom up; their files can't be deleted. */
async function removeCgroups(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) if (entry.isDirectory()) await removeCgroups(path.join(folder, entry.name));
    for (let attempt = 1; existsSync(folder); attempt++) {
        try {
            await rmdir(folder);
        } catch (error) {
            // A process that has just died keeps version 1 busy for a moment.
            if ((error as NodeJS.ErrnoException).code !== "EBUSY" || attempt > 100) throw error;
            await sleep(20);
        }
    }
}

/** Threads of a cgroup and all below it, by their ids on the host. */
async function tasksIn(folder: string): Promise<string[]> {
    const own = await readFile(path.join(folder, "cgroup.threads"), "utf8").catch(() => "");
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const below = entries.filter((entry) => entry.isDirectory());
    const others = await Promise.all(below.map(({ name }) => tasksIn(path.join(folder, name))));
    return [...own.split("\n").filter(Boolean), ...others.flat()];
}

/** The name before it may hold anything; undefined: it has ended. */
async function stateOf(task: string): Promise<string | undefined> {
    const stat = await readFile(`/proc/${task}/stat`, "utf8").catch(() => "");
    return stat.slice(stat.lastIndexOf(")") + 2)[0];
}
