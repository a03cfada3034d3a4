import { createHash, createPublicKey } from "node:crypto";
import { sshKeygen } from "./shell";

/** Certificate authorities by a word. https://letsencrypt.org/docs/staging-environment/ */
const servers: Readonly<Record<string, string>> = {
    letsencrypt: "https://acme-v02.api.letsencrypt.org/directory",
    staging: "https://acme-staging-v02.api.letsencrypt.org/directory",
};

/** The URL of an authority's directory, by its word or by itself. Throws what completes "'acmeServer' should be …". */
export function acmeServer(raw: string): string {
    const url = servers[raw] ?? raw;
    if (!/^https:\/\/[a-z\d.-]+(:\d+)?\/[\w./~-]*$/.test(url))
        throw new Error(
            `${Object.keys(servers).join(", ")}, or the URL of an authority's directory (https://…)`,
        );
    return url;
}

/**
 * What an account key is called in the answer to a challenge. https://www.rfc-editor.org/rfc/rfc7638#section-3
 *
 * @param key In PEM, EC or RSA; the private key will do.
 */
export function thumbprint(key: string): string {
    const { crv, e, kty, n, x, y } = createPublicKey(key).export({ format: "jwk" });
    // Those of these members that there are, in this order, without blanks.
    const members = JSON.stringify({ crv, e, kty, n, x, y });
    return createHash("sha256").update(members).digest("base64url");
}

/** Makes an account key of an authority, EC on P-256, and prints it in PEM. */
export const accountKeyScript = sshKeygen("-t ecdsa -b 256 -m PEM -N ''", '"$dir/key"');
