/** What haproxy.cfg says about HTTPS: nothing at all where the site has no names. */
import type { HttpsSettings } from "../../lib/https-settings";
import { listenersFor } from "../../lib/listeners";

/** How the site is served over HTTPS. */
export interface HttpsOptions extends Pick<HttpsSettings, "redirect" | "hsts"> {
    /** Of the key of the account with a certificate authority, whose challenges are answered. @default there is none */
    thumbprint?: string;
}

/** The certificates of the site and their key, in one file; there before haproxy.cfg names it. */
export const certificateFile = "/etc/haproxy/certs/site.pem";

/** The host names, one a line, with which that certificate is valid: none while it is only made up. */
export const certifiedFile = "/etc/haproxy/certified.lst";

/** Requests at the same time on one connection of HTTP/2: a browser's page seldom has more, and each costs buffers. */
export const h2Streams = 20;

/**
 * Mozilla's intermediate profile, version 5.7, without its ciphers of DHE, which need a file of their own.
 * https://ssl-config.mozilla.org/guidelines/5.7.json
 *
 * No tickets: one key protects all of them for as long as the process lives, and whoever steals it can decrypt recorded
 * sessions. Sessions can still be resumed by their id.
 */
export function tlsDefaults(https: HttpsOptions | undefined): string {
    if (!https) return "";
    const suites = ["AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"];
    const ciphers = suites.flatMap((suite) => [`ECDHE-ECDSA-${suite}`, `ECDHE-RSA-${suite}`]);
    return `\
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-ciphers ${ciphers.join(":")}
    ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
    ssl-default-bind-curves X25519:P-256:P-384
    tune.h2.max-concurrent-streams ${h2Streams}
`;
}

/** The ports of the frontend. */
export function bindLines(https: HttpsOptions | undefined): string {
    const tls = ` ssl crt ${certificateFile} alpn h2,http/1.1`;
    return listenersFor(https !== undefined)
        .map(({ port, protocol }) => `    bind :${port}${protocol === "https" ? tls : ""}\n`)
        .join("");
}

/** Where a certificate authority asks. https://www.rfc-editor.org/rfc/rfc8555#section-8.3 */
const challengePath = "/.well-known/acme-challenge/";

/**
 * Of HTTPS, requests of HTTP/1 for which no rule is meant that follows: the ACL `usual` says what those look for in
 * headers. It saves 3 % of a request's CPU.
 */
export function usualRule(https: HttpsOptions | undefined): string {
    if (!https) return "";
    const unlessAsked = https.thumbprint === undefined ? "" : ` !{ path_beg ${challengePath} }`;
    return `\
    http-request allow if { ssl_fc } { fc_http_major 1 } { method GET HEAD }${unlessAsked} usual
`;
}

/**
 * HTTP-01 without a file: the answer to every challenge is its own last part and the account key's thumbprint.
 */
export function challengeRule(https: HttpsOptions | undefined): string {
    if (https?.thumbprint === undefined) return "";
    return `\
    # A certificate authority asks whether the names lead here: before all that refuses or redirects.
    http-request return status 200 content-type text/plain lf-string "%[path,field(-1,/)].${https.thumbprint}" if { path_reg ^${challengePath.replace(".", "\\.")}[A-Za-z0-9_-]+$ }
`;
}

/** The table that counts the requests of HTTP/2 that are under way. */
export function h2Counter(https: HttpsOptions | undefined): string {
    if (!https) return "";
    return `
# How many requests of HTTP/2 there are at the same time: it has no servers.
backend h2_requests
    stick-table type integer size 2 store conn_cur
`;
}

/**
 * 308 keeps method and body. A name without a certificate of its own is not redirected: visitors would end at a warning.
 * Behind a trusted proxy its visitors may have come over HTTPS already, though the proxy did not.
 *
 * HSTS by http-after-response: what HAProxy answers itself has it, too.
 *
 * @param trusting Whether there are trusted proxies.
 */
export function redirectRule(https: HttpsOptions | undefined, trusting: boolean): string {
    if (!https) return "";
    const came = trusting ? " !{ req.hdr(X-Forwarded-Proto) -i https }" : "";
    const host = "req.hdr(host),field(1,:),lower";
    const redirect = `    # Only names that the certificate is for: the file changes with it.
    http-request redirect code 308 location https://%[${host}]%[pathq] if !{ ssl_fc }${came} { ${host} -m str -f ${certifiedFile} }
`;
    const hsts = `    http-after-response set-header Strict-Transport-Security max-age=${https.hsts} if { ssl_fc }\n`;
    return (https.redirect ? redirect : "") + (https.hsts > 0 ? hsts : "");
}
