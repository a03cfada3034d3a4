/** A port on which the load balancer takes connections from anywhere. Nothing else knows these numbers. */
export interface Listener {
    /** TCP port. */
    port: number;
    protocol: "http" | "https";
}

const http: Listener = { port: 80, protocol: "http" };
const https: Listener = { port: 443, protocol: "https" };

/**
 * Where the load balancer shows its metrics, to those alone whom the config names: on the interface of the VPC, which
 * DigitalOcean calls eth1 on every droplet. 8405 is the port of HAProxy's own documentation.
 * https://docs.digitalocean.com/products/networking/vpc/how-to/configure-droplet-as-gateway/
 * https://www.haproxy.com/documentation/haproxy-configuration-tutorials/alerts-and-monitoring/prometheus/
 */
export const metricsListener = { port: 8405, device: "eth1" } as const;

/** Where the load balancer listens: HTTP always (it redirects, and answers certificate authorities), HTTPS with names alone. */
export const listenersFor = (isHttps: boolean): Listener[] => (isHttps ? [http, https] : [http]);
