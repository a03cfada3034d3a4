/** A port on which the load balancer takes connections from anywhere. Nothing else knows these numbers. */
export interface Listener {
    /** TCP port. */
    port: number;
    protocol: "http" | "https";
}

const http: Listener = { port: 80, protocol: "http" };
const https: Listener = { port: 443, protocol: "https" };

/** Where the load balancer listens: HTTP always (it redirects, and answers certificate authorities), HTTPS with names alone. */
export const listenersFor = (isHttps: boolean): Listener[] => (isHttps ? [http, https] : [http]);
