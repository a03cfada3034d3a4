import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";
import { backendSections } from "./backends";
import { bufferKiB, connectionsFor, frontendSection, socketsAtOnce } from "./frontend";
import { h2Counter, tlsDefaults } from "./https";
import { metricsConnections, metricsSection } from "./metrics";
import type { RenderHaproxyOptions } from "./options";
import { isIpv4Range } from "../../lib/ipv4-ranges";

/** What a health path may be: it becomes one word of haproxy.cfg, and a URL in a file that curl reads. */
export const healthPathForm = {
    pattern: /^\/[\w.~!*+,;=:@%/?&-]{0,200}$/,
    description:
        "a path that starts with / and has at most 200 further characters, without blanks, quotes, # and $",
};

/** Between the dots of a host name. */
const label = "[a-zA-Z\\d](?:[a-zA-Z\\d-]{0,61}[a-zA-Z\\d])?";

/** What a Host header may be: it becomes one word of haproxy.cfg. https://www.rfc-editor.org/rfc/rfc9110#section-7.2 */
export const healthHostForm = {
    pattern: new RegExp(`^${label}(?:\\.${label}){0,9}(?::[1-9]\\d{0,4})?$`),
    description:
        "a host name such as www.example.com, and a port if the app wants one (www.example.com:8000)",
};

/** The body of every 503 that HAProxy makes itself. One line, and no `'`: it stands in strong quotes. */
const unavailablePage = [
    '<!doctype html><html lang="en"><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width"><title>Back in a moment</title>',
    "<style>body{font:1.1em/1.6 system-ui,sans-serif;max-width:34em;margin:18vh auto;padding:0 1em}</style>",
    "<h1>Back in a moment</h1><p>No server can answer just now. Please try again in a few seconds.</p></html>",
].join("");

/**
 * haproxy.cfg of the load balancer, for HAProxy 2.6 (Debian 12) and 3.0 (Debian 13). The same text for any order of
 * servers; it names its own generation ({@link markGeneration}).
 *
 * Directives: https://docs.haproxy.org/2.6/configuration.html
 *
 * @throws Error for a value that would not be one word of the configuration, and for a name or an address used twice.
 */
export function renderHaproxyConfig(args: RenderHaproxyOptions): string {
    check(args);
    const servers = args.servers.toSorted((a, b) => bySlot.compare(a.name, b.name));
    return markGeneration(`${globalSection(args)}
${defaultsSection(args)}
${frontendSection(args)}
${backendSections({ ...args, servers })}${h2Counter(args.https)}${metricsSection(args.metrics)}`);
}

/**
 * Adds the line that names a text's generation: the first 16 hex digits of the SHA-256 of all its other lines.
 * HAProxy repeats it in `show info`, which proves what runs; a file whose text and marker disagree is cut short or
 * was edited by hand. apply.sh computes it the same way.
 *
 * @param text A configuration that starts with its `global` section.
 */
export function markGeneration(text: string): string {
    const generation = createHash("sha256").update(text).digest("hex").slice(0, 16);
    return text.replace(/^global\n/m, `global\n    description gen=${generation}\n`);
}

/** The generation that a text names, right or not; `undefined` if it names none. */
export function generationIn(text: string): string | undefined {
    return /^ {4}description gen=([0-9a-f]{16})$/m.exec(text)?.[1];
}

/**
 * Server states: apply.sh writes them for the time of a reload, or a new worker would send requests to servers
 * that were DOWN, until its first check. In between the file is empty but for its version; after a boot it is missing, and
 * HAProxy says so.
 */
const globalSection = ({ drainSeconds, logOneIn, https, metrics }: RenderHaproxyOptions): string => `\
# Written by Pulumi: an edit here is lost at the next \`pulumi up\`.
global
    log /dev/log local0 ${logOneIn === 1 ? "info" : "notice"}
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock mode 600 level admin expose-fd listeners
    # Bounds the drain: longer than the longest request.
    hard-stop-after ${drainSeconds}s
    maxconn ${connectionsFor(https) + (metrics ? metricsConnections : 0)}
    tune.bufsize ${bufferKiB * 1024}
    tune.maxpollevents ${socketsAtOnce}
    server-state-file /run/dropscale-servers.state
${tlsDefaults(https)}`;

const defaultsSection = ({ serverTimeoutSeconds }: RenderHaproxyOptions): string => `\
defaults
    mode http
    log global
    option httplog
    # Browsers open connections ahead of need: no log line and no 408 page for those.
    option dontlognull
    option http-ignore-probes
    # At a reload, an idle connection is closed after its next request or its timeout, not under the client's feet.
    option idle-close-on-response
    # A client that leaves is noticed, whatever the server does. Here, as the frontend has to know it; pool and uploads undo it.
    option abortonclose
    # HTTP/1 alone: one connection of HTTP/2 would carry a hundred requests, and count as one.
    option disable-h2-upgrade
    option redispatch 1
    retries 1
    # No status: what a server answers is for the client, and a retry would multiply an overload.
    retry-on conn-failure empty-response junk-response
    # Slow clients; also how long a connection without a request holds a leaving worker.
    timeout http-request 5s
    # How long an idle one holds it.
    timeout http-keep-alive 5s
    timeout queue 5s
    timeout connect 2s
    timeout client 60s
    timeout server ${serverTimeoutSeconds}s
    timeout client-fin 10s
    timeout check 2s
    http-error status 503 content-type "text/html; charset=utf-8" string '${unavailablePage}' hdr Retry-After 10 hdr Cache-Control no-store
`;

/** `web-2` before `web-10`. */
const bySlot = new Intl.Collator("en", { numeric: true });

/** Settings are checked where they are read; this keeps any other caller from writing a second directive. */
function check(options: RenderHaproxyOptions): void {
    const { appPort, healthPath, healthHost, servers, trustedProxies } = options;
    const expect = (isRight: boolean, what: string, found: unknown, allowed: string) => {
        if (!isRight) throw new Error(`${what} should be ${allowed}, got ${JSON.stringify(found)}`);
    };
    const isWhole = (value: number, least: number) => Number.isInteger(value) && value >= least;
    expect(isWhole(appPort, 1) && appPort <= 65_535, "appPort", appPort, "a port from 1 to 65535");
    expect(healthPathForm.pattern.test(healthPath), "healthPath", healthPath, healthPathForm.description);
    expect(healthHostForm.pattern.test(healthHost), "healthHost", healthHost, healthHostForm.description);
    for (const [key, least] of [
        ["drainSeconds", 1],
        ["serverTimeoutSeconds", 1],
        ["logOneIn", 0],
    ] as const)
        expect(isWhole(options[key], least), key, options[key], `a whole number from ${least}`);
    expect(trustedProxies.every(isIpv4Range), "trustedProxies", trustedProxies, "IPv4 ranges");
    for (const { name, address } of servers) {
        expect(/^[a-z][a-z0-9-]*-\d+$/.test(name), "a server's name", name, "a word, a dash and a number");
        expect(isIPv4(address), `the address of ${name}`, address, "an IPv4 address");
    }
    for (const key of ["name", "address"] as const) {
        const values = servers.map((server) => server[key]);
        const twice = values.find((value, index) => values.indexOf(value) !== index);
        expect(twice === undefined, `each server's ${key}`, twice, "used once");
    }
}
