import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { type CertificateFacts } from "../../lib/certificate";
import { httpsCommandNames, types } from "../../lib/identity";
import type { LoadBalancer } from "../load-balancer";
import { certificateScript, installCertificate } from "./commands";

export interface HttpsArgs {
    loadBalancer: LoadBalancer;
    /** Host names of the site, at least one. */
    domains: string[];
    /** Visitors who come over HTTP are sent to HTTPS. */
    redirect: boolean;
    /** For how many seconds browsers may know the names by HTTPS alone. */
    hsts: number;
    /** A certificate of the user's own. */
    own: {
        /** Certificates and key in PEM; a secret. */
        pem: pulumi.Input<string>;
        facts: CertificateFacts;
    };
}

/**
 * The site's certificate on the load balancer. A change of it reaches HAProxy without a reload; a new load balancer has it
 * before it gets the address. It costs nothing.
 */
export class Https extends pulumi.ComponentResource {
    /** `https://` and the first name. */
    readonly url: string;
    /** What the certificate is, as far as anybody may know. */
    readonly certificate: CertificateFacts;
    /** It is on the host: haproxy.cfg may name it. */
    readonly installed: pulumi.Resource;

    constructor(name: string, args: HttpsArgs, opts?: pulumi.ComponentResourceOptions) {
        const { loadBalancer, domains, redirect, hsts, own } = args;
        // By the config's own words, and never a key: what a reviewer has to see.
        super(types.https, name, { domains, httpsRedirect: redirect, hsts, certificate: own.facts }, opts);
        const names = httpsCommandNames(name);
        const connection = { connection: loadBalancer.connection, addPreviousOutputInEnv: false };
        const script = new command.remote.Command(
            names.script,
            {
                ...connection,
                create: loadBalancer.dropletId.apply(certificateScript.install),
                stdin: certificateScript.text,
                logging: command.remote.Logging.Stderr,
            },
            { parent: this, dependsOn: [loadBalancer.ready] },
        );
        this.installed = new command.remote.Command(
            names.certificate,
            {
                ...connection,
                create: loadBalancer.dropletId.apply((id) => installCertificate(id, domains)),
                stdin: pulumi.secret(own.pem),
                logging: command.remote.Logging.None,
            },
            { parent: this, dependsOn: [script] },
        );
        this.url = `https://${domains[0] ?? ""}`;
        this.certificate = own.facts;
        this.registerOutputs({});
    }
}
