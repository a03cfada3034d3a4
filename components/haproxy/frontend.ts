import { privateRanges } from "../../lib/ipv4-ranges";
import { bindLines, challengeRule, h2Streams, type HttpsOptions, redirectRule, usualRule } from "./https";
import type { RenderHaproxyOptions } from "./options";

/** Requests that a server gets at the same time; others wait their turn. As many uploads come beside them. */
export const serverSlots = 200;

/** WebSockets and event streams that a server has at the same time: they wait more than they work. */
export const streamSlots = 1000;

/**
 * A buffer, in KiB. The headers of a request or of an answer have to fit into one, beside 1 KiB for those that are added
 * here and what HAProxy notes of each: so 32 KiB of headers pass.
 */
export const bufferKiB = 34;

/**
 * Sockets that HAProxy hears of at once, before it works on them. HAProxy 2.6 keeps 512 KiB of free memory at hand, 15 of
 * our buffers: with its usual 200, each request of a full load would ask the system for memory, and give it back.
 */
export const socketsAtOnce = 8;

/**
 * Connections of all clients together: a busy connection costs two buffers, so 6,000 cost at most 420 MB of a 1 GB
 * droplet; computed from the file limit, as without this line, it would be 262,000 on Debian. HAProxy raises its own file
 * limit to two a connection, 12,041, and does not start where it can't; systemd's hard limit on Debian is 524,288.
 */
export const maxConnections = 6000;

/**
 * The same with HTTPS: TLS keeps up to 32 KiB more for each, so 4,000 cost at most 400 MB. As many requests of HTTP/2
 * may be under way, in buffers of their own: {@link h2Rules}.
 */
export const maxTlsConnections = 4000;

/** How many connections there may be at the same time. */
export const connectionsFor = (https: HttpsOptions | undefined): number =>
    https ? maxTlsConnections : maxConnections;

/** From so many connections of all on, they run short. */
const crowdFor = (https: HttpsOptions | undefined): number => connectionsFor(https) * 0.75;

/** From so many connections on, a source gets no more when others would go short. */
export const greedyConnections = 50;

/**
 * How long the body, or as much of it as fits a buffer, may take, in seconds. 20 is Apache's rule for slow clients, too:
 * https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html
 */
const bodySeconds = 20;

/**
 * A body up to this, in bytes, is in the server's kernel at once, whatever the server does: Linux begins with a receive
 * window of 64 KiB. https://docs.kernel.org/networking/ip-sysctl.html (tcp_rmem)
 */
const shortBodyBytes = 16_384;

/**
 * Names of headers by which a proxy tells who its client is and what it asked for: address, port, protocol, certificate,
 * user, host, path. A kind and no list, for every product has names of its own.
 */
const proxysWord = [
    "(^|-)forwarded(-|$)",
    "(^|-)(client|connect(ing|ion)|real|true|remote|user|viewer|peer|src|source|socket|origin(al|ating)?|cluster|edge)-?(ip|ipv[46]|addr|address|port|cert)(-|$)",
    "^x-(original|rewrite|override|http)-(url|uri|path|host|method|args|port|proto|scheme)$",
    "^x-(url-)?(host|url|uri|port|scheme|proto|protocol|https?)$",
    "^(x-)?remote-|^x-(proxy(user)?|accel|sendfile)-|(^|-)(ssl|tls)(-|$)|^front-end-https$",
    "^(x-)?(cf|cloudfront|fastly|akamai|azure|fd|envoy|appengine|arr|nf|vercel|sucuri|incap)-",
].join("|");

/**
 * `Proxy`: https://httpoxy.org. `Connection` is between client and HAProxy: RFC 9110, section 7.6.1. Names of anything but
 * letters, digits and dashes, which nginx does not take either: for CGI and WSGI `_` is `-`, and a way around rules.
 */
const neverPassed = "^(proxy|connection)$|[^a-z0-9-]";

/** Headers that no rule here looks at, whatever they say: most requests have no others, but for `Accept`. */
const usualNames =
    "host|user-agent|accept-encoding|accept-language|cookie|referer|origin|authorization|range|te|dnt|priority|" +
    "sec-fetch-dest|sec-fetch-mode|sec-fetch-site|sec-fetch-user|sec-ch-ua|sec-ch-ua-mobile|sec-ch-ua-platform|sec-gpc|" +
    "cache-control|pragma|if-none-match|if-modified-since|if-range|upgrade-insecure-requests|save-data|x-requested-with";

/** What no value of a header may have: RFC 9110, section 5.5. A line end is none, it is between two headers. */
const controls = "\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f";

/**
 * The headers of a request that the rules would let pass as it is. HAProxy caches the
 * answer for headers that it has seen; a request with any other header meets every rule.
 */
const usualHeaders =
    `^(?:(?:(?:${usualNames}): |accept: (?!(?i:[^\\r]*text/event-stream)))` +
    `[^${controls}\\r\\n]*\\r\\n)+\\r\\n$`;

/**
 * Limits are for who has more than {@link greedyConnections}, and only where others would go short; mod_qos has the
 * same idea (QS_SrvMaxConnPerIP, http://mod-qos.sourceforge.net). 50 is what eight busy browsers have, at six each
 * (https://www.rfc-editor.org/rfc/rfc9112#section-9.4 leaves the number to them). An office behind one address may have
 * thousands while there is room. Who has a private address is a proxy of one's own and speaks for many; of a trusted
 * proxy's clients each counts by itself, with the requests that it has at the same time.
 *
 * - Connections: {@link connectionsFor}, of which a quarter is left to others.
 * - Requests at the servers, in the backends: slow answers and slow bodies hold a slot for minutes.
 *
 * TRACE and CONNECT: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
 */
export function frontendSection(options: RenderHaproxyOptions): string {
    const { trustedProxies, logOneIn, https, metrics } = options;
    const trusting = trustedProxies.length > 0;
    // Without metrics the global limit is the visitors'.
    const visitorsLimit = metrics ? `    maxconn ${connectionsFor(https)}\n` : "";
    return `\
frontend web
${bindLines(https)}${visitorsLimit}\
${logRules(logOneIn)}\
    stick-table type ipv6 size 100k expire 1m store conn_cur
    acl private src ${privateRanges.join(" ")}
${proxyAcls(trustedProxies)}\
    tcp-request connection track-sc0 src unless private${trusting ? " || from_proxy" : ""}
    # Its address as text, for all requests of a connection: what takes longest of X-Forwarded-For. \`lower\` makes it text.
    tcp-request connection set-var(sess.client) src,lower
    # When connections run short, who has many gets no more.
    tcp-request connection reject if { sc0_conn_cur gt ${greedyConnections} } { fe_conn gt ${crowdFor(https)} }
${h2ConnectionRule(https)}\
    # Most requests have nothing that most rules look for: that costs a fraction of looking for each.
    acl usual req.hdrs -m reg '${usualHeaders}'
${usualRule(https)}\
${challengeRule(https)}${h2Rules(https)}\
${redirectRule(https, trusting)}\
    http-request allow if { method GET HEAD } usual
    # A site is no proxy to elsewhere, and no mirror of the headers that it was sent.
    http-request deny deny_status 405 if { method CONNECT TRACE }
    # What may have had an effect is never sent twice.
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
    # HAProxy 2.6 reads 2^64 + 3 as 3, and sends it on: a server may see another end of the request.
    http-request deny deny_status 400 if { req.hdr(content-length),length gt 18 }
    # Control characters in a header: RFC 9110, section 5.5.
    http-request deny deny_status 400 if { req.hdrs -m reg '[${controls}]' }
    # A body, or as much of it as fits a buffer (${bufferKiB - 1} KB), has to be here before it takes a server's time; else 408.
    http-request wait-for-body time ${bodySeconds}s
${trusting ? headersOfTrusted : headersOfAnybody}\
    # Of upgrades WebSocket is left: h2c would be a tunnel around the rules.
    http-request del-header Upgrade unless { req.hdr(Upgrade) -i websocket }
    # What lasts has slots of its own, or it would take the place of requests.
    http-request set-var(txn.backend) str(uploads) if { req.body_size gt ${shortBodyBytes} }
    http-request set-var(txn.backend) str(streams) if { req.hdr(Upgrade) -m found } || { req.hdr(Accept) -i -m beg text/event-stream }
    use_backend %[var(txn.backend)] if { var(txn.backend) -m found }
    default_backend pool
`;
}

/**
 * HAProxy gives level \`err\` to what fails, and only \`notice\` and above reaches the log: see \`log\` in the global section.
 * A line that is not to be written is made all the same, which costs an eighth of the throughput; with \`dontlog-normal\`
 * it is not made.
 */
function logRules(logOneIn: number): string {
    if (logOneIn === 1) return "";
    if (logOneIn === 0)
        return `\
    # Only what fails is logged: an answer of 500 and above, a refusal of HAProxy's own, a retry, a cut.
    option dontlog-normal
    option log-separate-errors
`;
    return `\
    # Of what ends well one request in ${logOneIn} is logged; of what fails, all: an answer of 400 and above, a retry, a cut.
    option log-separate-errors
    http-response set-log-level notice if { status 400:499 } || { rand(${logOneIn}) eq 0 } { status lt 500 }
`;
}

/**
 * One connection of HTTP/2 has many requests, each with buffers of its own. So a source's requests count like connections,
 * in the same entry of the same table (its second counter), and all requests of HTTP/2 together have a bound as
 * connections have one. Those who were known from the connection are counted: a private source is not, and a trusted
 * proxy's clients are, by their requests already.
 */
function h2Rules(https: HttpsOptions | undefined): string {
    if (!https) return "";
    return `\
    # Requests of HTTP/2 count like connections, or one connection would carry ${h2Streams} and count as one.
    http-request track-sc1 src if { fc_http_major 2 } { sc0_tracked }
    http-request track-sc2 int(1) table h2_requests if { fc_http_major 2 }
    http-request return status 429 if { sc0_conn_cur gt ${greedyConnections} } { sc2_conn_cur gt ${crowdFor(https)} }
    http-request return status 503 if { sc2_conn_cur gt ${connectionsFor(https)} }
`;
}

/** The part of {@link h2Rules} that judges new connections. */
const h2ConnectionRule = (https: HttpsOptions | undefined): string =>
    https
        ? `    tcp-request connection reject if { sc0_conn_cur gt ${greedyConnections} } { int(1),table_conn_cur(h2_requests) gt ${crowdFor(https)} }\n`
        : "";

/** A line of haproxy.cfg may have 64 words; values of ACLs with one name add up. */
function proxyAcls(ranges: readonly string[]): string {
    const perLine = 20;
    const lines = Array.from({ length: Math.ceil(ranges.length / perLine) }, (_, index) =>
        ranges.slice(index * perLine, (index + 1) * perLine),
    );
    return lines.map((some) => `    acl from_proxy src ${some.join(" ")}\n`).join("");
}

const headersOfAnybody = `\
    # What a client says about itself in a proxy's headers is a lie, or another proxy's business.
    http-request del-header ${neverPassed}|${proxysWord} -m reg
`;

/** How many trusted proxies may stand behind each other. */
const hops = 5;

const headersOfTrusted = `\
    # What a client says about itself in a proxy's headers is a lie; what a trusted proxy says of it is passed on.
    http-request set-var(txn.proxied) bool(true) if from_proxy
    acl proxied var(txn.proxied) -m bool
    http-request del-header ${neverPassed} -m reg
    http-request del-header ${proxysWord} -m reg unless proxied
    acl one_line req.fhdr_cnt(X-Forwarded-For) eq 1
    http-request replace-header X-Forwarded-For (.*) "\\1, %[src]" if proxied one_line
    http-request add-header X-Forwarded-For %[src] unless proxied one_line
    # The client is the last address there that is no trusted proxy's: for the log and for the limits.
${Array.from({ length: hops }, (_, hop) => `    http-request set-src req.hdr_ip(X-Forwarded-For,${-2 - hop}) if from_proxy\n`).join("")}\
    http-request track-sc0 src if proxied !from_proxy !private
`;
