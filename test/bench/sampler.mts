import { setTimeout as sleep } from "node:timers/promises";
import { runOverSsh, type SshTarget } from "../../tools/live/ssh.ts";

/** What HAProxy said of its servers at one moment. */
export interface Sample {
    /** Milliseconds since 1970. */
    at: number;
    servers: { name: string; up: boolean; requests: number }[];
}

/** Every half second a line: seconds since 1970, then name, state and requests of each server, tab-separated. */
const loop = `while sleep 0.5; do
echo 'show stat -1 4 -1' | timeout 2 socat - /run/haproxy/admin.sock |
awk -F, -v at="$(date +%s.%N)" '/^pool,/ { line = line "\\t" $2 "\\t" $18 "\\t" $8 } END { print at line }'
done`;

/** Asks a load balancer over one SSH session how its servers are, until {@link stop}. */
export class Sampler {
    private text = "";
    private readonly stopped = new AbortController();
    private readonly running: Promise<void>;

    constructor(loadBalancer: SshTarget) {
        this.running = this.run(loadBalancer);
    }

    /** All samples, the first one first. */
    async stop(): Promise<Sample[]> {
        this.stopped.abort();
        await this.running;
        return parseSamples(this.text);
    }

    private async run(loadBalancer: SshTarget): Promise<void> {
        const { signal } = this.stopped;
        const onOutput = (text: string) => (this.text += text);
        // The address moves to another load balancer in some of the scenarios: this follows it.
        for (;;) {
            await runOverSsh(loop, loadBalancer, { onOutput, signal }).catch(() => undefined);
            if (signal.aborted) return;
            await sleep(300);
        }
    }
}

/** Lines that are cut short, or came while HAProxy did not answer, are left out. */
export function parseSamples(text: string): Sample[] {
    const lines = text.split("\n").map((line) => line.split("\t"));
    return lines
        .filter(({ length }) => length > 1 && length % 3 === 1)
        .map(([at, ...cells]) => ({
            at: Number(at) * 1000,
            servers: Array.from({ length: cells.length / 3 }, (_, index) => {
                const [name = "", status = "", requests] = cells.slice(3 * index, 3 * index + 3);
                return { name, up: /^(UP|no check)/.test(status), requests: Number(requests) };
            }),
        }));
}

/** The least number of servers that HAProxy held for good at any moment. */
export function leastUp(samples: readonly Sample[]): number {
    return Math.min(...samples.map(({ servers }) => servers.filter(({ up }) => up).length));
}

/** When each server that was not there at the beginning was first seen with a request, in ms since 1970. */
export function firstRequests(samples: readonly Sample[]): Map<string, number> {
    const old = new Set(samples[0]?.servers.map(({ name }) => name));
    const first = new Map<string, number>();
    for (const { at, servers } of samples) {
        for (const { name, requests } of servers)
            if (!old.has(name) && requests > 0 && !first.has(name)) first.set(name, at);
    }
    return first;
}
