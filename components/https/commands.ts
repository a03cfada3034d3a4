import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { CertificateFacts } from "../../lib/certificate";
import type { HttpsSettings } from "../../lib/https-settings";
import { shellQuoted } from "../../lib/shell";
import { hostScript, oneWord } from "../host-script";

const read = (file: string): string => readFileSync(join(__dirname, file), "utf8");

/** The script that installs a certificate, one of the user's own or one that it gets from an authority. */
export const certificateScript = hostScript(
    "certificate",
    ["certificate.sh", "acme.sh", "commands.sh"].map(read).join("\n"),
);

/** How long the script waits for another run of itself, the timer's among them, in seconds. */
const lockSeconds = 300;

/** What to order, and from whom. */
export interface AcmeOrder extends NonNullable<HttpsSettings["acme"]> {
    /** Of the account key, which is the command's stdin. */
    thumbprint: string;
    /** Host names, at least one. */
    names: readonly string[];
}

/**
 * Keeps a certificate of the user's own (PEM, with its key) for {@link applyCertificate}, or what to order (with the account
 * key): its stdin. Prints its word: another one each time.
 */
export function stageCertificate(loadBalancerId: string, what: readonly string[] | AcmeOrder): string {
    const step =
        "server" in what
            ? ["order", what.email, what.server, what.thumbprint, ...what.names]
            : ["install", ...what];
    return run(lockSeconds + 60, ["stage", ...step], loadBalancerId);
}

/**
 * Makes what was staged the certificate that HAProxy serves; or has the load balancer keep what it is to order, and installs
 * what asks the authority: half a minute the first time.
 *
 * @param word What {@link stageCertificate} has printed.
 */
export function applyCertificate(word: string): string {
    return `timeout --kill-after=10 ${lockSeconds + 480} ${certificateScript.path} apply ${oneWord(word.trim())}`;
}

/** Gets the certificate on a load balancer that has not the reserved IP yet, where another one of the stack has it. */
export function certificateBefore(loadBalancerId: string, order: AcmeOrder, reservedIp: string): string {
    return run(lockSeconds + 480, ["before", reservedIp], loadBalancerId, order);
}

/** Waits for the certificate, and tells what it is; what is missing after so many seconds is a warning. */
export function certificateAfter(loadBalancerId: string, order: AcmeOrder, seconds: number): string {
    return run(lockSeconds + 480 + seconds, ["after", `${seconds}`], loadBalancerId, order);
}

/** What {@link certificateAfter} has printed; `undefined` while there is none. */
export function certificateIn(printed = ""): CertificateFacts | undefined {
    const [json] = /^\{.*\}$/m.exec(printed) ?? [];
    return json === undefined ? undefined : (JSON.parse(json) as CertificateFacts);
}

/** In the comment stands for what else it runs again. */
function run(seconds: number, words: readonly string[], loadBalancerId: string, order?: AcmeOrder): string {
    const why = [`load balancer ${oneWord(loadBalancerId)}`, order?.server, ...(order?.names ?? [])];
    return `timeout --kill-after=10 ${seconds} ${certificateScript.path} ${words.map(quoted).join(" ")} # ${why.filter(Boolean).join(" ")}`;
}

const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : shellQuoted(word));
