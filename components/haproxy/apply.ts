import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The longest `drainSeconds`: {@link applyCommand} must outlast the drain of whatever ran before. */
export const maxDrainSeconds = 3600;

/** The script that stages and applies haproxy.cfg, to be installed by {@link installCommand}. */
export const haproxyScript = readFileSync(join(__dirname, "apply.sh"), "utf8");

// By its content: what one version of the program has installed, another one neither runs nor overwrites.
const installed = `/usr/local/lib/dropscale/haproxy-${createHash("sha256").update(haproxyScript).digest("hex").slice(0, 12)}`;

/**
 * Installs the script that is its stdin, whole or not at all.
 *
 * @param loadBalancerId Stands in the text, here and in {@link stageCommand}, so that both run on a new load balancer
 *   and a preview shows it.
 */
export function installCommand(loadBalancerId: string): string {
    const file = `${installed}.$$`;
    return (
        `mkdir -p ${installed.replace(/\/[^/]*$/, "")} && cat >${file} && chmod 755 ${file} && mv ${file} ${installed} ` +
        `# load balancer ${oneWord(loadBalancerId)}`
    );
}

/** Keeps the text of haproxy.cfg that is its stdin on the load balancer, and prints its word: another one each time. */
export function stageCommand(loadBalancerId: string): string {
    return `${installed} stage # load balancer ${oneWord(loadBalancerId)}`;
}

/**
 * Makes a staged text the running one. Every step of the script has a bound of its own, so the one here ends only what
 * hangs all the same: 600 s is more than the lock (120 s), `haproxy -c`, three reloads and a roll-back take together.
 *
 * @param word What {@link stageCommand} has printed.
 * @param readySeconds How long new servers may take until they answer.
 * @throws Error for a word or a number that would not be one word of a shell script.
 */
export function applyCommand(word: string, readySeconds: number): string {
    if (!Number.isInteger(readySeconds))
        throw new Error(`readySeconds should be a whole number, got ${readySeconds}`);
    const bound = readySeconds + maxDrainSeconds + 600;
    return `timeout --kill-after=10 ${bound} ${installed} apply ${oneWord(word.trim())} ${readySeconds}`;
}

function oneWord(text: string): string {
    if (!/^[\w.:-]+$/.test(text))
        throw new Error(`a droplet's id or a staged text's should be one word, got ${text}`);
    return text;
}
