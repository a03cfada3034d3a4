import { type CertificateFacts, checkCertificate, inOneFile } from "./certificate";
import { recordName } from "./zone";
import { jsonList } from "./config-rules";

/** The config's keys about HTTPS. One that is missing was refused already. */
export interface HttpsValues {
    domains?: readonly string[];
    tlsCertificate?: string;
    tlsKey?: string;
    acmeEmail?: string;
    acmeServer?: string;
    dnsZone?: string;
    httpsRedirect?: boolean;
    hsts?: number;
}

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
export function domainNames(raw: string): string[] {
    const list = jsonList(raw);
    const isName = (name: unknown): name is string => typeof name === "string" && domainForm.test(name);
    if (!list?.every(isName) || list.length > mostDomains || new Set(list).size < list.length)
        throw new Error(
            `a list of at most ${mostDomains} host names in lower case, each once, such as ["www.example.com"] ` +
                "(others than ASCII as xn--…; no address; no wildcard, though the certificate may have one)",
        );
    return list;
}

/** A host name, or empty. */
export function zoneName(raw: string): string {
    if (raw !== "" && !domainForm.test(raw))
        throw new Error("a domain of the account such as example.com, or empty where DNS is somebody else's");
    return raw;
}

/** The warnings about names that no record is made for. */
function outsideZone({ domains = [], dnsZone = "" }: HttpsValues): string[] {
    if (dnsZone === "") return [];
    if (domains.length === 0) return ["'dnsZone' has no effect without 'domains', of which there are none"];
    const others = domains.filter((domain) => recordName(domain, dnsZone) === undefined);
    return others.map((domain) => `${domain} is not in 'dnsZone' ${dnsZone}: its A record is not made here`);
}

/** What is wrong with the keys about HTTPS together, what is likely not meant, and what they make where nothing is wrong. */
export function httpsOf(values: HttpsValues, now: Date = new Date()): HttpsFindings {
    const found = certificateOf(values, now);
    return { ...found, warnings: [...found.warnings, ...outsideZone(values)] };
}

interface HttpsFindings {
    problems: string[];
    warnings: string[];
    https?: HttpsSettings;
}

function certificateOf(values: HttpsValues, now: Date): HttpsFindings {
    const { domains, tlsCertificate: chain = "", tlsKey: key = "", httpsRedirect: redirect, hsts } = values;
    const { acmeEmail: email, acmeServer: server } = values;
    if (domains === undefined || email === undefined) return { problems: [], warnings: [] };
    if (domains.length === 0) return withoutDomains(values);
    if (email !== "" && (chain !== "" || key !== "")) {
        const problem =
            "'domains' need one certificate, got both: 'acmeEmail' to get one, and 'tlsCertificate' or 'tlsKey' of your own; " +
            "pulumi config rm acmeEmail, or pulumi config rm tlsCertificate && pulumi config rm tlsKey";
        return { problems: [problem], warnings: [] };
    }
    if (email !== "") {
        const isRight = server !== undefined && redirect !== undefined && hsts !== undefined;
        const acme = { email, server: server ?? "" };
        return {
            problems: [],
            warnings: [],
            ...(isRight && { https: { domains: [...domains], redirect, hsts, acme } }),
        };
    }
    if (chain === "" || key === "") {
        const own = { tlsCertificate: chain, tlsKey: key };
        const missing = Object.entries(own).flatMap(([name, text]) => (text === "" ? [name] : []));
        const advice = missing.map((name) => `pulumi config set --secret ${name} < FILE.pem`).join(" && ");
        return {
            problems: [
                "'domains' needs 'acmeEmail', to get a certificate, or one of your own with its key: " +
                    `'${missing.join("' and '")}' got nothing; pulumi config set acmeEmail YOU@example.com, or ${advice}`,
            ],
            warnings: [],
        };
    }
    const { problems, warnings, facts } = checkCertificate(chain, key, domains, now);
    if (problems.length > 0 || !facts || redirect === undefined || hsts === undefined)
        return { problems, warnings };
    const own = { pem: inOneFile(chain, key), facts };
    return { problems, warnings, https: { domains: [...domains], redirect, hsts, own } };
}

function withoutDomains({ tlsCertificate = "", tlsKey = "", hsts = 0 }: HttpsValues) {
    const warnings = Object.entries({ tlsCertificate, tlsKey, hsts })
        .filter(([, value]) => value !== "" && value !== 0)
        .map(
            ([key]) =>
                `'${key}' has no effect without 'domains', of which there are none: pulumi config set --path 'domains[0]' www.example.com`,
        );
    return { problems: [], warnings };
}
