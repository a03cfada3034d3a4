import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import { types } from "../lib/identity";

export interface PublicAddressArgs {
    /** Slug of the droplet's region. */
    region: string;
    /** The droplet that gets the address. */
    dropletId: pulumi.Input<string>;
    /** The address, given here, moves only when this is done: without it, it would move before the new droplet serves. */
    serving: (ip: pulumi.Output<string>) => pulumi.Resource;
}

/**
 * The reserved IP that clients use, and its assignment. It stays the same when the load balancer is replaced.
 * Costs nothing while it is assigned.
 */
export class PublicAddress extends pulumi.ComponentResource {
    readonly ip: pulumi.Output<string>;
    /** It leads to the droplet. */
    readonly assigned: pulumi.Resource;

    constructor(name: string, args: PublicAddressArgs, opts?: pulumi.ComponentResourceOptions) {
        const { region, dropletId, serving } = args;
        super(types.address, name, { region }, opts);
        this.ip = new digitalocean.ReservedIp(name, { region }, { parent: this }).ipAddress;
        this.assigned = new digitalocean.ReservedIpAssignment(
            name,
            { ipAddress: this.ip, dropletId: pulumi.output(dropletId).apply(Number) },
            { parent: this, dependsOn: [serving(this.ip)] },
        );
        this.registerOutputs({ ip: this.ip });
    }
}
