import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { BackendPool } from "./backend-pool";
import { applyHaproxyCommand, applyHaproxyStdin } from "./haproxy-apply";
import { renderHaproxyConfig } from "./haproxy-config";
import type { LoadBalancer } from "./load-balancer";

/** Inputs of {@link HaproxyConfig}. */
export interface HaproxyConfigArgs {
    loadBalancer: LoadBalancer;
    pool: BackendPool;
    /** TCP port of every backend. */
    appPort: number;
    /** Path that a healthy backend answers with 200-299. */
    healthPath: string;
    /** How long new backends may take until they answer, in seconds. */
    readySeconds: number;
    /** How long requests of a leaving backend may still run, in seconds. */
    drainSeconds: number;
}

/**
 * haproxy.cfg on the load balancer, applied without losing a request. It succeeds only when every new server
 * answers and the last request of every leaving one has ended; the engine deletes droplets after it, and that
 * order is the drain.
 */
export class HaproxyConfig extends pulumi.ComponentResource {
    /** It is applied: the load balancer serves the pool. */
    readonly applied: pulumi.Resource;
    /** The text of haproxy.cfg. */
    readonly text: pulumi.Output<string>;

    constructor(name: string, args: HaproxyConfigArgs, opts?: pulumi.ComponentResourceOptions) {
        const { loadBalancer, pool, appPort, healthPath, readySeconds, drainSeconds } = args;
        // While one address is unknown, so is the whole text; here the preview still shows which servers come and go.
        const addresses = Object.fromEntries(
            pool.servers.map((server) => [server.name, pulumi.interpolate`${server.privateIp}:${appPort}`]),
        );
        super(
            "dropscale:index:HaproxyConfig",
            name,
            { servers: addresses, appPort, healthPath, readySeconds, drainSeconds },
            opts,
        );
        const servers = pool.servers.map(({ name, privateIp }) =>
            privateIp.apply((address) => ({ name, address })),
        );
        this.text = pulumi
            .all(servers)
            .apply((known) => renderHaproxyConfig({ appPort, healthPath, drainSeconds, servers: known }));
        this.applied = new command.remote.Command(
            name,
            {
                connection: loadBalancer.connection,
                create: applyHaproxyCommand({ readySeconds }),
                stdin: pulumi
                    .all([this.text, loadBalancer.dropletId])
                    .apply(([config, loadBalancerId]) =>
                        applyHaproxyStdin({ config, readySeconds, loadBalancerId }),
                    ),
                addPreviousOutputInEnv: false,
            },
            { parent: this, dependsOn: [loadBalancer.ready] },
        );
        this.registerOutputs({});
    }
}
