import * as digitalocean from "@pulumi/digitalocean";
import type * as pulumi from "@pulumi/pulumi";
import type { DeployKey } from "./deploy-key";
import type { Network } from "./network";

/** What the droplets of a stack have in common. */
export interface DropletPlace {
    /** Slug of a region. */
    region: string;
    /** Its firewalls are there before any droplet. */
    network: Network;
    /** `deploy` lets root in; by `setup`, the load balancer asks a server whether its set-up has ended. */
    keys: DeployKey;
}

/** What a config says of a kind of droplet. */
export interface DropletSettings {
    /** Slug of an image, or a snapshot's number. */
    image: string;
    /** Slug of a size. */
    size: string;
    /** Cloud-config, or a script. */
    userData: string;
}

interface DropletArgs extends DropletPlace, Omit<DropletSettings, "userData"> {
    /** As it is sent. */
    userData: pulumi.Input<string>;
    /** By which the network's firewalls know it. */
    tag: pulumi.Input<string>;
}

/** A droplet as all of the stack's are: closed from its first packet, and replaced by a new one before it goes. */
export function newDroplet(name: string, args: DropletArgs, opts: pulumi.CustomResourceOptions) {
    const { region, image, size, userData, network, tag, keys } = args;
    return new digitalocean.Droplet(
        name,
        // No `name`: with one, the provider would delete before it creates, and a replaced pool would be empty.
        {
            ...{ region, image, size, userData },
            vpcUuid: network.vpcId,
            tags: [tag],
            sshKeys: [keys.sshKeyId],
            monitoring: true,
        },
        {
            dependsOn: network.firewalls,
            // In place it would be powered off.
            replaceOnChanges: ["size"],
            // DigitalOcean needs about a minute; one that is still `new` after this won't come soon, and the rest of the
            // change should not wait for it (an hour by default).
            // https://www.pulumi.com/docs/iac/concepts/options/customtimeouts/
            customTimeouts: { create: "15m" },
            ...opts,
        },
    );
}
