import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type commandNames, readyName, types } from "../lib/identity";
import type { UserDataParts } from "../userdata/multipart";
import { describeUserData, renderLoadBalancerUserData } from "../userdata/render";
import { restartsAsInput } from "../userdata/restarts";
import type { DeployKey } from "./deploy-key";
import { type DropletSettings, newDroplet, type DropletPlace } from "./droplet";
import type { HostScript } from "./host-script";

export interface LoadBalancerArgs extends DropletPlace {
    /**
     * Its user data is a cloud-config, to which keys are added. A change builds a second droplet that takes over, and so
     * does another `generation` (one word, or empty).
     */
    droplet: DropletSettings & { generation: string };
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
        const { region, network, keys } = args;
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
                ...{ region, image, size, network, keys },
                userData: withKeys({ text: userData, generation }, keys),
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
                .all([droplet.ipv4Address, keys.host.publicKey])
                .apply(([address, hostKey]) => args.checkAccess(address, hostKey)),
            user: "root",
            privateKey: keys.deploy.privateKey,
            hostKey: keys.host.publicKey,
            // A refusing port is asked for 311 s, a silent one for as long again: long enough for a slow boot.
            dialErrorLimit: 70,
            perDialTimeout: 5,
        });
        this.ready = this.command(this, readyName(name), {
            create: `timeout --kill-after=10 ${setupSeconds + 30} bash -s`,
            stdin: this.dropletId.apply((id) => waitForCloudInit(id, setupSeconds)),
        });
        this.registerOutputs({ dropletId: this.dropletId });
    }

    /** A command that runs on the droplet, as root; a part of the component `parent`. */
    command(
        parent: pulumi.Resource,
        name: string,
        args: Pick<command.remote.CommandArgs, "create" | "stdin" | "logging">,
        dependsOn: pulumi.Resource[] = [],
    ): command.remote.Command {
        const connection = { connection: this.connection, addPreviousOutputInEnv: false };
        return new command.remote.Command(name, { ...connection, ...args }, { parent, dependsOn });
    }

    /** Brings a script of ours to the droplet. */
    install(parent: pulumi.Resource, name: string, script: HostScript): command.remote.Command {
        const create = this.dropletId.apply(script.install);
        return this.command(parent, name, { create, stdin: script.text, logging: quiet }, [this.ready]);
    }

    /**
     * Write ahead: a text first reaches the host and the state by a command of its own, whose output is a new word each
     * time, and the command that applies it has that word among its inputs. A run that is cut off while it applies leaves
     * the staged text in the state, so the next one of any config stages or applies again before a droplet is deleted. With
     * one command for both, the state would hold the old text, and the old config would look applied.
     */
    stageAndApply(
        parent: pulumi.Resource,
        names: ReturnType<typeof commandNames>,
        { script, stage, stdin, apply, dependsOn = [] }: Steps,
    ): pulumi.Resource {
        const installed = this.install(parent, names.script, script);
        const staged = this.command(parent, names.staged, { create: stage, stdin, logging: quiet }, [
            installed,
        ]);
        const create = withWord(staged.stdout, apply);
        return this.command(parent, names.applied, { create }, [staged, ...dependsOn]);
    }
}

interface Steps {
    /** What both commands run. */
    script: HostScript;
    /** The command that keeps its stdin, and prints its word. */
    stage: pulumi.Input<string>;
    stdin: pulumi.Input<string>;
    /** The command that applies it. */
    apply: (word: string) => string;
    /** What else has to be there before it is applied. */
    dependsOn?: pulumi.Resource[];
}

/** What a command prints goes to no log: it is a word, or nothing. */
const quiet = command.remote.Logging.Stderr;

/** The word that a command has printed, in another one; none where `--target` or `--exclude` has left both out. */
export const withWord = (stdout: pulumi.Output<string>, create: (word: string) => string) =>
    stdout.apply((word?: string) => create(word ?? "none"));

/** It holds private keys: a secret. */
function withKeys(parts: UserDataParts, { host, setup }: DeployKey): pulumi.Output<string> {
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
