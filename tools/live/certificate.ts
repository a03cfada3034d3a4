import { X509Certificate } from "node:crypto";
import { certificateFile } from "../../components/haproxy/https";
import { type CertificateFacts, certificateFacts } from "../../lib/certificate";
import { count } from "../cli/words";
import type { StackOutputs } from "../pulumi/run";
import type { Condition } from "./condition";
import { onLoadBalancer } from "./ssh";

/** The site's certificate as the load balancer has it. */
export interface LiveCertificate extends CertificateFacts {
    /** ISO date and time in UTC. */
    notBefore: string;
    /** Fingerprint of the one that a handshake shows; empty: none. */
    shown: string;
    /** What the load balancer's own timer says of its last try; none for a certificate of one's own. */
    status?: { result: "ok" | "waits" | "failed"; reason: string; triedAt: string; missing: string };
}

/** Prints the first certificate, never the key. */
const ask = `pem=${certificateFile}
[ -e $pem ] || exit 0
openssl x509 -in $pem
port=$(sed -n 's/^ *bind :\\([0-9]*\\) ssl .*/\\1/p' /etc/haproxy/haproxy.cfg | head -n 1)
[ -n "$port" ] || exit 0
timeout 10 openssl s_client -connect 127.0.0.1:$port </dev/null 2>/dev/null |
    openssl x509 -noout -fingerprint -sha256 2>/dev/null | sed 's/.*=/shown /'
if [ -e /etc/dropscale/acme/settings ] && [ -e /etc/dropscale/acme/status ]; then
    sed 's/^/status /' /etc/dropscale/acme/status
fi
`;

/** Asks the load balancer over SSH; `undefined` for a site without HTTPS. @throws as {@link onLoadBalancer} */
export async function certificateCondition(
    outputs: StackOutputs,
    stack: string,
): Promise<Condition | undefined> {
    if (!outputs.url.startsWith("https:")) return undefined;
    return judgeCertificate(parseCertificate(await onLoadBalancer(outputs, ask)), stack);
}

/** Takes apart what the load balancer printed. @throws Error if it is anything else. */
export function parseCertificate(text: string): LiveCertificate {
    const [pem] = /-----BEGIN CERTIFICATE-----[^]+?-----END CERTIFICATE-----/.exec(text) ?? [];
    if (pem === undefined)
        throw new Error(`${certificateFile} is missing on the load balancer, or can't be read`);
    const certificate = new X509Certificate(pem);
    const [, status] = /^status (\{.*\})$/m.exec(text) ?? [];
    return {
        ...certificateFacts(certificate),
        notBefore: new Date(certificate.validFrom).toISOString(),
        shown: /^shown (\S+)$/m.exec(text)?.[1] ?? "",
        ...(status !== undefined && { status: JSON.parse(status) as NonNullable<LiveCertificate["status"]> }),
    };
}

const day = 24 * 3600 * 1000;

export function judgeCertificate(certificate: LiveCertificate, stack: string, now = new Date()): Condition {
    const { names, issuer, notBefore, notAfter, fingerprint, shown, status } = certificate;
    const life = Date.parse(notAfter) - Date.parse(notBefore);
    const left = Date.parse(notAfter) - now.getTime();
    const days = count(Math.max(0, Math.floor(left / day)), "day");
    const what = names.length === 0 ? "none yet" : `${names.join(", ")}, by ${issuer}, ${days} left`;
    const tried = status ? `; last tried ${status.triedAt}: ${status.result}` : "";
    const reason = status?.reason ? ` (${status.reason})` : "";
    // The timer renews when a third is left; it had its time.
    const isLate = status ? left < life / 4 : left < 14 * day;
    const ends = `${left > 0 ? "ends" : "ended"} at ${notAfter}${status ? `, and was not renewed${reason}` : ""}`;
    const problems = [
        shown === fingerprint ? "" : "is not the one that a handshake shows",
        isLate ? ends : "",
        status?.missing ? `lacks ${status.missing.replaceAll(" ", ", ")}${reason}` : "",
    ];
    const standsIn = `is not there yet: HTTPS shows one that stands in${reason}`;
    return {
        said: [`certificate: ${what}${tried}`],
        subject: "the certificate ",
        problems: names.length === 0 ? [standsIn] : problems.filter(Boolean),
        fix: status
            ? `\`journalctl -u dropscale-certificate\` on the load balancer tells more; \`pulumi up --stack ${stack} --replace '**::https-after'\` tries at once`
            : `set \`tlsCertificate\` and \`tlsKey\` to a new one, or \`pulumi up --stack ${stack} --replace '**::https-staged'\` brings the same anew`,
    };
}
