import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import {
    certificateDays,
    uptimeNames,
    uptimeRegions,
    uptimeWords,
    watchesOf,
    watchWindow,
} from "../lib/alert-policies";
import type { AlertSettings } from "../lib/alert-settings";
import { identityOf, types } from "../lib/identity";
import type { Network } from "./network";
import type { PublicAddress } from "./public-address";

export interface AlertsArgs {
    /** First part of every name: `<namePrefix>-<stack>`. */
    prefix: string;
    /** Whom to tell, and from when on. The URL of Slack's webhook is a secret. */
    settings: Omit<AlertSettings, "slack"> & { slack?: { channel: string; url: pulumi.Output<string> } };
    /** Its tags say which machines are meant. */
    network: Network;
    /** The site's; its certificate is watched where it begins with `https:`. */
    url: pulumi.Input<string>;
    isHttps: boolean;
    /** The site is looked at only when this leads to what serves. */
    address: PublicAddress;
}

/**
 * DigitalOcean tells people when the machines have too much to do, the site can't be reached, or its certificate runs
 * out. Machines are watched by tag: those that come later are, too. The check of the site costs $1 a month.
 */
export class Alerts extends pulumi.ComponentResource {
    constructor(
        private readonly name: string,
        private readonly args: AlertsArgs,
        opts?: pulumi.ComponentResourceOptions,
    ) {
        const { network, settings } = args;
        // All but the URL: a preview shows whom it tells.
        super(types.alerts, name, { alerts: { ...settings, slack: settings.slack?.channel } }, opts);
        const tags = { server: network.backendTag, loadBalancer: network.loadBalancerTag };
        for (const watch of watchesOf(settings))
            new digitalocean.MonitorAlert(
                `${name}-${watch.name}`,
                {
                    type: watch.type,
                    compare: "GreaterThan",
                    value: watch.percent,
                    window: watchWindow,
                    tags: watch.of.map((role) => tags[role]),
                    description: this.called(watch.words),
                    alerts: this.receivers(),
                },
                // The provider does not say that Slack's URL is a secret, nor does the service keep it as one.
                { parent: this, additionalSecretOutputs: settings.slack ? ["alerts"] : [] },
            );
        this.watchSite();
        this.registerOutputs({});
    }

    private watchSite(): void {
        const { url, isHttps, address } = this.args;
        const { check, down, certificate } = uptimeNames;
        const site = new digitalocean.UptimeCheck(
            `${this.name}-${check}`,
            {
                name: this.called(uptimeWords[check]),
                target: url,
                type: isHttps ? "https" : "http",
                regions: uptimeRegions,
            },
            { parent: this, dependsOn: [address.assigned] },
        );
        // What "down" is compared with, nothing says; without it, the provider sends what the API does not document.
        this.tell(site, down, "down_global", 1);
        if (isHttps) this.tell(site, certificate, "ssl_expiry", certificateDays);
    }

    private tell(
        check: digitalocean.UptimeCheck,
        name: "down" | "certificate",
        type: "down_global" | "ssl_expiry",
        threshold: number,
    ): void {
        new digitalocean.UptimeAlert(
            `${this.name}-${name}`,
            {
                checkId: check.id,
                name: this.called(uptimeWords[name]),
                type,
                threshold,
                comparison: "less_than",
                period: "2m",
                notifications: [this.receivers()],
            },
            {
                parent: this,
                additionalSecretOutputs: this.args.settings.slack ? ["notifications"] : [],
            },
        );
    }

    private receivers() {
        const { email, slack } = this.args.settings;
        return { ...(email !== undefined && { emails: [email] }), ...(slack && { slacks: [slack] }) };
    }

    private called(words: string): string {
        return identityOf(this.args.prefix).alertName(words);
    }
}
