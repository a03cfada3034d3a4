import { randomUUID } from "node:crypto";
import { watch, type FSWatcher } from "node:fs";
import { mkdir, readdir, rename, symlink } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import { type Log, requireLinuxRoot } from "../host.ts";
import type { Instance } from "../instance.ts";
import type { CreateOptions, Machines, Usage } from "../machines.ts";
import type { Cloud, Droplet, SizeSpec } from "../model.ts";
import { Authority, trustFolder } from "../region/authority.ts";
import { netnsOf } from "../region/names.ts";
import { answersOutside } from "../region/outside.ts";
import { Region } from "../region/region.ts";
import { MIRROR_FOLDER } from "../region/services.ts";
import { defaultImage, releaseOf } from "../releases.ts";
import { removeTree } from "../build-once.ts";
import { ensureMirror } from "./apt-mirror.ts";
import { Cgroups } from "./cgroups.ts";
import { Machine } from "./machine.ts";
import { prepareHost } from "./prepare.ts";
import { seedFiles } from "./seed.ts";

/** A boot takes three to five seconds of processor time: more at once only make each other late. */
const BOOTS_AT_ONCE = 4;
/** User data may run for long; from then on it waits more than it computes. */
const BOOT_SLOT_SECONDS = 30;

/**
 * Droplets that boot: systemd-nspawn machines in the network of a `Region`. Nothing is remembered here of what
 * runs: it is read from the cgroups, so that a new manager finds what an old one has left.
 *
 * @param log progress of what takes long (base image, packages); default: standard error.
 * @throws Every method rejects with an Error of one line.
 */
export function createMachines(instance: Instance, log: Log = console.error): Machines {
    requireLinuxRoot();
    return new BootingMachines(instance, log);
}

class BootingMachines implements Machines {
    readonly #instance: Instance;
    readonly #log: Log;
    readonly #region: Region;
    readonly #authority: Authority;
    readonly #cgroups: Cgroups;
    readonly #boots = pLimit(BOOTS_AT_ONCE);
    readonly #watchers = new Map<number, FSWatcher>();
    readonly #stopping = new Set<number>();
    readonly #listeners: ((dropletId: number) => void)[] = [];
    #cloud: Cloud | undefined;

    constructor(instance: Instance, log: Log) {
        this.#instance = instance;
        this.#log = log;
        this.#region = new Region(instance);
        this.#authority = new Authority(instance, log);
        this.#cgroups = new Cgroups(instance.id);
    }

    async start(cloud: Cloud): Promise<Set<number>> {
        await prepareHost({ log: this.#log });
        await this.#serve(defaultImage);
        this.#cloud = cloud;
        await mkdir(trustFolder(this.#instance), { recursive: true });
        await this.#region.start(cloud);
        if (cloud.domains.length === 0) await this.#authority.stop();
        else this.#authority.follow(cloud);
        await this.#removeStrangers(cloud);

        const running = new Set<number>();
        for (const { id } of cloud.droplets) {
            if (!(await this.#machine(id).isRunning())) continue;
            running.add(id);
            await this.#watch(id);
        }
        return running;
    }

    async sync(cloud: Cloud): Promise<void> {
        this.#cloud = cloud;
        await this.#region.sync(cloud);
        this.#authority.follow(cloud);
    }

    async create(droplet: Droplet, { size, publicKeys, snapshot }: CreateOptions): Promise<void> {
        const machine = this.#machine(droplet.id);
        const { hostname, image, vpcUuid } = droplet;
        const vpc = this.#cloud?.vpcs.find(({ id }) => id === vpcUuid);
        if (vpc === undefined) {
            throw new Error(`droplet ${droplet.id} is in VPC ${vpcUuid}, which the sandbox does not know`);
        }
        // What a snapshot was taken of stands under its copies.
        const lowerdir = "slug" in image ? await this.#serve(image.slug) : "";
        await machine.make(
            { hostname, memoryMiB: size.memoryMiB, vcpus: size.vcpus, lowerdir },
            seedFiles({ droplet, vpc, addresses: this.#instance.addresses, publicKeys }),
            snapshot && this.#snapshotFolder(snapshot.id),
        );
        await this.#boot(droplet);
    }

    async powerOn(droplet: Droplet): Promise<void> {
        if (await this.#machine(droplet.id).isRunning()) return;
        await this.#boot(droplet);
    }

    async powerOff({ id }: Droplet): Promise<void> {
        await this.#stop(id, (machine) => machine.powerOff());
    }

    async shutdown({ id }: Droplet, timeoutSeconds: number): Promise<void> {
        await this.#stop(id, (machine) => machine.shutdown(timeoutSeconds));
    }

    async reboot({ id }: Droplet): Promise<void> {
        await this.#machine(id).reboot();
    }

    async resize({ id }: Droplet, { memoryMiB, vcpus }: SizeSpec): Promise<void> {
        await this.#machine(id).setLimits({ memoryMiB, vcpus });
    }

    async snapshot({ id }: Droplet, snapshotId: number): Promise<{ sizeGiB: number }> {
        const bytes = await this.#machine(id).snapshot(this.#snapshotFolder(snapshotId));
        return { sizeGiB: Math.round((bytes / 2 ** 30) * 100) / 100 };
    }

    async deleteSnapshot(snapshotId: number): Promise<void> {
        await removeTree(this.#snapshotFolder(snapshotId));
    }

    async usage({ id }: Droplet): Promise<Usage | undefined> {
        const machine = this.#machine(id);
        if (!(await machine.isRunning())) return undefined;
        const [cpu, memory, traffic, diskBytes] = await Promise.all([
            this.#cgroups.cpuSeconds(id),
            this.#cgroups.memory(id),
            this.#region.traffic(id),
            machine.diskBytes(),
        ]);
        return { cpu, memory, traffic, diskBytes };
    }

    async activeTasks({ id }: Droplet): Promise<number | undefined> {
        return (await this.#machine(id).isRunning()) ? this.#cgroups.activeTasks(id) : undefined;
    }

    answers(target: string): Promise<boolean> {
        return answersOutside(this.#instance, target);
    }

    async destroy({ id }: Droplet): Promise<void> {
        await this.#destroy(id);
        await this.#region.detach(id);
    }

    onExit(listener: (dropletId: number) => void): void {
        this.#listeners.push(listener);
    }

    async detach(): Promise<void> {
        this.#boots.clearQueue();
        for (const id of [...this.#watchers.keys()]) this.#unwatch(id);
        await this.#region.stop();
    }

    async purge(): Promise<void> {
        await this.detach();
        for (const id of await this.#present()) await this.#destroy(id);
        await this.#cgroups.removeAll();
        await this.#authority.stop();
        await this.#region.purge();
        await removeTree(...["droplets", "snapshots", MIRROR_FOLDER].map((name) => this.#folder(name)));
        await removeTree(trustFolder(this.#instance));
    }

    /**
     * Makes an image, if it is not there yet, and its packages known to the region.
     *
     * @returns the root tree of its droplets.
     */
    async #serve(image: string): Promise<string> {
        const release = releaseOf(image);
        const { folder, lowerdir } = await ensureMirror(release, { log: this.#log });
        const link = path.join(this.#folder(MIRROR_FOLDER), release.suite);
        await mkdir(path.dirname(link), { recursive: true });
        const temporary = `${link}.${randomUUID()}`;
        await symlink(folder, temporary);
        await rename(temporary, link);
        return lowerdir;
    }

    /** Removes every machine and snapshot of this instance that `cloud` does not know: a crash has left them. */
    async #removeStrangers(cloud: Cloud): Promise<void> {
        const known = new Set(cloud.droplets.map(({ id }) => id));
        for (const id of await this.#present()) {
            if (known.has(id)) continue;
            this.#log(`removing droplet ${id}, left by a sandbox that ended before it could`);
            await this.#destroy(id);
            await this.#region.detach(id);
        }
        const kept = new Set(cloud.snapshots.map(({ id }) => String(id)));
        const found = await entries(this.#folder("snapshots"));
        await removeTree(
            ...found
                .filter((name) => !kept.has(name))
                .map((name) => path.join(this.#folder("snapshots"), name)),
        );
    }

    /** Ids of all machines of this instance of which anything is there. */
    async #present(): Promise<number[]> {
        const prefix = `${this.#instance.id}-`;
        const names = [
            ...(await entries(this.#folder("droplets"))),
            ...(await entries("/run/netns")).flatMap((name) =>
                name.startsWith(prefix) ? [name.slice(prefix.length)] : [],
            ),
        ];
        const ids = names.filter((name) => /^\d+$/.test(name)).map(Number);
        return [...new Set([...ids, ...(await this.#cgroups.list())])];
    }

    /** Resolves when it is on; its slot is free for the next when its boot has ended. */
    #boot(droplet: Droplet): Promise<void> {
        return new Promise((resolve, reject) => {
            void this.#boots(async () => {
                await this.#switchOn(droplet).then(resolve, reject);
                await this.#bootEnd(droplet.id);
            });
        });
    }

    async #switchOn(droplet: Droplet): Promise<void> {
        const machine = this.#machine(droplet.id);
        await this.#region.attach(droplet);
        await machine.powerOn();
        await this.#watch(droplet.id);
    }

    async #bootEnd(id: number): Promise<void> {
        const machine = this.#machine(id);
        const deadline = Date.now() + BOOT_SLOT_SECONDS * 1000;
        while (this.#watchers.has(id) && Date.now() < deadline && !(await machine.hasBooted())) {
            await sleep(500, undefined, { ref: false });
        }
    }

    /** Runs an action that ends a machine: nobody is told that it ended by itself. */
    async #stop(id: number, action: (machine: Machine) => Promise<void>): Promise<void> {
        this.#stopping.add(id);
        try {
            await action(this.#machine(id));
            this.#unwatch(id);
        } finally {
            this.#stopping.delete(id);
        }
    }

    async #destroy(id: number): Promise<void> {
        await this.#stop(id, (machine) => machine.destroy());
    }

    /** The kernel reports a change of cgroup.events to inotify. https://docs.kernel.org/admin-guide/cgroup-v2.html */
    async #watch(id: number): Promise<void> {
        this.#unwatch(id);
        const machine = this.#machine(id);
        const check = async () => {
            if (this.#stopping.has(id) || (await machine.isRunning())) return;
            if (this.#unwatch(id)) for (const listener of this.#listeners) listener(id);
        };
        const file = this.#cgroups.eventsFile(id);
        this.#watchers.set(
            id,
            watch(file, { persistent: false }, () => void check()),
        );
        await check();
    }

    #unwatch(id: number): boolean {
        this.#watchers.get(id)?.close();
        return this.#watchers.delete(id);
    }

    #machine(id: number): Machine {
        const folder = path.join(this.#folder("droplets"), String(id));
        return new Machine(id, {
            folder,
            cgroups: this.#cgroups,
            netns: netnsOf(this.#instance, id),
            trust: trustFolder(this.#instance),
        });
    }

    #snapshotFolder(snapshotId: number): string {
        return path.join(this.#folder("snapshots"), String(snapshotId));
    }

    #folder(name: string): string {
        return path.join(this.#instance.stateDir, name);
    }
}

async function entries(folder: string): Promise<string[]> {
    return readdir(folder).catch(() => []);
}
