/** Where cloud-init's NoCloud data source looks for its files in a droplet. */
export const SEED_FOLDER = "/var/lib/cloud/seed/nocloud";

/** What cloud-init learns about a droplet at boot. */
export interface Seed {
    id: number;
    hostname: string;
    /** authorized_keys lines of root. */
    publicKeys: string[];
    /** As the client sent it; not looked at. */
    userData: string;
    public: { address: string; prefixLength: number; gateway: string };
    anchor: { address: string; prefixLength: number };
    private: { address: string; prefixLength: number };
}

/**
 * Files of the NoCloud seed, by name. An `id` that cloud-init has not seen on this disk makes it a first boot:
 * a copy of another droplet gets its own host keys, host name and addresses.
 * https://cloudinit.readthedocs.io/en/22.4.2/topics/datasources/nocloud.html
 */
export function seedFiles(seed: Seed): Record<string, string> {
    const metaData = {
        "instance-id": String(seed.id),
        "local-hostname": seed.hostname,
        "public-keys": seed.publicKeys,
    };
    return {
        "user-data": seed.userData,
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
function networkConfig(seed: Seed): object {
    const cidr = (of: { address: string; prefixLength: number }) => `${of.address}/${of.prefixLength}`;
    return {
        version: 1,
        config: [
            {
                type: "physical",
                name: "eth0",
                subnets: [
                    { type: "static", address: cidr(seed.public), gateway: seed.public.gateway },
                    { type: "static", address: cidr(seed.anchor) },
                ],
            },
            { type: "physical", name: "eth1", subnets: [{ type: "static", address: cidr(seed.private) }] },
        ],
    };
}

/**
 * /proc/meminfo of a droplet that has `memoryMiB`, as `free` and server software read it: what the size has.
 * Its use is not followed.
 */
export function memInfo(memoryMiB: number): string {
    const kiB: Record<string, number> = {
        MemTotal: memoryMiB * 1024,
        MemFree: memoryMiB * 1024,
        MemAvailable: memoryMiB * 1024,
        Buffers: 0,
        Cached: 0,
        SwapCached: 0,
        SwapTotal: 0,
        SwapFree: 0,
        Shmem: 0,
        SReclaimable: 0,
    };
    return Object.entries(kiB)
        .map(([name, value]) => `${`${name}:`.padEnd(16)}${String(value).padStart(8)} kB\n`)
        .join("");
}
