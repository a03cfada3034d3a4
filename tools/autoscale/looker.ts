import { AlreadyWatched, Watch } from "../live/watch";
import { readOutputs, type StackOutputs } from "../pulumi/run";
import type { Blind } from "./model";
import type { TimedReading } from "../live/reading";

/** How long the site may take to answer when it is asked whether anything does, in seconds. */
const siteSeconds = 5;

/** Looks at a stack's pool through its load balancer, and begins again where the connection breaks. */
export class Looker {
    /** One line of JSON that the next look leaves on the load balancer; empty: none. */
    heartbeat = "";
    private outputs: StackOutputs | undefined;
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
        try {
            return await this.ask();
        } catch (error) {
            if (error instanceof AlreadyWatched || this.outputs === undefined) throw error;
            return this.blind(error);
        }
    }

    async look(): Promise<TimedReading | Blind> {
        return this.ask().catch((error: unknown) => this.blind(error));
    }

    close(): void {
        this.watch?.close();
        this.watch = undefined;
    }

    private async ask(): Promise<TimedReading> {
        if (!this.watch) {
            // Each time anew: the load balancer or its key may be another one since the connection broke.
            this.outputs = await readOutputs(this.stack);
            this.watch = new Watch(this.outputs, this.options);
        }
        return { reading: await this.watch.look(this.heartbeat), atMs: Date.now() };
    }

    private async blind(error: unknown): Promise<Blind> {
        this.close();
        const { loadBalancerIp } = this.outputs ?? {};
        const siteAnswers = loadBalancerIp === undefined ? undefined : await answers(loadBalancerIp);
        return { atMs: Date.now(), problem: (error as Error).message, siteAnswers };
    }
}

/** Whether anything answers there, whatever it says. */
async function answers(address: string): Promise<boolean> {
    const options = { redirect: "manual", signal: AbortSignal.timeout(siteSeconds * 1000) } as const;
    return fetch(`http://${address}/`, options).then(
        () => true,
        () => false,
    );
}
