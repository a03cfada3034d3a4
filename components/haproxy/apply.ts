import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setupText } from "../../userdata/multipart";
import { hostScript, oneWord } from "../host-script";

/** The longest `drainSeconds`: {@link applyCommand} must outlast the drain of whatever ran before. */
export const maxDrainSeconds = 3600;

const read = (file: string): string => readFileSync(join(__dirname, file), "utf8");

/** Its parts beside apply.sh; the commands come last. */
const parts = ["reload.sh", "ready.sh", "servers.sh", "store.sh", "push.sh", "tick.sh", "commands.sh"];

/** The script that stages and applies haproxy.cfg, and brings releases of content to the servers. */
export const haproxyScript = hostScript(
    "haproxy",
    [read("apply.sh"), setupText("name-of.sh"), ...parts.map(read)].join("\n"),
);

/**
 * Keeps the text of haproxy.cfg that is its stdin on the load balancer, and prints its word: another one each time. The id
 * stands in the text as in `install` of a HostScript.
 */
export function stageCommand(loadBalancerId: string): string {
    return `${haproxyScript.path} stage # load balancer ${oneWord(loadBalancerId)}`;
}

/**
 * Makes what was sent to the load balancer the release that every server serves, a few at a time.
 *
 * @param word What `take` of the script has printed.
 */
export function pushCommand(word: string): string {
    return `timeout --kill-after=10 ${maxDrainSeconds} ${haproxyScript.path} push ${oneWord(word.trim())}`;
}

/**
 * Makes a staged text the running one. Every step of the script has a bound of its own, so the one here ends only what
 * hangs all the same. It waits for two drains, of old workers and then of a job that runs once; 600 s is more than the lock
 * (120 s), `haproxy -c`, three reloads and a roll-back take together.
 *
 * @param word What {@link stageCommand} has printed.
 * @param readySeconds How long new servers may take until they answer.
 * @throws Error for a word or a number that would not be one word of a shell script.
 */
export function applyCommand(word: string, readySeconds: number): string {
    if (!Number.isInteger(readySeconds))
        throw new Error(`readySeconds should be a whole number, got ${readySeconds}`);
    const bound = readySeconds + 2 * maxDrainSeconds + 600;
    return `timeout --kill-after=10 ${bound} ${haproxyScript.path} apply ${oneWord(word.trim())} ${readySeconds}`;
}
