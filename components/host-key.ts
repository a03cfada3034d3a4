import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import { refusal } from "../refusal";

/** How long a host may take to show its key, in seconds; one that is silent for longer is the dialling's business. */
const scanSeconds = 5;

/**
 * Refuses a host that shows another SSH host key than the program gave it, in words that name both. The connection
 * itself refuses it too, but dials for minutes, and says only that there is a mismatch.
 *
 * Asks by `ssh-keyscan`. A host that does not answer (it boots, or a firewall is in between) passes: what dials next
 * waits for it, and checks its key.
 *
 * @param address Where SSH listens; returned as it is.
 * @param expected The host's public key, as one line of type, key and comment.
 * @throws RunError that names the key expected, the key found, and what to do.
 */
export async function expectHostKey(address: string, expected: string): Promise<string> {
    const [type = ""] = expected.split(" ");
    const found = isIPv4(address) ? shownKey(await scan(address, type)) : undefined;
    if (found !== undefined && found !== keyOf(expected)) {
        throw refusal(`SSH to root@${address}: ${otherHostKey(expected, found)}`);
    }
    return address;
}

/**
 * What to say of a host that shows another key.
 *
 * @param expected A public key, as one line of type, key and comment.
 * @param found The key that it shows, in base64.
 */
export function otherHostKey(expected: string, found: string): string {
    return (
        `it shows the host key ${fingerprint(found)}, expected ${fingerprint(keyOf(expected))}. Nothing was sent to it. ` +
        "Either the droplet is gone and its address is another machine's now (`pulumi up --refresh` makes it again), or " +
        "something stands in between, or somebody changed the key on the load balancer. If you don't know why, treat the " +
        "machine as taken over, and have another one made, with a new key: `pulumi up --replace '**::keys-host'`"
    );
}

/** `SHA256:…` of a public key in base64, as `ssh-keygen -l` shows it. https://www.rfc-editor.org/rfc/rfc4648#section-3.2 */
export function fingerprint(key: string): string {
    const digest = createHash("sha256").update(Buffer.from(key, "base64")).digest("base64");
    return `SHA256:${digest.replace(/=+$/, "")}`;
}

/** The key in what `ssh-keyscan` printed (a line of host, type and key); undefined where the host showed none. */
export function shownKey(printed: string): string | undefined {
    return /^[^#\s]\S* \S+ (\S+)$/m.exec(printed)?.[1];
}

function keyOf(line: string): string {
    return line.split(" ")[1] ?? "";
}

/** What `ssh-keyscan` prints; nothing where it fails, or where there is no such command. */
function scan(address: string, type: string): Promise<string> {
    const args = ["-T", String(scanSeconds), "-t", type.replace(/^ssh-/, ""), address];
    // ssh-keyscan's own bound does not hold while a host sends its banner byte by byte.
    const options = { timeout: (scanSeconds + 1) * 1000 };
    return new Promise((resolve) => {
        execFile("ssh-keyscan", args, options, (_error, stdout) => {
            resolve(stdout);
        });
    });
}
