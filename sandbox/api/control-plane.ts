import { firstLine } from "../host.ts";
import type { Instance } from "../instance.ts";
import type { Machines } from "../machines.ts";
import type { Action, Cloud, Droplet, ReservedIp, Snapshot } from "../model.ts";
import { toNumber } from "../addresses.ts";
import { sizeOf } from "./catalog.ts";
import { forgetDroplet, timestamp } from "./cloud.ts";
import { unprocessable } from "./errors.ts";
import type { Store } from "./store.ts";

export interface ControlPlaneOptions {
    instance: Instance;
    machines: Machines;
    store: Store;
    /** Droplets the account may have at one time. */
    dropletLimit: number;
    /** Takes one line; never given a token, user data or a key. */
    log: (line: string) => void;
    /** Every action's work waits for this, and fails if it does: for tests of what clients do then. */
    beforeAction: (type: string) => Promise<void>;
}

/**
 * Changes the cloud and makes the machines follow. Requests change the state at once, in one turn of the event
 * loop, so that they can't meet half way; what takes time runs on as an action.
 */
export class ControlPlane {
    readonly instance: Instance;
    readonly cloud: Cloud;
    readonly machines: Machines;
    readonly dropletLimit: number;
    readonly log: (line: string) => void;
    readonly #store: Store;
    readonly #beforeAction: ControlPlaneOptions["beforeAction"];
    /** Deleted by the client, their machines not yet gone: addresses and VPC are still in use. */
    readonly #departing = new Set<Droplet>();
    /** Ended by themselves since they were last switched on. */
    readonly #exited = new Set<number>();
    #syncing: Promise<void> = Promise.resolve();
    #nextSync: Promise<void> | undefined;
    #stopped = false;

    constructor(options: ControlPlaneOptions) {
        this.instance = options.instance;
        this.cloud = options.store.cloud;
        this.machines = options.machines;
        this.dropletLimit = options.dropletLimit;
        this.log = options.log;
        this.#store = options.store;
        this.#beforeAction = options.beforeAction;
    }

    /**
     * Called once. Adopts the machines that run; ends the actions that the last process left open; builds again
     * what was `new`, so that a client that still waits for it gets it.
     */
    async start(): Promise<void> {
        this.machines.onExit((dropletId) => {
            this.#onExit(dropletId);
        });
        const running = await this.machines.start(this.cloud);
        const unborn = this.cloud.droplets.filter(({ id, status }) => status === "new" && !running.has(id));
        for (const droplet of this.cloud.droplets) {
            if (unborn.includes(droplet)) continue;
            droplet.status = running.has(droplet.id) ? "active" : "off";
            droplet.locked = false;
        }
        for (const action of this.cloud.actions.filter(({ status }) => status === "in-progress")) {
            const created =
                action.type === "create" && this.cloud.droplets.find(({ id }) => id === action.resourceId);
            if (!created) this.#end(action, "the sandbox was stopped while this was going on");
            else if (!unborn.includes(created)) this.#end(action);
        }
        this.save();
        await this.sync();
        for (const droplet of unborn) this.#spawn(() => this.#rebuild(droplet));
    }

    /** The process ends: what is still under way may fail, and must not be taken for the machines' failure. */
    stop(): void {
        this.#stopped = true;
    }

    save(): void {
        this.#store.save();
    }

    /** Writes the state, and resolves when the network follows it. */
    async commit(): Promise<void> {
        this.save();
        await this.sync();
    }

    /** One at a time; calls that wait share the next one, which sees the state of them all. */
    sync(): Promise<void> {
        this.#nextSync ??= this.#syncing.then(() => {
            this.#nextSync = undefined;
            return this.machines.sync(this.cloud);
        });
        const next = this.#nextSync;
        this.#syncing = next.catch(() => undefined);
        return next;
    }

    newId(): number {
        return this.cloud.nextId++;
    }

    /** Those whose addresses are in use: of the account, or on their way out. */
    occupants(): Droplet[] {
        return [...this.cloud.droplets, ...this.#departing];
    }

    addAction(
        type: string,
        resource: Pick<Action, "resourceId" | "resourceType" | "region">,
        status: Action["status"] = "in-progress",
    ): Action {
        const startedAt = timestamp();
        const action: Action = {
            id: this.newId(),
            type,
            status,
            startedAt,
            completedAt: status === "in-progress" ? null : startedAt,
            resourceId: resource.resourceId,
            resourceType: resource.resourceType,
            region: resource.region,
        };
        this.cloud.actions.push(action);
        return action;
    }

    /** Adds droplets that were checked, in the order given, and starts to make them. */
    create(droplets: Droplet[]): Action[] {
        this.cloud.droplets.push(...droplets);
        const actions = droplets.map((droplet) => {
            const action = this.addAction("create", onDroplet(droplet));
            this.#spawn(() => this.#build(droplet, action));
            return action;
        });
        this.save();
        return actions;
    }

    /** Refuses if another action is under way. `work` changes the droplet's state when it has succeeded. */
    startAction(droplet: Droplet, type: string, work: (action: Action) => Promise<void>): Action {
        this.refuseIfLocked(droplet);
        droplet.locked = true;
        const action = this.addAction(type, onDroplet(droplet));
        this.save();
        this.#spawn(() =>
            this.#run(action, work, () => {
                droplet.locked = false;
            }),
        );
        return action;
    }

    refuseIfLocked(droplet: Droplet): void {
        if (droplet.locked) throw unprocessable("Droplet already has a pending event.");
    }

    /** Switches on by `call`; the droplet is active unless it ended meanwhile. */
    async switchOn(droplet: Droplet, call: () => Promise<void>): Promise<void> {
        this.#exited.delete(droplet.id);
        await call();
        droplet.status = this.#exited.delete(droplet.id) ? "off" : "active";
    }

    /** Moves a reserved IP to a droplet, or takes it from the one that has it. */
    assign(reservedIp: ReservedIp, dropletId: number | null): Action {
        const resourceId = toNumber(reservedIp.ip);
        if (this.isPending(reservedIp)) throw unprocessable("The reserved IP already has a pending event.");
        const action = this.addAction(dropletId === null ? "unassign_ip" : "assign_ip", {
            resourceId,
            resourceType: "reserved_ip",
            region: reservedIp.region,
        });
        const before = reservedIp.dropletId;
        reservedIp.dropletId = dropletId;
        this.save();
        const move = () => this.sync();
        this.#spawn(() =>
            this.#run(action, move, (problem) => {
                const stays = this.cloud.droplets.some(({ id }) => id === before);
                if (problem !== undefined) reservedIp.dropletId = stays ? before : null;
            }),
        );
        return action;
    }

    isPending(reservedIp: ReservedIp): boolean {
        const resourceId = toNumber(reservedIp.ip);
        return this.cloud.actions.some(
            (action) =>
                action.status === "in-progress" &&
                action.resourceType === "reserved_ip" &&
                action.resourceId === resourceId,
        );
    }

    /** Gone for the client at once; the machine goes after. */
    delete(droplet: Droplet): void {
        this.refuseIfLocked(droplet);
        const action = this.addAction("destroy", onDroplet(droplet));
        this.#remove(droplet);
        this.save();
        this.#spawn(() => this.#run(action, () => this.#demolish(droplet)));
    }

    /** Droplets made from it are copies, and live on. */
    async deleteSnapshot(snapshot: Snapshot): Promise<void> {
        this.cloud.snapshots.splice(this.cloud.snapshots.indexOf(snapshot), 1);
        this.save();
        await this.machines.deleteSnapshot(snapshot.id);
    }

    async #run(
        action: Action,
        work: (action: Action) => Promise<void>,
        after: (problem?: string) => void = () => undefined,
    ): Promise<void> {
        let problem: string | undefined;
        try {
            await this.#beforeAction(action.type);
            await work(action);
        } catch (error) {
            problem = firstLine(error);
        }
        if (this.#stopped) return;
        after(problem);
        this.#end(action, problem);
        this.save();
    }

    #end(action: Action, problem?: string): void {
        action.status = problem === undefined ? "completed" : "errored";
        action.completedAt = timestamp();
        if (problem === undefined) return;
        action.error = problem;
        this.log(
            `${action.type} of ${action.resourceType} ${action.resourceId} failed (action ${action.id}): ${problem}`,
        );
    }

    /**
     * The firewalls stand before the machine is switched on. If it can't be made, the droplet disappears and its
     * action is errored: a client that waits for it is told at its next look.
     */
    #build(droplet: Droplet, action: Action): Promise<void> {
        const work = async () => {
            await this.sync();
            await this.switchOn(droplet, () => this.machines.create(droplet, this.#createOptions(droplet)));
        };
        return this.#run(action, work, (problem) => {
            droplet.locked = false;
            if (problem === undefined) return;
            this.#remove(droplet);
            this.#spawn(() => this.#demolish(droplet));
        });
    }

    /** A droplet whose creation was cut off: whatever there is of it goes first. */
    async #rebuild(droplet: Droplet): Promise<void> {
        await this.machines.destroy(droplet).catch((error: unknown) => {
            this.log(`droplet ${droplet.id}: what is left of the first try does not go: ${firstLine(error)}`);
        });
        const isItsCreation = ({ type, status, resourceId }: Action) =>
            type === "create" && status === "in-progress" && resourceId === droplet.id;
        const action = this.cloud.actions.find(isItsCreation) ?? this.addAction("create", onDroplet(droplet));
        await this.#build(droplet, action);
    }

    #createOptions(droplet: Droplet) {
        return {
            size: sizeOf(droplet.size),
            publicKeys: this.cloud.sshKeys
                .filter(({ id }) => droplet.sshKeyIds.includes(id))
                .map(({ publicKey }) => publicKey),
            ...("snapshot" in droplet.image ? { snapshot: droplet.image.snapshot } : {}),
        };
    }

    #remove(droplet: Droplet): void {
        forgetDroplet(this.cloud, droplet);
        this.#departing.add(droplet);
    }

    async #demolish(droplet: Droplet): Promise<void> {
        await this.sync();
        await this.machines.destroy(droplet);
        this.#departing.delete(droplet);
    }

    /** What nobody waits for must not end the process when it fails. */
    #spawn(work: () => Promise<void> | void): void {
        Promise.resolve()
            .then(work)
            .catch((error: unknown) => {
                this.log(`in the background: ${firstLine(error)}`);
            });
    }

    #onExit(dropletId: number): void {
        if (this.#stopped) return;
        this.#exited.add(dropletId);
        const droplet = this.cloud.droplets.find(({ id }) => id === dropletId);
        if (droplet?.status !== "active") return;
        droplet.status = "off";
        this.#spawn(() => {
            this.save();
        });
        this.log(`droplet ${droplet.id} (${droplet.name}) ended by itself: it is off now`);
    }
}

function onDroplet(droplet: Droplet): Pick<Action, "resourceId" | "resourceType" | "region"> {
    return { resourceId: droplet.id, resourceType: "droplet", region: droplet.region };
}
