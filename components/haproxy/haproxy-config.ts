import * as command from "@pulumi/command";
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
    /** The text of haproxy.cfg. */
    readonly text: pulumi.Output<string>;

    constructor(name: string, args: HaproxyConfigArgs, opts?: pulumi.ComponentResourceOptions) {
        const { pool, traffic, readySeconds } = args;
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
        this.text = pulumi
            .all([pulumi.all(servers), args.certificate?.thumbprint])
            .apply(([known, thumbprint]) => {
                const https = traffic.https && { ...traffic.https, thumbprint };
                return renderHaproxyConfig({ ...traffic, https, servers: known });
            });
        this.applied = this.apply(name, args);
        this.registerOutputs({});
    }

    /**
     * Write ahead: the text first reaches the host and the state by a command of its own, whose output is a new word each
     * time, and the command that applies it has that word among its inputs. A run that is cut off while it applies leaves
     * the staged text in the state, so the next one of any config stages or applies again before a droplet is deleted. With
     * one command for both, the state would hold the old text, and the old config would look applied.
     */
    private apply(name: string, args: HaproxyConfigArgs): pulumi.Resource {
        const { loadBalancer, readySeconds, certificate, content } = args;
        const names = commandNames(name);
        const run = (
            commandName: string,
            commandArgs: Parameters<LoadBalancer["command"]>[1],
            dependsOn: pulumi.Resource[],
        ) => loadBalancer.command(commandName, commandArgs, { parent: this, dependsOn });
        const quiet = command.remote.Logging.Stderr;
        const script = run(
            names.script,
            {
                create: loadBalancer.dropletId.apply(haproxyScript.install),
                stdin: haproxyScript.text,
                logging: quiet,
            },
            [loadBalancer.ready],
        );
        const staged = run(
            names.staged,
            { create: loadBalancer.dropletId.apply(stageCommand), stdin: this.text, logging: quiet },
            [script],
        );
        // Undefined where `--target` or `--exclude` has left the staging out, and this command with it.
        const create = staged.stdout.apply((word?: string) => applyCommand(word ?? "none", readySeconds));
        return run(
            names.applied,
            { create },
            [staged, certificate?.installed ?? [], content?.sent ?? []].flat(),
        );
    }
}
