/** What haproxy.cfg says about metrics: nothing at all where the config names nobody who may read them. */
import { metricsListener } from "../../lib/listeners";

/** Connections of those who read metrics. They come beside those of visitors: when these are all taken, people look. */
export const metricsConnections = 10;

/**
 * HAProxy's own exporter, which Debian builds in. A frontend of its own: its requests are in no log, and in no limit and
 * no figure of visitors. By the interface it needs no address, which a first preview does not know.
 * https://github.com/haproxy/haproxy/blob/v2.6.0/addons/promex/README
 */
export function metricsSection(metrics = false): string {
    if (!metrics) return "";
    const { port, device } = metricsListener;
    return `
# For Prometheus. The firewall lets in those whom the config names, and nobody comes here from the Internet.
frontend metrics
    bind :${port} interface ${device}
    maxconn ${metricsConnections}
    timeout client 10s
    http-request set-log-level silent
    http-request deny deny_status 404 unless { method GET } { path /metrics }
    http-request use-service prometheus-exporter
`;
}
