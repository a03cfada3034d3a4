import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { accountKeyScript, thumbprint } from "../../lib/acme";
import type { CertificateFacts } from "../../lib/certificate";
import { httpsCommandNames, types } from "../../lib/identity";
import type { LoadBalancer } from "../load-balancer";
import {
    applyCertificate,
    certificateAfter,
    certificateBefore,
    certificateIn,
    certificateScript,
    type AcmeOrder,
    stageCertificate,
} from "./commands";

export interface HttpsArgs {
    loadBalancer: LoadBalancer;
    /** Host names of the site, at least one. */
    domains: string[];
    /** Visitors who come over HTTP are sent to HTTPS. */
    redirect: boolean;
    /** For how many seconds browsers may know the names by HTTPS alone. */
    hsts: number;
    /** A certificate of the user's own: certificates and key in PEM, and what anybody may know of it. @default `acme` */
    own?: { pem: pulumi.Input<string>; facts: CertificateFacts };
    /** The authority to get one from. @default `own` */
    acme?: { email: string; server: string };
}

/** How long a run waits for the first certificate, in seconds: DNS at a registrar may take hours, which none would wait. */
const waitSeconds = 120;

/**
 * The site's certificate on the load balancer: one of the user's own, or one that the load balancer gets from an authority
 * and renews, whose key never leaves it. It reaches HAProxy without a reload. It costs nothing.
 *
 * Of an authority a new load balancer gets its certificate while the address is still on the old one, which answers for it:
 * {@link before}. The first one of all can only come when the names lead here: {@link after}.
 */
export class Https extends pulumi.ComponentResource {
    /** `https://` and the first name. */
    readonly url: string;
    /** It is on the host, or one that stands in for it: haproxy.cfg may name it. */
    readonly installed: pulumi.Resource;
    /** Of the key of the account with the authority. */
    readonly thumbprint?: pulumi.Output<string>;
    private readonly order?: pulumi.Output<AcmeOrder>;

    constructor(
        private readonly name: string,
        private readonly args: HttpsArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { loadBalancer, domains, redirect, hsts, own, acme } = args;
        // By the config's own words, and never a key: what a reviewer has to see.
        const shown = acme ? { acmeEmail: acme.email, acmeServer: acme.server } : { certificate: own?.facts };
        super(types.https, name, { domains, httpsRedirect: redirect, hsts, ...shown }, opts);
        const names = httpsCommandNames(name);
        const script = this.run(
            names.script,
            {
                create: loadBalancer.dropletId.apply(certificateScript.install),
                stdin: certificateScript.text,
                logging: command.remote.Logging.Stderr,
            },
            [loadBalancer.ready],
        );
        const key = acme && this.makeAccountKey(names.account);
        if (key) {
            this.thumbprint = pulumi.unsecret(key.apply(thumbprint));
            this.order = this.thumbprint.apply((print) => ({ ...acme, thumbprint: print, names: domains }));
        }
        // Write ahead, as in HaproxyConfig: whatever ends a run, the next one of any config has its own certificate.
        const staged = this.run(
            names.staged,
            {
                create: pulumi
                    .all([loadBalancer.dropletId, this.order])
                    .apply(([id, order]) => stageCertificate(id, order ?? domains)),
                stdin: pulumi.secret(key ?? own?.pem ?? ""),
                logging: command.remote.Logging.Stderr,
            },
            [script],
        );
        // Undefined where `--target` or `--exclude` has left the staging out, and this command with it.
        const create = staged.stdout.apply((word?: string) => applyCertificate(word ?? "none"));
        this.installed = this.run(names.certificate, { create }, [staged]);
        this.url = `https://${domains[0] ?? ""}`;
        this.registerOutputs({});
    }

    /**
     * The address may move to the load balancer.
     *
     * @param applied It serves, and answers challenges.
     * @param reservedIp The address; what is served there now must not end.
     */
    before(applied: pulumi.Resource, reservedIp: pulumi.Input<string>): pulumi.Resource {
        if (!this.order) return applied;
        const create = pulumi
            .all([this.args.loadBalancer.dropletId, this.order, reservedIp])
            .apply(([id, order, ip]) => certificateBefore(id, order, ip));
        return this.run(httpsCommandNames(this.name).before, { create }, [applied]);
    }

    /**
     * Waits for what could not come before.
     *
     * @param reachable The names lead to the load balancer, as far as that is this program's to do.
     * @returns What the certificate is, as far as anybody may know; an authority's as of the last run that asked.
     */
    after(...reachable: pulumi.Resource[]): pulumi.Output<CertificateFacts | undefined> {
        if (!this.order) return pulumi.output(this.args.own?.facts);
        const create = pulumi
            .all([this.args.loadBalancer.dropletId, this.order])
            .apply(([id, order]) => certificateAfter(id, order, waitSeconds));
        const { stdout } = this.run(httpsCommandNames(this.name).after, { create }, reachable);
        return stdout.apply(certificateIn);
    }

    private run(
        name: string,
        args: Parameters<LoadBalancer["command"]>[1],
        dependsOn: pulumi.Resource[],
    ): command.remote.Command {
        return this.args.loadBalancer.command(name, args, { parent: this, dependsOn });
    }

    /** Made once, on the machine that runs `pulumi`; a secret. */
    private makeAccountKey(name: string): pulumi.Output<string> {
        const { stdout } = new command.local.Command(
            name,
            { create: accountKeyScript, logging: "none", addPreviousOutputInEnv: false },
            // An edit of the script must not make another account.
            { parent: this, additionalSecretOutputs: ["stdout"], ignoreChanges: ["*"] },
        );
        return pulumi.secret(stdout);
    }
}
