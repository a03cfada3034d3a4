import { AlreadyWatched, Watch } from "../live/watch";
import { readOutputs } from "../pulumi/run";
import type { Blind } from "./model";
import type { TimedReading } from "./sample";

/** Looks at a stack's pool through its load balancer, and begins again where the connection breaks. */
export class Looker {
    /** One line of JSON that the next look leaves on the load balancer; empty: none. */
    heartbeat = "";
    private watch: Watch | undefined;

    /** @param options.alone See {@link Watch}. */
    constructor(
        private readonly stack: string,
        private readonly options: { alone: boolean },
    ) {}

    /**
     * The first look.
     *
     * @throws Error where there is no such stack, or another autoscaler has the load balancer.
     */
    async begin(): Promise<TimedReading | Blind> {
        this.watch = new Watch(await readOutputs(this.stack), this.options);
        try {
            return await this.ask(this.watch);
        } catch (error) {
            if (error instanceof AlreadyWatched) throw error;
            return this.blind(error);
        }
    }

    async look(): Promise<TimedReading | Blind> {
        try {
            // Each time anew: the load balancer or its key may be another one since the connection broke.
            this.watch ??= new Watch(await readOutputs(this.stack), this.options);
            return await this.ask(this.watch);
        } catch (error) {
            return this.blind(error);
        }
    }

    close(): void {
        this.watch?.close();
        this.watch = undefined;
    }

    private async ask(watch: Watch): Promise<TimedReading> {
        return { reading: await watch.look(this.heartbeat), atMs: Date.now() };
    }

    private blind(error: unknown): Blind {
        this.close();
        return { atMs: Date.now(), problem: (error as Error).message };
    }
}
