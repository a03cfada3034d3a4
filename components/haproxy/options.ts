import type { HttpsOptions } from "./https";

/** What haproxy.cfg depends on. */
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
    /** How long a server may take until it begins to answer, and pause within an answer, in seconds. */
    serverTimeoutSeconds: number;
    /** How long a leaving worker may go on with its requests, in seconds; then it is cut off. */
    drainSeconds: number;
    /** IPv4 ranges of the proxies and CDNs in front, whose word about clients counts. */
    trustedProxies: readonly string[];
    /**
     * Of the requests that end well the log has one in so many: 1 all, 0 none. Of those that fail it has all; an answer of
     * 400 to 499 counts as failed, but with 0 only where HAProxy itself gives it.
     */
    logOneIn: number;
    /** How the site is served over HTTPS, beside HTTP. @default HTTP alone */
    https?: HttpsOptions;
    /** Whether there is a listener for Prometheus in the VPC. @default false */
    metrics?: boolean;
    /** The pool, in any order: `<word>-<slot>` and an IPv4 address each. Empty: every request gets the 503 page. */
    servers: readonly { readonly name: string; readonly address: string }[];
}
