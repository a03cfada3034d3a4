import { connectionsFor, greedyConnections, serverSlots, streamSlots } from "./frontend";
import type { RenderHaproxyOptions } from "./options";

/**
 * The same servers three times, in the order given, for what holds for one kind of request ruins another:
 *
 * - `pool` has what is short, and the health checks. \`tcp-ut\` ends a connection to a machine that is gone after 3 s. It
 *   would do the same where a server is only slow to read a long body, for it runs while the receive window is shut, too.
 *   It stands on each line: HAProxy 2.6.12 ignores it in \`default-server\`.
 *   \`pool-low-conn\`: of so few idle connections a thread takes none that another one has kept, which costs both of them
 *   a lock for each request. https://docs.haproxy.org/2.6/configuration.html#5.2-pool-low-conn
 * - `uploads` has long bodies: they last as long as \`timeout server\` lets them.
 * - `streams` has WebSockets and event streams, which hold a slot for hours.
 */
export function backendSections(options: RenderHaproxyOptions): string {
    const { appPort, healthPath, healthHost, trustedProxies, servers, https } = options;
    const lines = (more: (name: string) => string): string =>
        servers
            .map(({ name, address }) => `    server ${name} ${address}:${appPort} ${more(name)}\n`)
            .join("");
    const shared = (backend: string, slots: number): string =>
        `${socketAndRetry(servers.length > 1)}${wordOnClient(trustedProxies.length > 0, https !== undefined)}${limits(backend, slots)}`;
    const tracking = lines((name) => `track pool/${name}`);
    // nolinger in streams: HAProxy 3.0 applies no server-fin to a tunnel in HTTP (IS_HTX_STRM in its stream.c).
    return `\
backend pool
    load-server-state-from-file global
${shared("pool", serverSlots)}\
    # A client may close its side after its request, and wait for the answer.
    no option abortonclose
    option httpchk
    http-check send meth GET uri ${healthPath} ver HTTP/1.1 hdr Host ${healthHost}
    http-check expect status 200-299
    default-server check inter 2s fastinter 500ms downinter 1s fall 2 rise 2 maxconn ${serverSlots} pool-low-conn 16
${lines(() => "tcp-ut 3s")}
# Bodies that do not fit a receive window: a server may take its time to read them.
backend uploads
${shared("uploads", serverSlots)}\
    no option abortonclose
    default-server maxconn ${serverSlots}
${tracking}
# WebSockets and event streams.
backend streams
    # Half of all connections are left to requests.
    http-request deny deny_status 503 if { be_conn gt ${connectionsFor(https) / 2} }
    http-request set-header Upgrade websocket if { req.hdr(Upgrade) -m found }
    http-request set-header Connection upgrade if { req.hdr(Upgrade) -m found }
${shared("streams", streamSlots)}\
    # A client that leaves takes its stream along (abortonclose), though the server has not noticed.
    option nolinger
    timeout tunnel 1h
    default-server maxconn ${streamSlots}
${tracking}`;
}

/**
 * A retry goes to another server, once, or it would multiply an overload: with no other there is none, and an answer
 * that says "overloaded" (429, 503, a proxy's 502) is an answer.
 */
const socketAndRetry = (hasOther: boolean): string => `\
    # Asked every second by TCP itself, a machine that is gone is found out after 5 s.
    option srvtcpka
    srvtcpka-idle 2s
    srvtcpka-intvl 1s
    srvtcpka-cnt 3
    # A server that fails fast looks idle: leastconn would send it nine requests of ten.
    balance random(2)
    # Nothing is sent to the same server twice.
    http-request disable-l7-retry${hasOther ? " unless { nbsrv gt 1 }" : ""}
`;

/** Of the slots of the servers that are UP a tenth is left to those who have few connections. The last rules of a backend. */
const limits = (backend: string, slots: number): string => `\
    # When the servers' slots run short, who has many connections gets no more.
    http-request allow unless { sc0_conn_cur gt ${greedyConnections} }
    http-request set-var(txn.reserve) nbsrv(${backend}),mul(${slots / 10})
    http-request deny deny_status 429 if { nbsrv gt 0 } { be_conn_free(${backend}),sub(txn.reserve) lt 0 }
`;

/**
 * What the frontend has let pass has none of these, or a trusted proxy's. Here, as most requests skip the frontend's rules.
 */
const wordOnClient = (trusting: boolean, isHttps: boolean): string =>
    [
        ["X-Forwarded-For", "%[var(sess.client)]"],
        ["X-Forwarded-Proto", isHttps ? "%[ssl_fc,iif(https,http)]" : "http"],
    ]
        .map(
            ([name = "", value = ""]) =>
                `    http-request add-header ${name} ${value}${trusting ? ` unless { req.hdr(${name}) -m found }` : ""}\n`,
        )
        .join("");
