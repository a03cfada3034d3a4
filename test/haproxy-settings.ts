import type { RenderHaproxyOptions } from "../components/haproxy/options";

/** haproxy.cfg's settings where a test has no reason for others: the defaults of Pulumi.yaml. */
export const haproxySettings: Omit<RenderHaproxyOptions, "servers"> = {
    appPort: 80,
    healthPath: "/healthz",
    healthHost: "health-check",
    serverTimeoutSeconds: 60,
    drainSeconds: 75,
    trustedProxies: [],
    logOneIn: 0,
};
