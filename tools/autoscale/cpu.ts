import { apiToken } from "../live/api";
import { type CpuReading, readCpu } from "../live/cpu";
import { readOutputs, type StackServer } from "../pulumi/run";
import type { TimedReading } from "../live/reading";

/** There is a new figure a minute. */
const askMs = 60_000;
/** An older answer says nothing of now. */
const usableMs = 180_000;

/** Where the figures come from; tests bring their own. */
const sources = {
    cpu: readCpu,
    servers: async (stack: string): Promise<readonly StackServer[]> => (await readOutputs(stack)).servers,
};

/** Asks DigitalOcean for the servers' CPU in the background: no look waits for it. */
export class CpuWatch {
    private last: (CpuReading & { atMs: number }) | undefined;
    private askedAtMs = -Infinity;
    private isAsking = false;
    private servers: readonly StackServer[] = [];
    private problem: string | undefined;

    /** @param say Gets why CPU is not known, once. */
    constructor(
        private readonly stack: string,
        private readonly say: (text: string) => void,
        private readonly from: typeof sources = sources,
    ) {}

    /**
     * What is known of the servers just now, and asks anew where it is time to.
     *
     * @param sinceMs Figures that reach further back are of another pool. @default all count
     * @returns The mean share of their CPU that is busy; `undefined`: it is not known.
     */
    look({ atMs, reading }: TimedReading, sinceMs = 0): number | undefined {
        if (!this.isAsking && atMs - this.askedAtMs >= askMs) {
            [this.askedAtMs, this.isAsking] = [atMs, true];
            const up = reading.servers.filter(({ isUp }) => isUp).map(({ address }) => address);
            void this.ask(up, atMs);
        }
        const { last } = this;
        return last && atMs - last.atMs < usableMs && last.sinceMs >= sinceMs ? last.share : undefined;
    }

    private async ask(addresses: readonly string[], atMs: number): Promise<void> {
        const answer = await this.answerFor(addresses).catch((error: unknown) => ({
            problem: (error as Error).message,
        }));
        this.isAsking = false;
        if ("share" in answer) {
            this.last = { ...answer, atMs };
            this.problem = undefined;
            return;
        }
        const problem = `CPU is not known, so that the pool does not shrink: ${answer.problem}`;
        // The same with other figures is nothing new.
        if (problem.replace(/\d+/g, "") !== this.problem?.replace(/\d+/g, "")) this.say(problem);
        this.problem = problem;
    }

    private async answerFor(addresses: readonly string[]): Promise<CpuReading | { problem: string }> {
        if (!apiToken())
            return { problem: "autoscale.cpu needs a DIGITALOCEAN_TOKEN with monitoring:read here" };
        const idOf = (address: string) => this.servers.find((one) => one.privateIp === address)?.dropletId;
        // Since it was asked last, the pool has become another one.
        if (addresses.some((address) => idOf(address) === undefined))
            this.servers = await this.from.servers(this.stack);
        return this.from.cpu(addresses.flatMap((address) => idOf(address) ?? []));
    }
}
