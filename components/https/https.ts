import * as pulumi from "@pulumi/pulumi";
import { accountKeyScript, thumbprint } from "../../lib/acme";
import type { CertificateFacts } from "../../lib/certificate";
import type { HttpsSettings } from "../../lib/https-settings";
import { httpsCommandNames, types } from "../../lib/identity";
import { makeKeys } from "../deploy-key";
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

export interface HttpsArgs extends HttpsSettings {
    loadBalancer: LoadBalancer;
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
        const key = acme && makeKeys(names.account, accountKeyScript, this);
        if (key) {
            this.thumbprint = pulumi.unsecret(key.apply(thumbprint));
            this.order = this.thumbprint.apply((print) => ({ ...acme, thumbprint: print, names: domains }));
        }
        this.installed = loadBalancer.stageAndApply(this, names, {
            script: certificateScript,
            stage: pulumi
                .all([loadBalancer.dropletId, this.order])
                .apply(([id, order]) => stageCertificate(id, order ?? domains)),
            stdin: pulumi.secret(key ?? own?.pem ?? ""),
            apply: applyCertificate,
        });
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
        const { loadBalancer } = this.args;
        if (!this.order) return applied;
        const create = pulumi
            .all([loadBalancer.dropletId, this.order, reservedIp])
            .apply(([id, order, ip]) => certificateBefore(id, order, ip));
        return loadBalancer.command(this, httpsCommandNames(this.name).before, { create }, [applied]);
    }

    /**
     * Waits for what could not come before.
     *
     * @param reachable The names lead to the load balancer, as far as that is this program's to do.
     * @returns What the certificate is, as far as anybody may know; an authority's as of the last run that asked.
     */
    after(...reachable: pulumi.Resource[]): pulumi.Output<CertificateFacts | undefined> {
        const { loadBalancer, own } = this.args;
        if (!this.order) return pulumi.output(own?.facts);
        const create = pulumi
            .all([loadBalancer.dropletId, this.order])
            .apply(([id, order]) => certificateAfter(id, order, waitSeconds));
        const { after } = httpsCommandNames(this.name);
        return loadBalancer.command(this, after, { create }, reachable).stdout.apply(certificateIn);
    }
}
