import { firstLine } from "../host.ts";
import type { Usage } from "../machines.ts";
import type { Droplet } from "../model.ts";
import { sizeOf } from "./catalog.ts";
import type { ControlPlane } from "./control-plane.ts";
import { type LoadAverage, loadSampleSeconds, noLoad, withSample } from "./load-average.ts";

/** What a droplet has used until then. */
export interface Point extends Usage {
    atMs: number;
    /** Seconds of all of its processors together, since it was looked at first. */
    idle: number;
    load: LoadAverage;
}

/** The real service keeps more; nobody here asks for it. */
const keptMs = 3_600_000;

/**
 * What DigitalOcean's metrics agent would report of droplets that have it (`monitoring: true`): read from the machines
 * once a minute, and kept in memory for an hour.
 */
export class DropletMetrics {
    readonly #control: ControlPlane;
    readonly #everyMs: number;
    readonly #points = new Map<number, Point[]>();
    readonly #loads = new Map<number, LoadAverage>();
    readonly #timers: NodeJS.Timeout[] = [];

    constructor(control: ControlPlane, everySeconds = 60) {
        this.#control = control;
        this.#everyMs = everySeconds * 1000;
    }

    start(): void {
        const sampleMs = (this.#everyMs * loadSampleSeconds) / 60;
        this.#timers.push(
            setInterval(() => void this.#lookAtAll(), this.#everyMs).unref(),
            setInterval(() => void this.#forEach((droplet) => this.#sampleLoad(droplet)), sampleMs).unref(),
        );
    }

    stop(): void {
        for (const timer of this.#timers) clearInterval(timer);
    }

    /** Oldest first; none while it is off, without the agent, or without a machine. */
    pointsOf({ id }: Droplet): readonly Point[] {
        return this.#points.get(id) ?? [];
    }

    async #lookAtAll(): Promise<void> {
        const { droplets } = this.#control.cloud;
        for (const kept of [this.#points, this.#loads])
            for (const id of kept.keys()) if (!droplets.some((droplet) => droplet.id === id)) kept.delete(id);
        await this.#forEach((droplet) => this.#lookAt(droplet));
    }

    /** Those that have the agent. */
    async #forEach(work: (droplet: Droplet) => Promise<void>): Promise<void> {
        const { droplets } = this.#control.cloud;
        for (const droplet of droplets.filter(({ features }) => features.includes("monitoring"))) {
            await work(droplet).catch((error: unknown) => {
                this.#control.log(`metrics of droplet ${droplet.id}: ${firstLine(error)}`);
            });
        }
    }

    async #sampleLoad(droplet: Droplet): Promise<void> {
        const active = await this.#control.machines.activeTasks(droplet);
        if (active === undefined) this.#loads.delete(droplet.id);
        else this.#loads.set(droplet.id, withSample(this.#loads.get(droplet.id) ?? noLoad, active));
    }

    async #lookAt(droplet: Droplet): Promise<void> {
        const now = await this.#control.machines.usage(droplet);
        if (now === undefined) return;
        const atMs = Date.now();
        const points = this.pointsOf(droplet);
        const idle = idleAfter(points.at(-1), { atMs, ...now }, sizeOf(droplet.size).vcpus);
        const load = this.#loads.get(droplet.id) ?? noLoad;
        const kept = points.filter((point) => point.atMs > atMs - keptMs);
        this.#points.set(droplet.id, [...kept, { atMs, ...now, idle, load }]);
    }
}

/** What its processors could have done since `before`, and did not. */
function idleAfter(before: Point | undefined, now: Omit<Point, "idle" | "load">, vcpus: number): number {
    if (before === undefined) return 0;
    const could = (vcpus * (now.atMs - before.atMs)) / 1000;
    const did = now.cpu.user + now.cpu.system - before.cpu.user - before.cpu.system;
    // What it did may be a little more: the kernel lets it catch up, and a machine made anew counts from 0.
    return before.idle + Math.max(0, could - Math.max(0, did));
}
