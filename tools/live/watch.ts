import { setTimeout as sleep } from "node:timers/promises";
import type { Writable } from "node:stream";
import { shellQuoted } from "../../lib/shell";
import type { StackOutputs } from "../pulumi/run";
import { plain } from "../cli/words";
import { applyLock } from "./haproxy";
import { heartbeatFile, keepHeartbeat, printHeartbeat } from "./heartbeat";
import { parseReading, type PoolReading } from "./reading";
import { runOverSsh } from "./ssh";

/** Kept on the load balancer while the autoscaler is at work: a second one, wherever it runs, can't have it. */
const lockFile = "/run/dropscale-autoscaler.lock";
const end = "-- dropscale: end";
const taken = "-- dropscale: taken";

/** After this long without a question the host ends the watch, so that a client that died keeps no lock. */
const silenceSeconds = 60;
/** HAProxy answers within 5 s, or not at all. */
const answerSeconds = 15;

/** A look within so many seconds of another one takes that one's word for it: a process is most of what a look costs. */
const applySeconds = 4;

/**
 * Answers each line of its stdin with what HAProxy says just now; a line that is not empty becomes the heartbeat.
 * https://docs.haproxy.org/2.6/management.html#9.3
 */
const script = (alone: boolean): string => `
${alone ? `exec 9>${lockFile}; flock --nonblock 9 || { echo '${taken}'; cat ${heartbeatFile}; exit 0; }` : ""}
due=0
while IFS= read -r -t ${silenceSeconds} line; do
    ${printHeartbeat}
    if [ -n "$line" ]; then ${keepHeartbeat}; fi
    socat -t 5 -T 5 - UNIX-CONNECT:/run/haproxy/admin.sock \
        <<<'show info;show stat pool 6 -1;show stat uploads 6 -1;show stat streams 2 -1'
    if (( EPOCHSECONDS >= due )); then
        exec 8>>${applyLock}
        if flock --nonblock 8; then applying=no; else applying=yes; fi
        exec 8>&-
        due=$((EPOCHSECONDS + ${applySeconds}))
    fi
    echo "applying: $applying"
    echo '${end}'
done`;

/** An autoscaler has the lock. */
export class AlreadyWatched extends Error {
    /** @param heartbeat Its last word. */
    constructor(heartbeat: string) {
        const [, host = "another host"] = /"host":"([^"]*)"/.exec(heartbeat) ?? [];
        super(`an autoscaler is at work on this stack already, on ${plain(host)}: stop that one first`);
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
    constructor(
        { loadBalancerIp: host, deployKey: privateKey, hostKey }: StackOutputs,
        { alone = false }: { alone?: boolean } = {},
    ) {
        const command = `bash -c ${shellQuoted(script(alone))}`;
        const ended = runOverSsh(
            command,
            { host, privateKey, hostKey },
            {
                signal: this.stop.signal,
                onStart: (stdin) => {
                    this.stdin = stdin;
                    this.wake();
                },
                onOutput: (text) => {
                    this.printed += text;
                    this.wake();
                },
            },
        );
        ended
            .then(() => {
                const [, holder] = this.printed.split(taken);
                this.failure =
                    holder === undefined
                        ? new Error("the load balancer ended the connection")
                        : new AlreadyWatched(holder.trim());
            })
            .catch((error: unknown) => {
                this.failure = error as Error;
            })
            .finally(() => {
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
