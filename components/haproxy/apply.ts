import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostScript, oneWord } from "../host-script";

/** The longest `drainSeconds`: {@link applyCommand} must outlast the drain of whatever ran before. */
export const maxDrainSeconds = 3600;

/** The script that stages and applies haproxy.cfg. */
export const haproxyScript = hostScript("haproxy", readFileSync(join(__dirname, "apply.sh"), "utf8"));

/**
 * Keeps the text of haproxy.cfg that is its stdin on the load balancer, and prints its word: another one each time. The id
 * stands in the text as in `install` of a HostScript.
 */
export function stageCommand(loadBalancerId: string): string {
    return `${haproxyScript.path} stage # load balancer ${oneWord(loadBalancerId)}`;
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
    return `timeout --kill-after=10 ${bound} ${haproxyScript.path} apply ${oneWord(word.trim())} ${readySeconds}`;
}
