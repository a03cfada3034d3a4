import { type CertificateFacts, checkCertificate, inOneFile } from "./certificate";
import { listOf, matching } from "./config-rules";
import type { ConfigValues, Findings } from "./config-values";
import { recordName } from "./zone";

/** How the site is served over HTTPS. */
export interface HttpsSettings {
    /** Host names, at least one. */
    domains: string[];
    /** Visitors who come over HTTP are sent to HTTPS, with the names that the certificate is for. */
    redirect: boolean;
    /** For how many seconds browsers may know the names by HTTPS alone; 0: they are not told. */
    hsts: number;
    /** A certificate of the user's own. @default one from an authority */
    own?: {
        /** Certificates and key in PEM, as HAProxy reads them; a secret. */
        pem: string;
        facts: CertificateFacts;
    };
    /** The authority to get one from: whom it may write to, and the URL of its directory. @default one's own */
    acme?: { email: string; server: string };
}

/** https://www.rfc-editor.org/rfc/rfc1123#section-2.1, in lower case, with at least one dot; the last part is no number. */
const domainForm =
    /^(?=.{4,253}$)([a-z\d]([a-z\d-]{0,61}[a-z\d])?\.)+(?!\d+$)[a-z\d]([a-z\d-]{0,61}[a-z\d])$/;

/** As many names as a certificate of most authorities takes. https://letsencrypt.org/docs/rate-limits/ */
const mostDomains = 100;

/** A list of host names, which may be empty. */
export const domainNames = listOf(
    (name): name is string => typeof name === "string" && domainForm.test(name),
    `a list of at most ${mostDomains} host names in lower case, each once, such as ["www.example.com"] ` +
        "(others than ASCII as xn--…; no address; no wildcard, though the certificate may have one)",
    (list) => list.length <= mostDomains && new Set(list).size === list.length,
);

/** A host name, or empty. */
export const zoneName = matching(
    new RegExp(`^$|${domainForm.source}`),
    "a domain of the account such as example.com, or empty where DNS is somebody else's",
);

/** What is found about the keys of HTTPS together, and what they make where nothing is wrong. */
export function httpsOf(values: ConfigValues): Findings & { https?: HttpsSettings } {
    const { domains = [], httpsRedirect: redirect, hsts } = values;
    const { certificate, problems, warnings } = certificateOf(values);
    const found = { problems, warnings: [...warnings, ...outsideZone(values)] };
    return certificate && redirect !== undefined && hsts !== undefined
        ? { ...found, https: { domains: [...domains], redirect, hsts, ...certificate } }
        : found;
}

/** The warnings about names that no record is made for. */
function outsideZone({ domains = [], dnsZone = "" }: ConfigValues): string[] {
    if (dnsZone === "") return [];
    if (domains.length === 0) return ["'dnsZone' has no effect without 'domains', of which there are none"];
    const others = domains.filter((domain) => recordName(domain, dnsZone) === undefined);
    return others.map((domain) => `${domain} is not in 'dnsZone' ${dnsZone}: its A record is not made here`);
}

/** Where the certificate comes from. */
function certificateOf(
    values: ConfigValues,
): Findings & { certificate?: Pick<HttpsSettings, "own" | "acme"> } {
    const { domains, tlsCertificate = "", tlsKey = "", acmeEmail: email, acmeServer: server } = values;
    const found: Findings = { problems: [], warnings: [] };
    if (domains === undefined || email === undefined) return found;
    if (domains.length === 0) return { ...found, warnings: withoutDomains(values) };
    const missing = Object.entries({ tlsCertificate, tlsKey }).flatMap(([key, text]) => (text ? [] : [key]));
    if (email !== "" && missing.length < 2) {
        const problem =
            "'domains' need one certificate, got both: 'acmeEmail' to get one, and 'tlsCertificate' or 'tlsKey' of your own; " +
            "pulumi config rm acmeEmail, or pulumi config rm tlsCertificate && pulumi config rm tlsKey";
        return { ...found, problems: [problem] };
    }
    if (email !== "")
        return server === undefined ? found : { ...found, certificate: { acme: { email, server } } };
    if (missing.length > 0) {
        const advice = missing.map((key) => `pulumi config set --secret ${key} < FILE.pem`).join(" && ");
        const problem =
            "'domains' needs 'acmeEmail', to get a certificate, or one of your own with its key: " +
            `'${missing.join("' and '")}' got nothing; pulumi config set acmeEmail YOU@example.com, or ${advice}`;
        return { ...found, problems: [problem] };
    }
    const { facts, ...judged } = checkCertificate(tlsCertificate, tlsKey, domains);
    if (judged.problems.length > 0 || !facts) return judged;
    return { ...judged, certificate: { own: { pem: inOneFile(tlsCertificate, tlsKey), facts } } };
}

function withoutDomains({ tlsCertificate = "", tlsKey = "", hsts = 0 }: ConfigValues): string[] {
    return Object.entries({ tlsCertificate, tlsKey, hsts })
        .filter(([, value]) => value !== "" && value !== 0)
        .map(
            ([key]) =>
                `'${key}' has no effect without 'domains', of which there are none: pulumi config set --path 'domains[0]' www.example.com`,
        );
}
