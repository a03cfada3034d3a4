import type { Instance } from "../instance.ts";

/** Where droplets find metadata, DNS and packages. https://docs.digitalocean.com/reference/api/metadata/ */
export const METADATA_ADDRESS = "169.254.169.254";

/** Where the package mirror is an HTTP proxy at that address: apt-cacher-ng's port. On 80 there is metadata alone. */
export const MIRROR_PORT = 3142;

/** The router's end of the link to the host. */
export const UPLINK_IN_ROUTER = "up0";

/** The router's end of the cable to the certificate authority, which is a neighbour on the Internet. */
export const AUTHORITY_IN_ROUTER = "ca0";

/** The network namespace that the certificate authority runs in. */
export function authorityNetns(instance: Instance): string {
    return `${instance.id}-authority`;
}

/** The network namespace that droplet `dropletId` runs in: `ds0-123`; its path is `/run/netns/ds0-123`. */
export function netnsOf(instance: Instance, dropletId: number): string {
    return `${instance.id}-${dropletId}`;
}

/** The host's end of the link between host and router; shown as one more interface by `ip link`. */
export function uplinkOf(instance: Instance): string {
    return `${instance.id}-up`;
}

/** A droplet's two interfaces: the name inside, and the router's end of the cable. */
export function portsOf(dropletId: number) {
    return {
        public: { inside: "eth0", outside: `p${dropletId}`, mac: mac(0, dropletId) },
        private: { inside: "eth1", outside: `v${dropletId}`, mac: mac(1, dropletId) },
    } as const;
}

/** The same at every boot, unique in an instance; 02 marks it as locally administered. */
function mac(network: 0 | 1, dropletId: number): string {
    const id = dropletId.toString(16).padStart(8, "0");
    return `02:0${network}:${(id.match(/../g) ?? []).join(":")}`;
}
