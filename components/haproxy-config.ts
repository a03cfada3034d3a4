import { createHash } from "node:crypto";
import { isIPv4 } from "node:net";

/** Inputs of {@link renderHaproxyConfig}. */
export interface RenderHaproxyOptions {
    /** TCP port on which every server serves both the site and the health path. */
    appPort: number;
    /** Path (and query) that a healthy server answers with 200-299, such as `/healthz`. */
    healthPath: string;
    /**
     * Host header of the health check, and of the question whether a new server is ready: HTTP/1.1 asks for one, and an
     * app may answer its own names alone.
     */
    healthHost: string;
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
 * How long the first 15 KB of a body may take, in seconds. 20 is Apache's rule for slow clients, too:
 * https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html
 */
const bodySeconds = 20;

/** Requests that a server gets at the same time; others wait their turn. */
const serverSlots = 200;

/** From so many connections on, a source gets no more when others would go short. */
const greedyConnections = 50;

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
${frontendSection(servers.length)}
${backendSection(args)}${serverLines.join("")}`);
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

/** The generation that a text names, right or not; `undefined` if it names none. */
export function generationIn(text: string): string | undefined {
    return /^ {4}description gen=([0-9a-f]{16})$/m.exec(text)?.[1];
}

/**
 * Connections of all clients together: a busy connection costs two buffers of 16 KiB, so 8,000 cost about 280 MB of a
 * 1 GB droplet; computed from the file limit, as without this line, it would be 262,000 on Debian. HAProxy raises its own
 * file limit to two a connection, 16,041, and does not start where it can't; systemd's hard limit on Debian is 524,288.
 */
const maxConnections = 8000;

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
    maxconn ${maxConnections}
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
    # HTTP/1 alone: one connection of HTTP/2 would carry a hundred requests, and count as one.
    option disable-h2-upgrade
    # Names of letters, digits and dashes, as nginx takes them: for CGI and WSGI \`_\` is \`-\`, and a way around rules.
    option http-restrict-req-hdr-names delete
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
 * Limits are for who has more than {@link greedyConnections}, and only where others would go short; mod_qos has the
 * same idea (QS_SrvMaxConnPerIP, http://mod-qos.sourceforge.net). 50 is what eight busy browsers have, at six each
 * (https://www.rfc-editor.org/rfc/rfc9112#section-9.4 leaves the number to them). An office behind one address, or a
 * CDN, may have thousands while there is room. Who has a private address is a proxy of one's own and speaks for many.
 *
 * - Connections: {@link maxConnections}, of which a quarter is left to others.
 * - Requests at the servers: slow answers and slow bodies hold a slot for minutes; a tenth is left to others.
 *
 * TRACE and CONNECT: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
 *
 * What a client says about itself in X-Forwarded-… and the like is a lie or another proxy's business. `Proxy`:
 * https://httpoxy.org. Headers of a CDN in front (CF-Connecting-IP, …) pass.
 */
const frontendSection = (servers: number): string => `\
frontend web
    bind :80
    stick-table type ip size 100k expire 1m store conn_cur
    tcp-request connection track-sc0 src unless { src 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 }
    # When connections run short, who has many gets no more.
    tcp-request connection reject if { sc0_conn_cur gt ${greedyConnections} } { fe_conn gt ${maxConnections * 0.75} }
    # A site is no proxy to elsewhere, and no mirror of the headers that it was sent.
    http-request deny deny_status 405 if { method CONNECT TRACE }
    # HAProxy 2.6 reads 2^64 + 3 as 3, and sends it on: a server may see another end of the request.
    http-request deny deny_status 400 if { req.hdr(content-length),length gt 18 }
    # Control characters in a header: RFC 9110, section 5.5.
    http-request deny deny_status 400 if { req.hdrs -m reg '[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f]' }
    # A body, or as much of it as fits a buffer (15 KB), has to be here before it takes a server's time; else 408.
    http-request wait-for-body time ${bodySeconds}s
    # When the servers' slots run short, who has many connections gets no more.
    http-request deny deny_status 429 if { sc0_conn_cur gt ${greedyConnections} } { nbsrv(pool) gt 0 } { be_conn_free(pool) lt ${Math.round(servers * serverSlots * 0.1)} }
    # \`Connection\` is between client and HAProxy (RFC 9110, section 7.6.1): passed on, it could name headers for the
    # server to forget. Of upgrades WebSocket is left; h2c would be a tunnel around these rules.
    http-request set-header Upgrade websocket if { req.hdr(Upgrade) -i websocket }
    http-request set-header Connection upgrade if { req.hdr(Upgrade) -i websocket }
    http-request del-header Upgrade unless { req.hdr(Upgrade) -i websocket }
    http-request del-header Connection unless { req.hdr(Upgrade) -i websocket }
    http-request del-header ^(forwarded|proxy|x-real-ip|x-forwarded(-.*)?)$ -m reg
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto http
    default_backend pool
`;

const backendSection = ({ healthPath, healthHost }: RenderHaproxyOptions): string => `\
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
    default-server check inter 2s fastinter 500ms downinter 1s fall 2 rise 2 maxconn ${serverSlots}
`;

function slotOf(name: string): number {
    return Number(/-(\d+)$/.exec(name)?.[1]);
}

/** Settings are checked where they are read; this keeps any other caller from writing a second directive. */
function check({ appPort, healthPath, healthHost, drainSeconds, servers }: RenderHaproxyOptions): void {
    const wrong = (what: string, found: unknown, allowed: string): never => {
        throw new Error(`${what} should be ${allowed}, got ${JSON.stringify(found)}`);
    };
    if (!Number.isInteger(appPort) || appPort < 1 || appPort > 65_535)
        wrong("appPort", appPort, "a port from 1 to 65535");
    if (!healthPathForm.pattern.test(healthPath)) wrong("healthPath", healthPath, healthPathForm.description);
    if (!healthHostForm.pattern.test(healthHost)) wrong("healthHost", healthHost, healthHostForm.description);
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
