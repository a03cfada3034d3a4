import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { contentCommandNames, types } from "../../lib/identity";
import type { Release } from "../../lib/release";
import { haproxyScript, pushCommand } from "../haproxy/apply";
import type { LoadBalancer } from "../load-balancer";
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
    readonly sent: pulumi.Resource;
    private readonly word: pulumi.Output<string | undefined>;

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
        const script = loadBalancer.command(
            names.script,
            {
                create: dropletId.apply(haproxyScript.install),
                stdin: haproxyScript.text,
                logging: command.remote.Logging.Stderr,
            },
            { parent: this, dependsOn: [loadBalancer.ready] },
        );
        const sent = new command.local.Command(
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
        this.sent = sent;
        this.word = sent.stdout;
        this.registerOutputs({});
    }

    /**
     * Every server serves it. Write ahead, as in HaproxyConfig: another word each time that something was sent, so that
     * whatever ends a run, the next one of any config pushes its own.
     *
     * @param applied The load balancer serves the pool.
     */
    push(applied: pulumi.Resource): pulumi.Resource {
        // Undefined where `--target` or `--exclude` has left the sending out, and this command with it.
        const create = this.word.apply((word) => pushCommand(word ?? "none"));
        return this.args.loadBalancer.command(
            contentCommandNames(this.name).pushed,
            { create },
            { parent: this, dependsOn: [applied, this.sent] },
        );
    }
}
