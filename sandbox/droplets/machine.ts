import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import { execa } from "execa";
import { run } from "../host.ts";
import { MEMINFO, TRUST } from "./base-image.ts";
import { removeTree } from "../build-once.ts";
import type { Cgroups, Limits } from "./cgroups.ts";
import { memInfo, SEED_FOLDER } from "./seed.ts";

const LAUNCHER = path.join(import.meta.dirname, "launch.sh");
/** systemd as process 1 powers off and reboots on these: systemd(1), "Signals". SIGRTMIN is 34 in glibc. */
const POWER_OFF_SIGNAL = 34 + 4;
const REBOOT_SIGNAL = 34 + 5;
const START_TIMEOUT_SECONDS = 30;
const REBOOT_TIMEOUT_SECONDS = 120;

/** What a machine is made from, kept beside its disk. */
export interface MachineSpec extends Limits {
    hostname: string;
    /** Root tree under its disk. */
    lowerdir: string;
    /** 32 hexadecimal digits, its /etc/machine-id. */
    machineId: string;
}

/** Of base images, which nobody changes. */
const baseBytes = new Map<string, Promise<number>>();

async function bytesIn(folder: string): Promise<number> {
    return Number((await run("du", ["-sb", folder])).split("\t")[0]);
}

/** Of a machine that runs: what `du` can't look at, as it is gone meanwhile, it leaves out. */
async function bytesNow(folder: string): Promise<number> {
    return Number((await run("sh", ["-c", 'du -sb "$1" 2>/dev/null || true', "sh", folder])).split("\t")[0]);
}

/** A droplet's computer: a systemd-nspawn container on an overlay over the base image. */
export class Machine {
    readonly id: number;
    readonly folder: string;
    readonly #cgroups: Cgroups;
    /** Name of its network namespace. */
    readonly #netns: string;
    /** Folder of the host that the droplet sees at {@link TRUST}. */
    readonly #trust: string;

    /** @param folder its own, in the state folder; made by `make`. */
    constructor(id: number, options: { folder: string; cgroups: Cgroups; netns: string; trust: string }) {
        this.id = id;
        this.folder = options.folder;
        this.#cgroups = options.cgroups;
        this.#netns = options.netns;
        this.#trust = options.trust;
    }

    /**
     * Makes its disk and seed; it stays off.
     *
     * @param spec its limits, host name and base; the machine-id is made here.
     * @param seed files for cloud-init, by name.
     * @param copyOf a folder that `snapshot` made: the disk starts as its copy, on the same base.
     */
    async make(
        spec: Omit<MachineSpec, "machineId">,
        seed: Record<string, string>,
        copyOf?: string,
    ): Promise<void> {
        await removeTree(this.folder);
        await mkdir(this.folder, { recursive: true, mode: 0o700 });
        for (const name of ["work", "merged", "seed"]) {
            await mkdir(this.#file(name), { mode: 0o755 });
        }
        let { lowerdir } = spec;
        if (copyOf === undefined) {
            await mkdir(this.#file("upper"), { mode: 0o755 });
        } else {
            lowerdir = (await readSpec(copyOf)).lowerdir;
            await copyTree(path.join(copyOf, "upper"), this.#file("upper"));
        }
        for (const [name, text] of Object.entries(seed)) {
            await writeFile(path.join(this.#file("seed"), name), text, { mode: 0o600 });
        }
        await this.#writeSpec({ ...spec, lowerdir, machineId: randomBytes(16).toString("hex") });
    }

    /** The new limits hold from the next power on. */
    async setLimits(limits: Limits): Promise<void> {
        await this.#writeSpec({ ...(await readSpec(this.folder)), ...limits });
    }

    isRunning(): Promise<boolean> {
        return this.#cgroups.isPopulated(this.id);
    }

    /** Resolves when its process 1 runs. @throws Error with the last words of its console. */
    async powerOn(): Promise<void> {
        if (await this.isRunning()) return;
        const spec = await readSpec(this.folder);
        if (!existsSync(spec.lowerdir)) {
            throw new Error(
                `droplet ${this.id} can't start: its base image ${spec.lowerdir} is gone from the cache; ` +
                    "destroy it and make it again",
            );
        }
        await writeFile(this.#file("meminfo"), memInfo(spec.memoryMiB));
        await rm(this.#file("console.log"), { force: true });
        const cgroups = await this.#cgroups.make(this.id, spec);
        const launcher = execa("unshare", this.#launchArguments(spec, cgroups), {
            detached: true,
            cleanup: false,
            stdio: "ignore",
            reject: false,
        });
        launcher.unref();
        const hasEnded = () => launcher.exitCode !== null || launcher.signalCode !== null;

        const deadline = Date.now() + START_TIMEOUT_SECONDS * 1000;
        while ((await this.#cgroups.initPid(this.id)) === undefined) {
            if (hasEnded() || Date.now() > deadline) {
                await this.powerOff();
                throw new Error(`droplet ${this.id} did not start: ${await this.#lastWords()}`);
            }
            await sleep(30);
        }
    }

    /** Like pulling the plug. */
    async powerOff(): Promise<void> {
        await this.#cgroups.kill(this.id);
    }

    /** Asks its system to stop. @throws Error when it did not in time; it may still do so later. */
    async shutdown(timeoutSeconds: number): Promise<void> {
        await this.#signal(POWER_OFF_SIGNAL);
        await this.#until(async () => !(await this.isRunning()), timeoutSeconds, "shut down");
    }

    /** Asks its system to reboot; resolves when its next process 1 runs. @throws Error when it did not in time. */
    async reboot(): Promise<void> {
        const before = await this.#signal(REBOOT_SIGNAL);
        const rebooted = async () => {
            const now = await this.#cgroups.initPid(this.id);
            return now !== undefined && now !== before;
        };
        await this.#until(rebooted, REBOOT_TIMEOUT_SECONDS, "reboot");
    }

    /** Did cloud-init's last stage run since power on? It says so on the console, at each boot. */
    async hasBooted(): Promise<boolean> {
        const log = await readFile(this.#file("console.log"), "latin1").catch(() => "");
        return /Cloud-init v\. \S+ finished at/.test(log);
    }

    /**
     * Copies its disk into `target`, as it is: its machine-id too, unless it was emptied before, as on the real service
     * (host name, host keys and addresses cloud-init makes anew). A running machine stands still for that time.
     *
     * @returns bytes copied.
     */
    async snapshot(target: string): Promise<number> {
        const folder = `${target}.tmp`;
        const upper = path.join(folder, "upper");
        await removeTree(folder);
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const copy = () => copyTree(this.#file("upper"), upper);
        try {
            await ((await this.isRunning()) ? this.#cgroups.frozen(this.id, copy) : copy());
            await writeFile(path.join(folder, "machine.json"), JSON.stringify(await readSpec(this.folder)));
            await rename(folder, target);
        } catch (error) {
            await removeTree(folder);
            throw error;
        }
        return bytesIn(target);
    }

    /** What it has written, and the base image below that. */
    async diskBytes(): Promise<number> {
        const { lowerdir } = await readSpec(this.folder);
        const base = baseBytes.get(lowerdir) ?? bytesIn(lowerdir);
        baseBytes.set(lowerdir, base);
        return (await bytesNow(this.#file("upper"))) + (await base);
    }

    /** Ends it, and removes its cgroups and files. Its network is the region's. */
    async destroy(): Promise<void> {
        await this.powerOff();
        await this.#cgroups.remove(this.id);
        await removeTree(this.folder);
    }

    #launchArguments(spec: MachineSpec, cgroups: string[]): string[] {
        // Propagation "slave": without it, every droplet would hold a copy of the mounts that keep other
        // droplets' network namespaces alive. mount_namespaces(7)
        const launcher = ["--mount", "--propagation=slave", "sh", LAUNCHER];
        return [
            ...launcher,
            this.#netns,
            spec.lowerdir,
            this.folder,
            cgroups.join(" "),
            `--machine=${this.#netns}`,
            `--hostname=${spec.hostname}`,
            `--uuid=${spec.machineId}`,
            `--bind-ro=${escapeColon(this.#file("seed"))}:${SEED_FOLDER}`,
            `--bind-ro=${escapeColon(this.#file("meminfo"))}:${MEMINFO}`,
            `--bind-ro=${escapeColon(this.#trust)}:${TRUST}`,
        ];
    }

    /** @returns the process 1 that got it. */
    async #signal(number: number): Promise<number> {
        const pid = await this.#cgroups.initPid(this.id);
        if (pid === undefined) throw new Error(`droplet ${this.id} is not running`);
        process.kill(pid, number);
        return pid;
    }

    async #until(done: () => Promise<boolean>, timeoutSeconds: number, what: string): Promise<void> {
        const deadline = Date.now() + timeoutSeconds * 1000;
        while (!(await done())) {
            if (Date.now() > deadline) {
                throw new Error(`droplet ${this.id} did not ${what} within ${timeoutSeconds} s`);
            }
            await sleep(100);
        }
    }

    async #lastWords(): Promise<string> {
        const log = await readFile(this.#file("console.log"), "utf8").catch(() => "");
        return (
            stripVTControlCharacters(log).replaceAll("\r", "").trim().split("\n").slice(-3).join(" | ") ||
            "no word on its console"
        );
    }

    async #writeSpec(spec: MachineSpec): Promise<void> {
        await writeFile(this.#file("machine.json.tmp"), JSON.stringify(spec));
        await rename(this.#file("machine.json.tmp"), this.#file("machine.json"));
    }

    #file(name: string): string {
        return path.join(this.folder, name);
    }
}

async function readSpec(folder: string): Promise<MachineSpec> {
    return JSON.parse(await readFile(path.join(folder, "machine.json"), "utf8")) as MachineSpec;
}

/** -a keeps the character devices and trusted.* attributes by which an overlay marks what is deleted. */
async function copyTree(from: string, to: string): Promise<void> {
    await run("cp", ["-a", "--reflink=auto", "--", from, to]);
}

/** systemd-nspawn(1), --bind=: a colon in a path is written "\:". */
function escapeColon(file: string): string {
    return file.replaceAll(":", "\\:");
}
