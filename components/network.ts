import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import { type BackendSource, describeSources, inboundRules } from "../lib/backend-sources";
import type { Listener } from "../lib/listeners";
import { metricsRules } from "../lib/metrics";
import { guardNames, identityOf, types } from "../lib/identity";
import { anywhere } from "../lib/ipv4-ranges";

/** About the VPC that the stack makes for itself. */
export interface OwnVpc {
    /** It is, or will be (the region has none yet), its region's default, which can't be deleted. */
    isRegionDefault: boolean;
    /** Its id, where it exists as the region's default already: left by an earlier stack of this name, or ours. */
    existingId?: string;
}

export interface NetworkArgs {
    /** First part of every name: `<namePrefix>-<stack>`. */
    prefix: string;
    /** Slug of a region. */
    region: string;
    /** An existing VPC to use. @default a VPC of our own */
    vpcId?: string;
    /** What the account says about a VPC of our own. */
    ownVpc: OwnVpc;
    /** Open on the load balancer for everybody. */
    listeners: Listener[];
    access: {
        /** IPv4 ranges that may reach SSH on the load balancer. */
        adminCidrs: string[];
        /** `adminCidrs` may be the whole Internet. It opens nothing: it stands here for who reads the preview. */
        sshFromAnywhere: boolean;
        /** Who, beside the load balancer, may reach the servers. */
        backendSources: BackendSource[];
        /** Who may read the load balancer's metrics: the admin host, tags, IPv4 ranges. Nobody: the port is closed. */
        metricsSources: string[];
        /** There is an admin host: it may reach SSH on the load balancer, and `adminCidrs` may reach SSH on it. */
        adminHost: boolean;
    };
}

/**
 * VPC, tags and firewalls, two or three. Firewalls hold by tag, so a droplet is closed from its first packet;
 * droplets must depend on {@link firewalls}. All of it costs nothing.
 *
 * Inbound there is no rule for UDP and none for ICMP: nobody can ping a droplet, the load balancer neither. Answers to
 * what a droplet itself has begun come in, as these firewalls are stateful.
 * https://docs.digitalocean.com/products/networking/firewalls/
 */
export class Network extends pulumi.ComponentResource {
    readonly vpcId: pulumi.Output<string>;
    readonly loadBalancerTag: pulumi.Output<string>;
    readonly backendTag: pulumi.Output<string>;
    /** `undefined` without an admin host. */
    readonly adminHostTag: pulumi.Output<string> | undefined;
    /** What every droplet has to wait for. */
    readonly firewalls: pulumi.Resource[];

    constructor(name: string, args: NetworkArgs, opts?: pulumi.ComponentResourceOptions) {
        const { prefix, region, vpcId } = args;
        const { adminCidrs, sshFromAnywhere, backendSources, metricsSources, adminHost } = args.access;
        // Without one there is nothing to say of it: a stack from before it shows no change.
        const shown = { prefix, region, vpcId, adminCidrs, sshFromAnywhere, ...(adminHost && { adminHost }) };
        // A map, and none where there are none: a preview shows each source that comes or goes.
        const sources = backendSources.length > 0 && { backendSources: describeSources(backendSources) };
        const metrics = metricsSources.length > 0 && { metricsSources };
        super(types.network, name, { ...shown, ...sources, ...metrics }, opts);

        this.vpcId = vpcId ? pulumi.output(vpcId) : this.makeVpc(name, args);

        const { backendTag, loadBalancerTag, adminHostTag } = identityOf(prefix);
        const guards = guardNames(name);
        const ssh = { protocol: "tcp", portRange: "22", sourceAddresses: adminCidrs };
        const admin = adminHost ? this.guard(guards.adminHost, adminHostTag, [ssh]) : undefined;
        this.adminHostTag = admin?.tag;
        const loadBalancer = this.guard(guards.loadBalancer, loadBalancerTag, [
            ...args.listeners.map(({ port }) => ({
                ...{ protocol: "tcp", portRange: String(port), sourceAddresses: anywhere },
            })),
            { ...ssh, ...(admin && { sourceTags: [admin.tag] }) },
            // By the rule above, the firewall waits for that tag.
            ...metricsRules(metricsSources, adminHostTag),
        ]);
        this.loadBalancerTag = loadBalancer.tag;
        // Any port, so that a change of appPort is no outage: the old port still serves while it rolls.
        const backend = this.guard(guards.backend, backendTag, [
            { protocol: "tcp", portRange: "all", sourceTags: [loadBalancer.tag] },
            ...inboundRules(backendSources),
        ]);
        this.backendTag = backend.tag;
        this.firewalls = [loadBalancer, backend, ...(admin ? [admin] : [])].map(({ firewall }) => firewall);
        this.registerOutputs({ vpcId: this.vpcId });
    }

    /** A tag, and the firewall of whatever has it. */
    private guard(
        name: string,
        accountName: string,
        inboundRules: digitalocean.types.input.FirewallInboundRule[],
    ) {
        const tag = new digitalocean.Tag(name, { name: accountName }, { parent: this }).name;
        const args = { name: accountName, tags: [tag], inboundRules, outboundRules: everythingOut };
        return { tag, firewall: new digitalocean.Firewall(name, args, { parent: this }) };
    }

    private makeVpc(name: string, { prefix, region, ownVpc }: NetworkArgs): pulumi.Output<string> {
        // A region's default VPC can't be deleted (403), and the first one made in a region becomes its default:
        // such a one is left behind by `destroy`, and taken over by the next `up`.
        // https://docs.digitalocean.com/products/networking/vpc/how-to/delete/
        return new digitalocean.Vpc(
            name,
            { name: prefix, region, description: identityOf(prefix).vpcDescription },
            { parent: this, retainOnDelete: ownVpc.isRegionDefault, import: ownVpc.existingId },
        ).id;
    }
}

/** Without an outbound rule a firewall lets nothing out, and apt on the droplet fails. */
const everythingOut = ["tcp", "udp", "icmp"].map((protocol) => ({
    protocol,
    ...(protocol === "icmp" ? {} : { portRange: "all" }),
    destinationAddresses: anywhere,
}));
