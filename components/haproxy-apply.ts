import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The longest `drainSeconds`: {@link applyHaproxyCommand} must outlast the drain of whatever ran before. */
export const maxDrainSeconds = 3600;

/** Inputs of {@link applyHaproxyStdin}. */
export interface ApplyHaproxyOptions {
    /** Text of haproxy.cfg, as renderHaproxyConfig makes it: it names the servers and the question to ask them. */
    config: string;
    /** How long new servers may take until they answer, in seconds. */
    readySeconds: number;
    /** Id of the load balancer's droplet: it stands in the text, so that a preview shows the run on a new one. */
    loadBalancerId: string;
}

/**
 * The one line to run as root on the load balancer; {@link applyHaproxyStdin} is its stdin. Every step of the script
 * has a bound of its own, so this one ends only what hangs all the same: 600 s is more than the lock (120 s),
 * `haproxy -c`, three reloads and a roll-back take together.
 */
export function applyHaproxyCommand({ readySeconds }: Pick<ApplyHaproxyOptions, "readySeconds">): string {
    return `timeout --kill-after=10 ${readySeconds + maxDrainSeconds + 600} bash -s`;
}

/**
 * What `bash -s` reads: the parameters, apply-haproxy.sh, and the text of haproxy.cfg.
 *
 * @throws Error for an id or a number that would not be one word of a shell script.
 */
export function applyHaproxyStdin({ config, readySeconds, loadBalancerId }: ApplyHaproxyOptions): string {
    if (!/^[\w.:-]+$/.test(loadBalancerId))
        throw new Error(`a droplet's id should be one word, got ${loadBalancerId}`);
    if (!Number.isInteger(readySeconds))
        throw new Error(`readySeconds should be a whole number, got ${readySeconds}`);
    return `# load balancer ${loadBalancerId}\nREADY_SECONDS=${readySeconds}\n${script}${config}`;
}

/**
 * The text of haproxy.cfg out of what {@link applyHaproxyStdin} made, of this version or an earlier one.
 *
 * @returns `undefined` for anything else: a preview that does not know it yet, a secret.
 */
export function configInStdin(stdin: unknown): string | undefined {
    // The script's last line.
    return typeof stdin === "string" ? /\nmain; exit \$\?\n(.*)$/s.exec(stdin)?.[1] : undefined;
}

const script = readFileSync(join(__dirname, "apply-haproxy.sh"), "utf8");
