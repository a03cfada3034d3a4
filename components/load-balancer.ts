import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { readyName, types } from "../lib/identity";
import type { UserDataParts } from "../userdata/multipart";
import { describeUserData, renderLoadBalancerUserData } from "../userdata/render";
import { restartsAsInput } from "../userdata/restarts";
import type { KeyPair } from "./deploy-key";
import { type DropletSettings, newDroplet } from "./droplet";
import type { Network } from "./network";

export interface LoadBalancerArgs {
    /**
     * Its user data is a cloud-config, to which keys are added. A change builds a second droplet that takes over, and so
     * does another `generation` (one word, or empty).
     */
    droplet: DropletSettings & { generation: string };
    /** Slug of a region. */
    region: string;
    /** Its firewalls are there before the droplet. */
    network: Network;
    /** Id of the account's key that is the public half of `deploy`. */
    sshKeyId: pulumi.Input<string>;
    /** With which root is reached. */
    deploy: KeyPair;
    /** What the droplet shows, by its user data. */
    host: KeyPair;
    /** With which it asks backends whether their set-up has ended; its user data brings it. */
    setup: KeyPair;
    /** Asked before anything dials: refuses an address and host key that SSH would fail with; resolves with the address. */
    checkAccess: (address: string, hostKey: string) => Promise<string>;
}

/** How long the load balancer's own cloud-init may take, in seconds. */
const setupSeconds = 600;

/** The droplet that runs HAProxy, and the proof that it is set up. Costs what its size costs. */
export class LoadBalancer extends pulumi.ComponentResource {
    readonly dropletId: pulumi.Output<string>;
    /** SSH as root to the droplet's own address, its host key pinned. */
    readonly connection: pulumi.Output<command.types.input.remote.ConnectionArgs>;
    /** HAProxy is installed: what runs on the host waits for this. */
    readonly ready: pulumi.Resource;

    constructor(name: string, args: LoadBalancerArgs, opts?: pulumi.ComponentResourceOptions) {
        const { region, network, sshKeyId } = args;
        const { image, size, userData, generation } = args.droplet;
        super(
            types.loadBalancer,
            name,
            {
                ...{ region, image, size, userData: describeUserData(userData) },
                ...restartsAsInput(userData),
                ...(generation !== "" && { generation }),
            },
            opts,
        );
        const droplet = newDroplet(
            name,
            {
                ...{ region, image, size, network, sshKeyId },
                userData: withKeys({ text: userData, generation }, args),
                tag: network.loadBalancerTag,
            },
            {
                parent: this,
                // The provider's own record of the droplet repeats the user data, and `preview --json` prints it.
                additionalSecretOutputs: ["__meta"],
            },
        );
        this.dropletId = droplet.id;
        this.connection = pulumi.secret({
            host: pulumi
                .all([droplet.ipv4Address, args.host.publicKey])
                .apply(([address, hostKey]) => args.checkAccess(address, hostKey)),
            user: "root",
            privateKey: args.deploy.privateKey,
            hostKey: args.host.publicKey,
            // A refusing port is asked for 311 s, a silent one for as long again: long enough for a slow boot.
            dialErrorLimit: 70,
            perDialTimeout: 5,
        });
        this.ready = this.command(
            readyName(name),
            {
                create: `timeout --kill-after=10 ${setupSeconds + 30} bash -s`,
                stdin: this.dropletId.apply((id) => waitForCloudInit(id, setupSeconds)),
            },
            { parent: this },
        );
        this.registerOutputs({ dropletId: this.dropletId });
    }

    /** A command that runs on the droplet, as root. */
    command(
        name: string,
        args: Pick<command.remote.CommandArgs, "create" | "stdin" | "logging">,
        opts: pulumi.ResourceOptions,
    ): command.remote.Command {
        const connection = { connection: this.connection, addPreviousOutputInEnv: false };
        return new command.remote.Command(name, { ...connection, ...args }, opts);
    }
}

/** It holds private keys: a secret. */
function withKeys(
    parts: UserDataParts,
    { host, setup }: Pick<LoadBalancerArgs, "host" | "setup">,
): pulumi.Output<string> {
    return pulumi.secret(
        pulumi
            .all([host.privateKey, host.publicKey, setup.privateKey])
            .apply(([hostKey, hostPublicKey, setupKey]) =>
                renderLoadBalancerUserData(parts, { hostKey, hostPublicKey, setupKey }),
            ),
    );
}

/**
 * A script that waits until cloud-init is through, and fails with the reason if it is not within so many seconds. Exit 2 means "done, with warnings" and is fine.
 * https://cloudinit.readthedocs.io/en/latest/explanation/return_codes.html
 * The droplet's id stands in it so that the preview shows that it runs again on a replaced droplet.
 */
export function waitForCloudInit(dropletId: string, seconds: number): string {
    return `# load balancer ${dropletId}
timeout ${seconds} cloud-init status --wait >/dev/null
case $? in
0 | 2) exit 0 ;;
124) what='did not end within ${seconds} s' ;;
*) what='failed' ;;
esac
echo "cloud-init $what on the load balancer; the end of /var/log/cloud-init-output.log:" >&2
tail -n 20 /var/log/cloud-init-output.log >&2
exit 1
`;
}
