import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { contentCommandNames, types } from "../../lib/identity";
import type { Release } from "../../lib/release";
import { haproxyScript, pushCommand } from "../haproxy/apply";
import { type LoadBalancer, withWord } from "../load-balancer";
import { sendScript } from "./send";

export interface ContentArgs {
    loadBalancer: LoadBalancer;
    /** What the folder holds. */
    release: Release;
}

/**
 * What every server serves: a folder of this machine, sent once to the load balancer, which brings it to the servers. A
 * change replaces none of them, and costs nothing. The state holds its name and what a preview shows of it, not its files.
 */
export class Content extends pulumi.ComponentResource {
    /** It is on the load balancer, which gives it to servers that are new. */
    readonly sent: command.local.Command;

    constructor(
        private readonly name: string,
        private readonly args: ContentArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { folder, name: release, files, bytes, parts } = args.release;
        super(types.content, name, { content: folder, release, files, bytes, parts }, opts);
        const { loadBalancer } = args;
        const { connection, dropletId } = loadBalancer;
        const names = contentCommandNames(name);
        const script = loadBalancer.install(this, names.script, haproxyScript);
        this.sent = new command.local.Command(
            names.sent,
            {
                // It dies with the command, and so does what it knows.
                interpreter: ["ssh-agent", "bash", "-c"],
                create: pulumi.unsecret(
                    pulumi
                        .all([dropletId, connection])
                        .apply(([loadBalancerId, { host, hostKey = "" }]) =>
                            sendScript({ loadBalancerId, host, hostKey, release: args.release }),
                        ),
                ),
                stdin: pulumi.secret(connection.apply(({ privateKey = "" }) => privateKey)),
                logging: command.local.Logging.Stderr,
                addPreviousOutputInEnv: false,
            },
            { parent: this, dependsOn: [script] },
        );
        this.registerOutputs({});
    }

    /**
     * Every server serves it. Written ahead, as in LoadBalancer.stageAndApply: another word each time that something was sent,
     * so that whatever ends a run, the next one of any config pushes its own.
     *
     * @param applied The load balancer serves the pool.
     */
    push(applied: pulumi.Resource): void {
        const create = withWord(this.sent.stdout, pushCommand);
        const { pushed } = contentCommandNames(this.name);
        this.args.loadBalancer.command(this, pushed, { create }, [applied, this.sent]);
    }
}
