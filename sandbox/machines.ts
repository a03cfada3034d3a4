import type { Cloud, Droplet, SizeSpec, Snapshot } from "./model.ts";

/**
 * What stands behind the API's droplets. Two implementations: `loopback` (no machines, states only; in
 * sandbox/api) and `nspawn` (sandbox/droplets + sandbox/region). The API calls these after it has written its
 * own state; each promise resolves when the thing is done, and rejects with an Error whose message says what
 * failed. Calls for one droplet never overlap; calls for different droplets do.
 */
export interface Machines {
    /**
     * Called once, before any other: adopt what runs and belongs to `cloud`, remove whatever else carries this
     * instance's prefix (left by a crash). Resolves with the ids of the droplets that run.
     */
    start(cloud: Cloud): Promise<Set<number>>;

    /** Firewalls, tags, VPCs, reserved IPs or the set of droplets changed: make the network follow, atomically. */
    sync(cloud: Cloud): Promise<void>;

    /** Makes disk, network and seed, and powers on. Resolves when the machine is on, not when cloud-init is done. */
    create(droplet: Droplet, options: CreateOptions): Promise<void>;

    powerOn(droplet: Droplet): Promise<void>;
    /** Like pulling the plug. */
    powerOff(droplet: Droplet): Promise<void>;
    /** Asks the system to stop; rejects if it did not within `timeoutSeconds`. */
    shutdown(droplet: Droplet, timeoutSeconds: number): Promise<void>;
    reboot(droplet: Droplet): Promise<void>;
    /** The droplet is off; the new limits hold from the next power on. */
    resize(droplet: Droplet, size: SizeSpec): Promise<void>;
    /** Resolves with the size of the copy. The droplet may be running: it is frozen for the moment of the copy. */
    snapshot(droplet: Droplet, snapshotId: number): Promise<{ sizeGiB: number }>;
    deleteSnapshot(snapshotId: number): Promise<void>;
    /** What it has used; undefined: it is off, or there is no machine. */
    usage(droplet: Droplet): Promise<Usage | undefined>;
    /** How many of its tasks run or wait for a disk at this moment; undefined: as for `usage`. */
    activeTasks(droplet: Droplet): Promise<number | undefined>;
    /** Whether a site (a URL) answers visitors from outside; undefined: nobody can tell, as there are no machines. */
    answers(target: string): Promise<boolean | undefined>;
    /** Ends it, and removes its namespace, interfaces, mounts, cgroups and files. */
    destroy(droplet: Droplet): Promise<void>;

    /** Called when a machine ended by itself (poweroff inside, a crash): the API shows it as `off`. */
    onExit(listener: (dropletId: number) => void): void;

    /** The sandbox's process ends. Machines and their network stay as they are; the next `start` adopts them. */
    detach(): Promise<void>;
    /** Everything goes: machines, snapshots, network, files under the state folder. */
    purge(): Promise<void>;
}

export interface Usage {
    cpu: CpuSeconds;
    memory: MemoryUse;
    traffic: Traffic;
    /** Of its disk, with what came with the image. */
    diskBytes: number;
}

/** Since it was made. */
export interface CpuSeconds {
    user: number;
    system: number;
}

export interface MemoryUse {
    /** With the page cache. */
    usedBytes: number;
    /** The page cache, most of which can be had at once. */
    cachedBytes: number;
}

/** Bytes since it was switched on, as the droplet sees them, on each of its networks. */
export type Traffic = Record<"public" | "private", { inbound: number; outbound: number }>;

export interface CreateOptions {
    size: SizeSpec;
    /** authorized_keys lines of root. */
    publicKeys: string[];
    /** The image is a snapshot: the disk starts as its copy. */
    snapshot?: Snapshot;
}
