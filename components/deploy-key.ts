import * as command from "@pulumi/command";
import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import { identityOf, keyNames, types } from "../lib/identity";
import { sshKeygen } from "../lib/shell";

/** An SSH key pair in OpenSSH's format. */
export interface KeyPair {
    /** With its final newline; a secret. */
    privateKey: pulumi.Output<string>;
    /** One line: type, key, comment. */
    publicKey: pulumi.Output<string>;
}

/**
 * This stack's three key pairs, made once on the machine that runs `pulumi` (needs `ssh-keygen`) and kept as
 * secrets in state: the deploy key, with which root is reached on every droplet; the load balancer's host key, by
 * which it is known from the first connection; and the set-up key, with which the load balancer asks a server whether
 * its set-up has ended, and may do nothing else. To rotate one: `pulumi up --replace '**::keys-deploy'`, `'**::keys-host'`
 * or `'**::keys-setup'`; the droplets that carry it are replaced, new before old.
 */
export class DeployKey extends pulumi.ComponentResource {
    readonly deploy: KeyPair;
    readonly host: KeyPair;
    readonly setup: KeyPair;
    /** The account's key to name in `sshKeys` of every droplet. */
    readonly sshKeyId: pulumi.Output<string>;

    /** @param args `prefix`: first part of every name, `<namePrefix>-<stack>`. */
    constructor(name: string, args: { prefix: string }, opts?: pulumi.ComponentResourceOptions) {
        super(types.keys, name, args, opts);
        const { deploy, host, setup } = keyNames(name);
        const { deployKeyComment, hostKeyComment, setupKeyComment } = identityOf(args.prefix);
        this.deploy = this.makeKeyPair(deploy, deployKeyComment);
        this.host = this.makeKeyPair(host, hostKeyComment);
        this.setup = this.makeKeyPair(setup, setupKeyComment);
        this.sshKeyId = new digitalocean.SshKey(
            name,
            { name: args.prefix, publicKey: this.deploy.publicKey },
            // The provider deletes what has a given name before it creates the next one, and with a key that is
            // rotated would go every droplet that names it. An account takes two keys of one name.
            { parent: this, deleteBeforeReplace: false },
        ).id;
        this.registerOutputs({ publicKey: this.deploy.publicKey });
    }

    private makeKeyPair(name: string, comment: string): KeyPair {
        const pair = makeKeys(name, keygenScript(comment), this).apply(splitKeyPair);
        return { privateKey: pair.privateKey, publicKey: pulumi.unsecret(pair.publicKey) };
    }
}

/** Makes an ed25519 pair, and prints the private key, then the public one. */
export const keygenScript = (comment: string): string =>
    sshKeygen(`-t ed25519 -N '' -C '${comment}'`, '"$dir/key" "$dir/key.pub"');

/** What a script prints that makes keys, once, on the machine that runs `pulumi`; a secret in the state of `parent`. */
export function makeKeys(name: string, script: string, parent: pulumi.Resource): pulumi.Output<string> {
    const { stdout } = new command.local.Command(
        name,
        { create: script, logging: "none", addPreviousOutputInEnv: false },
        // An edit of the script must not rotate the keys of a running stack.
        { parent, additionalSecretOutputs: ["stdout"], ignoreChanges: ["*"] },
    );
    return pulumi.secret(stdout);
}

/**
 * Takes apart what {@link keygenScript} printed.
 *
 * @throws Error if it is anything else; the message does not repeat it, since it may hold a key.
 */
export function splitKeyPair(text: string): { privateKey: string; publicKey: string } {
    const match =
        /^(-----BEGIN OPENSSH PRIVATE KEY-----\n.*\n-----END OPENSSH PRIVATE KEY-----)\n(ssh-\S+ .+)\n?$/s.exec(
            text,
        );
    if (!match?.[1] || !match[2]) throw new Error("ssh-keygen printed something that is no key pair");
    return { privateKey: `${match[1]}\n`, publicKey: match[2].trim() };
}
