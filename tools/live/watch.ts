import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Writable } from "node:stream";
import { shellQuoted } from "../../lib/shell";
import type { StackOutputs } from "../pulumi/run";
import { plain } from "../cli/words";
import { applyLock } from "./haproxy";
import { heartbeatFile } from "./heartbeat";
import { parseReading, type PoolReading } from "./reading";
import { onLoadBalancer } from "./ssh";

/** Kept on the load balancer while the autoscaler is at work: a second one, wherever it runs, can't have it. */
const lockFile = "/run/dropscale-autoscaler.lock";
const adminSocket = "/run/haproxy/admin.sock";
const end = "-- dropscale: end";
const taken = "-- dropscale: taken";

/** After this long without a question the host ends the watch, so that a client that died keeps no lock. */
const silenceSeconds = 60;
/** HAProxy answers within 5 s, or not at all. */
const answerSeconds = 15;

/** Requests have two backends, streams one of their own. https://docs.haproxy.org/2.6/management.html#9.3 */
const question = "show info;show stat pool 6 -1;show stat uploads 6 -1;show stat streams 2 -1";

/** Answers each line of its stdin; watch.py says how. */
const watchCommand = (alone: boolean): string =>
    [
        ...["python3", "-c", readFileSync(join(__dirname, "watch.py"), "utf8")],
        ...[alone ? lockFile : "", heartbeatFile, applyLock, adminSocket],
        ...[question, end, taken, String(silenceSeconds)],
    ]
        .map(shellQuoted)
        .join(" ");

/** An autoscaler has the lock. */
export class AlreadyWatched extends Error {
    /** Where it runs; `undefined`: it has not said so. */
    readonly host: string | undefined;

    /** @param heartbeat Its last word. */
    constructor(heartbeat: string) {
        const [, host] = /"host":"([^"]*)"/.exec(heartbeat) ?? [];
        const where = plain(host ?? "another host");
        super(`an autoscaler is at work on this stack already, on ${where}: stop that one first`);
        this.host = host;
    }
}

/** Asks HAProxy again and again, over one SSH connection. */
export class Watch {
    private readonly stop = new AbortController();
    private stdin: Writable | undefined;
    private printed = "";
    private wake: () => void = () => undefined;
    private failure: Error | undefined;

    /** @param options.alone As the autoscaler does: nobody else may watch so at the same time. @default false */
    constructor(outputs: StackOutputs, { alone = false }: { alone?: boolean } = {}) {
        const ended = onLoadBalancer(outputs, watchCommand(alone), {
            signal: this.stop.signal,
            onStart: (stdin) => {
                this.stdin = stdin;
                this.wake();
            },
            onOutput: (text) => {
                this.printed += text;
                this.wake();
            },
        });
        ended
            .then(() => {
                const [, holder] = this.printed.split(taken);
                if (holder !== undefined) throw new AlreadyWatched(holder.trim());
                throw new Error("the load balancer ended the connection");
            })
            .catch((error: unknown) => {
                this.failure = error as Error;
                this.wake();
            });
    }

    /**
     * @param heartbeat One line of JSON that stays on the load balancer. @default what is there stays
     * @throws AlreadyWatched with the heartbeat of who watches; Error if the load balancer or HAProxy does not answer. A
     *   watch that has failed fails for ever.
     */
    async look(heartbeat = ""): Promise<PoolReading> {
        await this.until(() => this.stdin !== undefined);
        this.stdin?.write(`${heartbeat}\n`);
        await this.until(() => this.printed.includes(`${end}\n`));
        const [answer = "", ...rest] = this.printed.split(`${end}\n`);
        this.printed = rest.join(`${end}\n`);
        return parseReading(answer);
    }

    close(): void {
        this.stop.abort();
    }

    private async until(isSo: () => boolean): Promise<void> {
        const deadline = Date.now() + answerSeconds * 1000;
        while (!isSo()) {
            if (this.failure) throw this.failure;
            const left = deadline - Date.now();
            if (left <= 0) {
                this.failure = new Error(`the load balancer has not answered for ${answerSeconds} s`);
                this.close();
                continue;
            }
            const woken = new Promise<void>((resolve) => (this.wake = resolve));
            await Promise.race([woken, sleep(left, undefined, { ref: false })]);
        }
    }
}
