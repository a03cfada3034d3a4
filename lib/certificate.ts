import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Findings } from "./config-values";

/** What anybody may know of a certificate. */
export interface CertificateFacts {
    /** The host names that it is for; `*.example.com` is one label of any name. */
    names: string[];
    /** Who signed it. */
    issuer: string;
    /** When it ends: an ISO date and time in UTC. */
    notAfter: string;
    /** SHA-256 of the certificate, in hexadecimal with colons, as browsers show it. */
    fingerprint: string;
}

/** What is found about a certificate, and what it is, where it can be read. */
interface CertificateFindings extends Findings {
    facts?: CertificateFacts;
}

/** With fewer days left, the preview warns. */
const fewDays = 14;
const day = 24 * 3600 * 1000;

const certificateBlock = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/**
 * Judges a certificate of the user's own by what a visitor's browser will look at. Never repeats any of the key.
 *
 * @param chainPem The site's certificate, then those of the authorities between it and a root.
 * @param keyPem Its private key, not encrypted.
 * @param domains The names that it has to be for.
 */
export function checkCertificate(
    chainPem: string,
    keyPem: string,
    domains: readonly string[],
    now: Date = new Date(),
): CertificateFindings {
    const chain = readChain(chainPem);
    if (typeof chain === "string") return { problems: [chain], warnings: [] };
    const [leaf] = chain as [X509Certificate, ...X509Certificate[]];
    const missing = domains.filter((name) => leaf.checkHost(name, { subject: "never" }) === undefined);
    const facts = certificateFacts(leaf);
    const problems = [...keyProblems(chain, keyPem), ...timeProblems(chain, now)];
    if (missing.length > 0)
        problems.push(
            `'tlsCertificate' should be for all of 'domains', got one for ${facts.names.join(", ") || "no host name"}: ` +
                `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} missing; get one for all, or take the name out of 'domains'`,
        );
    problems.push(...orderProblems(chain));
    return { problems, warnings: problems.length > 0 ? [] : doubts(chain, now), facts };
}

/** What HAProxy reads: the certificates, then the key, and nothing between them. Both were judged before. */
export function inOneFile(chainPem: string, keyPem: string): string {
    const key = createPrivateKey(keyPem).export({ type: "pkcs8", format: "pem" });
    return `${(chainPem.match(certificateBlock) ?? []).join("\n")}\n${key.toString()}`;
}

/** The certificates, the site's own first; or what is wrong with the text. */
function readChain(pem: string): X509Certificate[] | string {
    const form =
        "'tlsCertificate' should be certificates in PEM (-----BEGIN CERTIFICATE-----), the site's own first";
    const advice = "pulumi config set --secret tlsCertificate < fullchain.pem";
    const blocks = pem.match(certificateBlock) ?? [];
    if (blocks.length === 0) return `${form}, got ${textOf(pem)}; ${advice}`;
    try {
        return blocks.map((block) => new X509Certificate(block));
    } catch {
        return `${form}, got ${blocks.length} of which one can't be read; ${advice}`;
    }
}

/** A text that may be secret, or long. */
const textOf = (text: string): string =>
    text === "" ? "nothing" : `a text of ${text.length} characters without one`;

function keyProblems(chain: readonly X509Certificate[], pem: string): string[] {
    const advice = "pulumi config set --secret tlsKey < privkey.pem";
    const form = "'tlsKey' should be the certificate's private key in PEM (-----BEGIN PRIVATE KEY-----)";
    let key: KeyObject;
    try {
        key = createPrivateKey(pem);
    } catch {
        const what = pem.includes("ENCRYPTED")
            ? "one that is encrypted: openssl pkey -in privkey.pem takes the password off"
            : textOf(pem);
        return [`${form}, got ${what}; ${advice}`];
    }
    const fits = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
    if (fits > 0)
        return [
            `'tlsCertificate' should begin with the site's certificate, got it as number ${fits + 1} of ${chain.length}; put it first`,
        ];
    if (fits < 0) return [`${form}, got the key of another certificate; ${advice}`];
    const kind = key.asymmetricKeyType ?? "unknown";
    const { namedCurve = "", modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
    if (kind === "rsa" && modulusLength >= 2048) return [];
    if (kind === "ec" && ["prime256v1", "secp384r1"].includes(namedCurve)) return [];
    const found = [kind, namedCurve, modulusLength || ""].filter(Boolean).join(" ");
    return [
        `'tlsKey' should be EC on P-256 or P-384, or RSA of 2048 bits or more, which all browsers take, got ${found}`,
    ];
}

/** Those that a browser looks at: one that has a root in the end has its own copy of it. */
const judged = (chain: readonly X509Certificate[]): readonly X509Certificate[] =>
    chain.filter(({ issuer, subject }, i) => i === 0 || i < chain.length - 1 || issuer !== subject);

function timeProblems(chain: readonly X509Certificate[], now: Date): string[] {
    return judged(chain).flatMap((certificate, i) => {
        const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
        const got = i === 0 ? "got one" : `got ${which(chain, i)}`;
        const should = `'tlsCertificate' should be valid, ${got}`;
        if (to <= now) return [`${should} that ended at ${to.toISOString()}; get a new one`];
        if (from > now) return [`${should} that begins at ${from.toISOString()}; wait until then`];
        return [];
    });
}

/** Says which certificate of the file is meant, so that it can be found there. */
const which = (chain: readonly X509Certificate[], i: number): string =>
    `number ${i + 1} of ${chain.length}, ${nameOf(chain[i]?.subject)},`;

/** Each certificate has to be signed by the next one: a browser does not look for it elsewhere. */
function orderProblems(chain: readonly X509Certificate[]): string[] {
    const wrong = chain.findIndex((certificate, i) => {
        const next = chain[i + 1];
        return next && !(certificate.checkIssued(next) && certificate.verify(next.publicKey));
    });
    if (wrong < 0) return [];
    return [
        `'tlsCertificate' should have each certificate followed by that of its issuer: number ${wrong + 1} is issued by ` +
            `${nameOf(chain[wrong]?.issuer)}, number ${wrong + 2} is ${nameOf(chain[wrong + 1]?.subject)}`,
    ];
}

function doubts(chain: readonly X509Certificate[], now: Date): string[] {
    const [leaf] = chain;
    const warnings = judged(chain).flatMap((certificate, i) => {
        const to = new Date(certificate.validTo);
        const left = Math.floor((to.getTime() - now.getTime()) / day);
        const what = i === 0 ? "'tlsCertificate'" : `'tlsCertificate', ${which(chain, i)}`;
        if (left >= fewDays) return [];
        return [
            `${what} ends in ${left} days, at ${to.toISOString()}: get a new one, then ` +
                "pulumi config set --secret tlsCertificate < fullchain.pem, tlsKey the same way, and pulumi up",
        ];
    });
    if (chain.length === 1 && leaf && leaf.issuer === leaf.subject)
        warnings.push("'tlsCertificate' is signed by itself: browsers will warn their users");
    else if (chain.length === 1)
        warnings.push(
            `'tlsCertificate' is the site's certificate alone, issued by ${nameOf(leaf?.issuer)}: clients that don't have ` +
                "the issuer's refuse it; most authorities hand out the whole chain as fullchain.pem",
        );
    return warnings;
}

/** What anybody may know of it. */
export function certificateFacts(leaf: X509Certificate): CertificateFacts {
    return {
        names: [...(leaf.subjectAltName ?? "").matchAll(/DNS:([^,]+)/g)].map(([, name = ""]) => name),
        issuer: nameOf(leaf.issuer),
        notAfter: new Date(leaf.validTo).toISOString(),
        fingerprint: leaf.fingerprint256,
    };
}

/** The common name in a distinguished name as node writes it, a part a line; else all of it in one line. */
function nameOf(distinguished = ""): string {
    const [, common] = /^CN=(.*)$/m.exec(distinguished) ?? [];
    const [, organization] = /^O=(.*)$/m.exec(distinguished) ?? [];
    if (common === undefined) return organization ?? distinguished.replaceAll("\n", ", ");
    return organization === undefined ? common : `${common} (${organization})`;
}
