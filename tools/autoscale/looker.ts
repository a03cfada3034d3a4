import { hostname } from "node:os";
import { Connection } from "../live/connection";
import type { TimedReading } from "../live/reading";
import { AlreadyWatched } from "../live/watch";
import type { Blind } from "./model";

/** How long the site may take to answer when it is asked whether anything does, in seconds. */
const siteSeconds = 5;

/** What HAProxy said just now, or why it could not be asked. */
export type LiveLook = TimedReading | Blind;

/** Looks at a stack's pool through its load balancer; where that fails, whether the site answers. */
export class Looker {
    /** One line of JSON that the next look leaves on the load balancer; empty: none. */
    heartbeat = "";
    private readonly connection: Connection;

    /** @param options.alone See {@link Connection}. */
    constructor(stack: string, options: { alone: boolean }) {
        this.connection = new Connection(stack, options);
    }

    /**
     * The first look.
     *
     * @throws Error where there is no such stack, or another autoscaler has the load balancer.
     */
    async begin(): Promise<LiveLook> {
        try {
            return await this.connection.look(this.heartbeat);
        } catch (error) {
            if (error instanceof AlreadyWatched || this.connection.outputs === undefined) throw error;
            return this.blind(error);
        }
    }

    async look(): Promise<LiveLook> {
        return this.connection.look(this.heartbeat).catch((error: unknown) => this.blind(error));
    }

    close(): void {
        this.connection.close();
    }

    private async blind(error: unknown): Promise<Blind> {
        // As they are by now: a stack that has been destroyed has none, and no load balancer that could be dead.
        const outputs = await this.connection.readOutputs().catch(() => undefined);
        const siteAnswers = outputs && (await answers(outputs.loadBalancerIp));
        return { atMs: Date.now(), problem: problemOf(error as Error), siteAnswers };
    }
}

/** Who has looked before has the lock: where this host has it, that is by the connection that broke. */
const problemOf = (error: Error): string =>
    error instanceof AlreadyWatched && error.host === hostname()
        ? "this host has the load balancer's lock already: by the connection that broke, for up to a minute"
        : error.message;

/** Whether anything answers there, whatever it says. */
async function answers(address: string): Promise<boolean> {
    const options = { redirect: "manual", signal: AbortSignal.timeout(siteSeconds * 1000) } as const;
    return fetch(`http://${address}/`, options).then(
        () => true,
        () => false,
    );
}
