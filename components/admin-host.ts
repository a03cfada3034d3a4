import * as pulumi from "@pulumi/pulumi";
import { types } from "../lib/identity";
import { renderUserData, describeUserData } from "../userdata/render";
import { type DropletSettings, newDroplet, type DropletPlace } from "./droplet";

export interface AdminHostArgs extends DropletPlace {
    /** Its user data is a cloud-config or a script, without secrets. */
    droplet: DropletSettings;
}

/**
 * A droplet in the VPC for who watches the pool, such as the autoscaler: nobody but `adminCidrs` gets in, by SSH alone,
 * and it may reach SSH on the load balancer. It is no part of what serves. Costs what its size costs.
 */
export class AdminHost extends pulumi.ComponentResource {
    /** Its own public address. */
    readonly ip: pulumi.Output<string>;
    /** Slug of the size that it has. */
    readonly size: pulumi.Output<string>;

    /** @throws Error if the network was made without a place for it. */
    constructor(name: string, args: AdminHostArgs, opts?: pulumi.ComponentResourceOptions) {
        const { region, network, keys } = args;
        const { image, size, userData } = args.droplet;
        super(types.adminHost, name, { region, image, size, userData: describeUserData(userData) }, opts);
        const tag = network.adminHostTag;
        if (tag === undefined) throw new Error("an admin host needs a network with `adminHost: true`");
        const droplet = newDroplet(
            name,
            { region, image, size, network, keys, tag, userData: renderUserData(userData) },
            // People put their secrets there: what only decides how one is set up does not replace it.
            { parent: this, ignoreChanges: ["image", "userData"] },
        );
        this.ip = droplet.ipv4Address;
        this.size = droplet.size;
        this.registerOutputs({ ip: this.ip });
    }
}
