import { createHash } from "node:crypto";
import { keyNames } from "./identity";

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
        `machine as taken over, and have another one made, with a new key: \`pulumi up --replace '**::${keyNames().host}'\``
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

/** The key in base64 of a line of type, key and comment. */
export function keyOf(line: string): string {
    return line.split(" ")[1] ?? "";
}
