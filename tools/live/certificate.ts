import { X509Certificate } from "node:crypto";
import { certificateFile } from "../../components/haproxy/https";
import { type CertificateFacts, certificateFacts } from "../../lib/certificate";
import { count } from "../cli/words";
import type { StackOutputs } from "../pulumi/run";
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
export async function readCertificate(outputs: StackOutputs): Promise<LiveCertificate | undefined> {
    return outputs.url.startsWith("https:")
        ? parseCertificate(await onLoadBalancer(outputs, ask))
        : undefined;
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
const daysLeft = ({ notAfter }: CertificateFacts, now: Date): number =>
    Math.floor((Date.parse(notAfter) - now.getTime()) / day);

/** One line for who looks. */
export function describeCertificate(certificate: LiveCertificate, now: Date = new Date()): string {
    const { names, issuer, status } = certificate;
    const what =
        names.length === 0
            ? "none yet"
            : `${names.join(", ")}, by ${issuer}, ${count(Math.max(0, daysLeft(certificate, now)), "day")} left`;
    const tried = status ? `; last tried ${status.triedAt}: ${status.result}` : "";
    return `certificate: ${what}${tried}`;
}

/** What is wrong, as the ends of sentences that begin with the certificate. */
export function certificateProblems(certificate: LiveCertificate, now: Date = new Date()): string[] {
    const { names, notBefore, notAfter, fingerprint, shown, status } = certificate;
    const reason = status?.reason ? ` (${status.reason})` : "";
    if (names.length === 0) return [`is not there yet: HTTPS shows one that stands in${reason}`];
    const life = Date.parse(notAfter) - Date.parse(notBefore);
    const left = Date.parse(notAfter) - now.getTime();
    // The timer renews when a third is left; it had its time.
    const isLate = status ? left < life / 4 : left < 14 * day;
    return [
        ...(shown === fingerprint ? [] : ["is not the one that a handshake shows"]),
        ...(isLate
            ? [
                  `${left > 0 ? "ends" : "ended"} at ${notAfter}${status ? `, and was not renewed${reason}` : ""}`,
              ]
            : []),
        ...(status?.missing ? [`lacks ${status.missing.replaceAll(" ", ", ")}${reason}`] : []),
    ];
}

/** What to do about them, in Markdown. */
export const fixCertificate = ({ status }: LiveCertificate, stack: string): string =>
    status
        ? `\`journalctl -u dropscale-certificate\` on the load balancer tells more; \`pulumi up --stack ${stack} --replace '**::https-after'\` tries at once`
        : `set \`tlsCertificate\` and \`tlsKey\` to a new one, or \`pulumi up --stack ${stack} --replace '**::https-staged'\` brings the same anew`;
