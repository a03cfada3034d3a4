import * as pulumi from "@pulumi/pulumi";
import { commandNames, types } from "../../lib/identity";
import type { BackendPool } from "../backend-pool";
import { applyCommand, haproxyScript, stageCommand } from "./apply";
import type { RenderHaproxyOptions } from "./options";
import { renderHaproxyConfig } from "./render";
import type { LoadBalancer } from "../load-balancer";

export interface HaproxyConfigArgs {
    loadBalancer: LoadBalancer;
    pool: BackendPool;
    /** What haproxy.cfg says beside the servers. */
    traffic: Omit<RenderHaproxyOptions, "servers">;
    /** How long new backends may take until they answer, in seconds. */
    readySeconds: number;
    /** The certificate that haproxy.cfg names is on the host, and challenges for it are answered. @default it names none */
    certificate?: { installed: pulumi.Resource; thumbprint?: pulumi.Output<string> };
    /** What new servers are to serve is on the host. @default nothing is, or what was pushed by hand */
    content?: { sent: pulumi.Resource };
}

/**
 * haproxy.cfg on the load balancer, applied without losing a request. It succeeds only when every new server
 * answers and the last request of every leaving one has ended; the engine deletes droplets after it, and that
 * order is the drain.
 */
export class HaproxyConfig extends pulumi.ComponentResource {
    /** It is applied: the load balancer serves the pool. */
    readonly applied: pulumi.Resource;

    constructor(name: string, args: HaproxyConfigArgs, opts?: pulumi.ComponentResourceOptions) {
        const { loadBalancer, pool, traffic, readySeconds, certificate, content } = args;
        // While one address is unknown, so is the whole text; here the preview still shows which servers come and go.
        const addresses = Object.fromEntries(
            pool.servers.map((server) => [
                server.name,
                pulumi.interpolate`${server.privateIp}:${traffic.appPort}`,
            ]),
        );
        super(types.haproxy, name, { servers: addresses, ...traffic, readySeconds }, opts);
        const servers = pool.servers.map(({ name, privateIp }) =>
            privateIp.apply((address) => ({ name, address })),
        );
        const stdin = pulumi
            .all([pulumi.all(servers), certificate?.thumbprint])
            .apply(([known, thumbprint]) => {
                const https = traffic.https && { ...traffic.https, thumbprint };
                return renderHaproxyConfig({ ...traffic, https, servers: known });
            });
        this.applied = loadBalancer.stageAndApply(this, commandNames(name), {
            script: haproxyScript,
            stage: loadBalancer.dropletId.apply(stageCommand),
            stdin,
            apply: (word) => applyCommand(word, readySeconds),
            dependsOn: [certificate?.installed ?? [], content?.sent ?? []].flat(),
        });
        this.registerOutputs({});
    }
}
