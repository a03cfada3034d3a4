import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";

/** Inputs of {@link renderHaproxyConfig}. */
export interface RenderHaproxyOptions {
    /** TCP port on which every server serves both the site and the health path. */
    appPort: number;
    /** Path (and query) that a healthy server answers with 200-299, such as `/healthz`. */
    healthPath: string;
    /** How long a leaving worker may go on with its requests, in seconds; then it is cut off. */
    drainSeconds: number;
    /** The pool, in any order: `<word>-<slot>` and an IPv4 address each. Empty: every request gets the 503 page. */
    servers: readonly { readonly name: string; readonly address: string }[];
}

/**
 * How long a server may take to answer, in seconds: `timeout server`. `drainSeconds` must be longer, or a reload
 * would cut requests that are still allowed to run.
 */
export const serverTimeoutSeconds = 60;

/**
 * Host header of the health check, and of the question whether a new server is ready. HTTP/1.1 asks for one;
 * a server that tells sites apart by name should answer its health path under any name.
 */
const healthHost = "health-check";

/** What a health path may be: it becomes one word of haproxy.cfg, and a URL in a file that curl reads. */
export const healthPathForm = {
    pattern: /^\/[\w.~!*+,;=:@%/?&-]{0,200}$/,
    description:
        "a path that starts with / and has at most 200 further characters, without blanks, quotes, # and $",
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
    const servers = [...args.servers].sort(
        (a, b) => slotOf(a.name) - slotOf(b.name) || (a.name < b.name ? -1 : 1),
    );
    // `tcp-ut` stands on each line: HAProxy 2.6.12 ignores it in `default-server`. It ends connections to a machine
    // that is gone and answers nothing, which would otherwise hang until `timeout server`.
    const serverLines = servers.map(
        ({ name, address }) => `    server ${name} ${address}:${args.appPort} tcp-ut 3s\n`,
    );
    return markGeneration(`${globalSection(args.drainSeconds)}
${defaultsSection}
${frontendSection}
${backendSection(args.healthPath)}${serverLines.join("")}`);
}

/**
 * Adds the line that names a text's generation: the first 16 hex digits of the SHA-256 of all its other lines.
 * HAProxy repeats it in `show info`, which proves what runs; a file whose text and marker disagree is cut short or
 * was edited by hand. apply-haproxy.sh computes it the same way.
 *
 * @param text A configuration that starts with its `global` section.
 */
export function markGeneration(text: string): string {
    const generation = createHash("sha256").update(text).digest("hex").slice(0, 16);
    return text.replace(/^global\n/m, `global\n    description gen=${generation}\n`);
}

/**
 * `maxconn`: a busy connection costs two buffers of 16 KiB, so 8,000 cost about 280 MB of a 1 GB droplet; computed
 * from the file limit, as without this line, it would be 262,000 on Debian. HAProxy raises its own file limit to two
 * a connection, 16,041, and does not start where it can't; systemd's hard limit on Debian is 524,288.
 */
const globalSection = (drainSeconds: number): string => `\
# Written by Pulumi: an edit here is lost at the next \`pulumi up\`.
global
    log /dev/log local0 info
    chroot /var/lib/haproxy
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock mode 600 level admin expose-fd listeners
    # Bounds the drain: longer than the longest request.
    hard-stop-after ${drainSeconds}s
    maxconn 8000
`;

const defaultsSection = `\
defaults
    mode http
    log global
    option httplog
    # Browsers open connections ahead of need: no log line and no 408 page for those.
    option dontlognull
    option http-ignore-probes
    # At a reload, an idle connection is closed after its next request or its timeout, not under the client's feet.
    option idle-close-on-response
    option redispatch 1
    retries 3
    # Not 500 and 504: that would multiply slow calls and bugs.
    retry-on conn-failure empty-response junk-response 502 503
    # Slow clients; also how long a connection without a request holds a leaving worker.
    timeout http-request 5s
    # How long an idle one holds it.
    timeout http-keep-alive 5s
    timeout queue 5s
    timeout connect 2s
    timeout client 60s
    timeout server ${serverTimeoutSeconds}s
    timeout client-fin 10s
    timeout tunnel 1h
    timeout check 2s
    http-error status 503 content-type "text/html; charset=utf-8" string '${unavailablePage}' hdr Retry-After 10 hdr Cache-Control no-store
`;

/**
 * What a client says about itself in these headers is a lie or another proxy's business. `_` for `-` too: CGI and
 * WSGI can't tell them apart. `Proxy`: https://httpoxy.org. Headers of a CDN in front (CF-Connecting-IP, …) pass.
 */
const frontendSection = `\
frontend web
    bind :80
    http-request del-header ^(forwarded|proxy|x[-_]real[-_]ip|x[-_]forwarded([-_].*)?)$ -m reg
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    default_backend pool
`;

const backendSection = (healthPath: string): string => `\
backend pool
    # A machine that vanishes with a request on it sends nothing, not even a reset: asked every second by TCP itself,
    # it is given up after 3 s (\`tcp-ut\`), and a GET is asked again at another one, not after \`timeout server\`.
    option srvtcpka
    srvtcpka-idle 2s
    srvtcpka-intvl 1s
    # A server that fails fast looks idle: leastconn would send it nine requests of ten.
    balance random(2)
    option httpchk
    http-check send meth GET uri ${healthPath} ver HTTP/1.1 hdr Host ${healthHost}
    http-check expect status 200-299
    # What may have had an effect is never sent twice.
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
    default-server check inter 2s fastinter 500ms downinter 1s fall 2 rise 2 maxconn 200
`;

function slotOf(name: string): number {
    return Number(/-(\d+)$/.exec(name)?.[1]);
}

/** Settings are checked where they are read; this keeps any other caller from writing a second directive. */
function check({ appPort, healthPath, drainSeconds, servers }: RenderHaproxyOptions): void {
    const wrong = (what: string, found: unknown, allowed: string): never => {
        throw new Error(`${what} should be ${allowed}, got ${JSON.stringify(found)}`);
    };
    if (!Number.isInteger(appPort) || appPort < 1 || appPort > 65_535)
        wrong("appPort", appPort, "a port from 1 to 65535");
    if (!healthPathForm.pattern.test(healthPath)) wrong("healthPath", healthPath, healthPathForm.description);
    if (!Number.isInteger(drainSeconds) || drainSeconds < 1)
        wrong("drainSeconds", drainSeconds, "a whole number above 0");
    for (const { name, address } of servers) {
        if (!/^[a-z][a-z0-9-]*-\d+$/.test(name))
            wrong("a server's name", name, "a word, a dash and a number");
        if (!isIPv4(address)) wrong(`the address of ${name}`, address, "an IPv4 address");
    }
    for (const key of ["name", "address"] as const) {
        const values = servers.map((server) => server[key]);
        const twice = values.find((value, index) => values.indexOf(value) !== index);
        if (twice !== undefined) wrong(`each server's ${key}`, twice, "used once");
    }
}
