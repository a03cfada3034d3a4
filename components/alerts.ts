import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import { type AlertSettings, uptimeCheckWords } from "../lib/alert-settings";
import { identityOf, types } from "../lib/identity";
import type { Network } from "./network";
import type { PublicAddress } from "./public-address";

export interface AlertsArgs {
    /** First part of every name: `<namePrefix>-<stack>`. */
    prefix: string;
    /** Whom to tell, and from when on. */
    settings: AlertSettings;
    /** Its tags say which machines are meant. */
    network: Network;
    /** The site's. */
    url: pulumi.Input<string>;
    /** The site has a certificate, which is watched, too. */
    isHttps: boolean;
    /** The site is looked at only when this leads to what serves. */
    address: PublicAddress;
}

/** A certificate of an authority is renewed when a third of its time is left, which is 30 days of 90. */
const certificateDays = 14;

/**
 * DigitalOcean tells people when the machines have too much to do, the site can't be reached, or its certificate runs
 * out. Machines are watched by tag: those that come later are, too. The check of the site costs $1 a month.
 */
export class Alerts extends pulumi.ComponentResource {
    constructor(name: string, args: AlertsArgs, opts?: pulumi.ComponentResourceOptions) {
        const { network, settings, url, isHttps, address } = args;
        const { email, slack, cpuPercent, loadBalancerCpuPercent, memoryPercent, diskPercent } = settings;
        // All but the URL: a preview shows whom it tells.
        super(types.alerts, name, { alerts: { ...settings, slack: slack?.channel } }, opts);
        const { alertName } = identityOf(args.prefix);
        const receivers = {
            ...(email !== undefined && { emails: [email] }),
            ...(slack && { slacks: [{ ...slack, url: pulumi.secret(slack.url) }] }),
        };
        // The provider does not say that Slack's URL is a secret, nor does the service keep it as one.
        const options = (input: string) => ({ parent: this, additionalSecretOutputs: slack ? [input] : [] });

        /** @param type As the API calls it. https://docs.digitalocean.com/reference/api/reference/monitoring/ */
        const watch = (
            suffix: string,
            type: string,
            tags: pulumi.Output<string>[],
            percent: number,
            what: string,
        ) =>
            new digitalocean.MonitorAlert(
                `${name}-${suffix}`,
                {
                    type: `v1/insights/droplet/${type}`,
                    compare: "GreaterThan",
                    value: percent,
                    // The shortest that there is.
                    window: "5m",
                    tags,
                    description: alertName(`${what} over ${percent} % for 5 minutes`),
                    alerts: receivers,
                },
                options("alerts"),
            );
        const { backendTag, loadBalancerTag } = network;
        const both = [backendTag, loadBalancerTag];
        const each = "a server or the load balancer";
        watch("cpu", "cpu", [backendTag], cpuPercent, "CPU of a server");
        watch(
            "load-balancer-cpu",
            "cpu",
            [loadBalancerTag],
            loadBalancerCpuPercent,
            "CPU of the load balancer",
        );
        watch("memory", "memory_utilization_percent", both, memoryPercent, `memory of ${each}`);
        watch("disk", "disk_utilization_percent", both, diskPercent, `disk of ${each}`);

        const site = new digitalocean.UptimeCheck(
            `${name}-site`,
            {
                name: alertName(uptimeCheckWords),
                target: url,
                type: isHttps ? "https" : "http",
                // All there are: one of them that can't reach the site is no outage.
                regions: ["eu_west", "se_asia", "us_east", "us_west"],
            },
            { parent: this, dependsOn: [address.assigned] },
        );
        const tell = (suffix: string, type: string, threshold: number, words: string) =>
            new digitalocean.UptimeAlert(
                `${name}-${suffix}`,
                {
                    ...{ checkId: site.id, name: alertName(words), type, threshold },
                    comparison: "less_than",
                    period: "2m",
                    notifications: [receivers],
                },
                options("notifications"),
            );
        // What "down" is compared with, nothing says; without it, the provider sends what the API does not document.
        tell("down", "down_global", 1, "the site is down, from everywhere, for 2 minutes");
        const ending = `the site's certificate runs out in less than ${certificateDays} days`;
        if (isHttps) tell("certificate", "ssl_expiry", certificateDays, ending);
        this.registerOutputs({});
    }
}
