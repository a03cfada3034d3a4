import type { Addresses } from "../instance.ts";
import type { Droplet, Vpc } from "../model.ts";

/** Where cloud-init's NoCloud data source looks for its files in a droplet. */
export const SEED_FOLDER = "/var/lib/cloud/seed/nocloud";

/** What cloud-init learns about a droplet at boot. */
export interface Seed {
    droplet: Pick<Droplet, "id" | "hostname" | "userData" | "publicIp" | "anchorIp" | "privateIp">;
    /** The droplet's. */
    vpc: Pick<Vpc, "ipRange">;
    addresses: Pick<Addresses, "publicCidr" | "publicGateway" | "anchorCidr">;
    /** authorized_keys lines of root. */
    publicKeys: string[];
}

/**
 * Files of the NoCloud seed, by name; user data as the client sent it. An id that cloud-init has not seen on
 * this disk makes it a first boot: a copy of another droplet gets its own host keys, host name and addresses.
 * https://cloudinit.readthedocs.io/en/22.4.2/topics/datasources/nocloud.html
 */
export function seedFiles(seed: Seed): Record<string, string> {
    const { id, hostname, userData } = seed.droplet;
    const metaData = {
        "instance-id": String(id),
        "local-hostname": hostname,
        "public-keys": seed.publicKeys,
    };
    return {
        "user-data": userData,
        "vendor-data": "",
        "meta-data": JSON.stringify(metaData),
        "network-config": JSON.stringify(networkConfig(seed)),
    };
}

/**
 * Network config, version 1 (JSON is YAML). Without `mac_address`: cloud-init would look for it among physical
 * devices, and a veth is none.
 * https://cloudinit.readthedocs.io/en/22.4.2/topics/network-config-format-v1.html
 */
function networkConfig({ droplet, vpc, addresses }: Seed): object {
    const subnet = (address: string, range: string) => ({
        type: "static",
        address: `${address}/${range.split("/")[1] ?? "32"}`,
    });
    const eth0 = [
        { ...subnet(droplet.publicIp, addresses.publicCidr), gateway: addresses.publicGateway },
        subnet(droplet.anchorIp, addresses.anchorCidr),
    ];
    const eth1 = [subnet(droplet.privateIp, vpc.ipRange)];
    return {
        version: 1,
        config: [
            { type: "physical", name: "eth0", subnets: eth0 },
            { type: "physical", name: "eth1", subnets: eth1 },
        ],
    };
}

/**
 * /proc/meminfo of a droplet that has `memoryMiB`, as `free` and server software read it: what the size has.
 * Its use is not followed.
 */
export function memInfo(memoryMiB: number): string {
    const lines = (names: string, kiB: number) =>
        names.split(" ").map((name) => `${`${name}:`.padEnd(16)}${String(kiB).padStart(8)} kB\n`);
    return [
        ...lines("MemTotal MemFree MemAvailable", memoryMiB * 1024),
        ...lines("Buffers Cached SwapCached SwapTotal SwapFree Shmem SReclaimable", 0),
    ].join("");
}
