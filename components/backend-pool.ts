import * as pulumi from "@pulumi/pulumi";
import type { AutoscaleSettings } from "../lib/autoscale-settings";
import { describeAutoscale } from "../lib/autoscale-words";
import { serverName, types } from "../lib/identity";
import { slots } from "../lib/slots";
import { describeUserData, renderBackendUserData } from "../userdata/render";
import { restartsAsInput } from "../userdata/restarts";
import { type DropletSettings, newDroplet, type DropletPlace } from "./droplet";
import { refusal } from "./refusal";

export interface BackendPoolArgs extends DropletPlace {
    scale: {
        /** How many droplets. */
        replicas: number;
        /** Slots never to use. */
        retired: number[];
        /** Slots whose droplets keep the image, size and user data that they have; a new one gets the current ones. */
        hold: number[];
        /** How the autoscaler changes `replicas`; nothing here follows it. @default a person does */
        autoscale?: AutoscaleSettings;
    };
    /** A change replaces all, and so does another `generation` (one word, or empty). */
    droplet: DropletSettings & { generation: string };
    /** What an image is that the config has the number of, for who reads the preview. @default it has a slug, which says it */
    imageIs?: string;
}

/** One backend. */
export interface Server {
    /** In the state and in haproxy.cfg. */
    name: string;
    slot: number;
    dropletId: pulumi.Output<string>;
    privateIp: pulumi.Output<string>;
}

/** N equal droplets, one a slot and called `<component>-<slot>`, made in parallel. Each costs what its size costs. */
export class BackendPool extends pulumi.ComponentResource {
    readonly servers: Server[];
    /** Size of each droplet: one that is held may have another than `size`. */
    readonly sizes: pulumi.Output<string>[] = [];

    constructor(name: string, args: BackendPoolArgs, opts?: pulumi.ComponentResourceOptions) {
        const { replicas, retired, hold, autoscale } = args.scale;
        const { image, size, userData: text, generation } = args.droplet;
        const { region, network, keys, imageIs } = args;
        const userData = keys.setup.publicKey.apply((key) =>
            renderBackendUserData({ text, generation }, key),
        );
        const numbers = slots(replicas, retired);
        // A map, not a list: when one leaves the middle, the preview shows that one alone.
        const servers = Object.fromEntries(
            numbers.map((slot) => [serverName(slot, name), hold.includes(slot) ? "held" : size]),
        );
        super(
            types.pool,
            name,
            {
                replicas,
                retired,
                hold,
                autoscale: autoscale && describeAutoscale(autoscale),
                servers,
                image,
                imageIs,
                size,
                userData: describeUserData(text),
                generation,
                ...restartsAsInput(text),
            },
            opts,
        );

        this.servers = numbers.map((slot) => {
            const server = serverName(slot, name);
            const droplet = newDroplet(
                server,
                { region, image, size, userData, network, tag: network.backendTag, keys },
                {
                    parent: this,
                    ignoreChanges: hold.includes(slot) ? ["image", "size", "userData"] : [],
                },
            );
            this.sizes.push(droplet.size);
            const privateIp = pulumi
                .all([droplet.id, droplet.ipv4AddressPrivate])
                .apply(([id, address]) => known(address, server, id));
            return { name: server, slot, dropletId: droplet.id, privateIp };
        });
        this.registerOutputs({ servers: this.servers });
    }
}

/** A droplet whose creation was given up has no address in state until a refresh finds it. */
function known(address: string, name: string, id: string): string {
    if (address) return address;
    throw refusal(
        `${name} (droplet ${id}) has no address yet: it was not active when an earlier run gave it up. ` +
            "See whether DigitalOcean shows it as active; `pulumi up --refresh` then goes on with it, or makes it again " +
            "if it is gone.",
    );
}
