import os from "node:os";
import path from "node:path";

/**
 * One sandbox on this machine. Everything that it makes on the host carries `id` (`ds0`, `ds1`, …) as a prefix
 * or lies in `stateDir`, so that any number of sandboxes stand side by side and each can be found and removed
 * without a list of what it made.
 */
export interface Instance {
    /** What people call it: "dev" for the one of `make up`, anything else for tests. */
    readonly name: string;
    /** 0-255: 0 is `make up`'s, tests take the first free one. Decides `id`, the addresses and the cgroup. */
    readonly index: number;
    /** Prefix of every namespace, host interface, cgroup and nft table: `ds<index>`. */
    readonly id: string;
    /** Everything that has to survive a restart of the sandbox; owner-only. */
    readonly stateDir: string;
    /** `loopback`: API states only, no machine behind a droplet. `nspawn`: droplets boot. */
    readonly kind: "loopback" | "nspawn";
    readonly addresses: Addresses;
}

/**
 * IPv4 ranges of one instance. Public ones come from 198.18.0.0/15, which RFC 2544 keeps for tests inside a
 * network: no router on the Internet carries it. Private ones live only inside the instance's namespaces, so
 * that all instances may use the same.
 */
export interface Addresses {
    /** Droplets' public addresses and reserved IPs, a /24: `198.18.<index>.0/24`. */
    readonly publicCidr: string;
    /** Gateway of `publicCidr`, the router's. */
    readonly publicGateway: string;
    /** The link between host and router, a /24; its addresses play "the Internet": `198.19.<index>.0/24`. */
    readonly uplinkCidr: string;
    /** The host's own address on that link: from here `pulumi` and `curl` reach droplets. */
    readonly uplinkHost: string;
    /** The router's; DNS for the host is here, too. */
    readonly uplinkRouter: string;
    /** The certificate authority's, on the Internet's side; see sandbox/region/authority.ts. */
    readonly authority: string;
    /** Where VPC ranges are taken from when the caller leaves them to us (a /20 each). */
    readonly vpcPool: string;
    /** A droplet's second public-side address, where its reserved IP arrives. */
    readonly anchorCidr: string;
    readonly anchorGateway: string;
}

/** Caches that outlive the checkout and are shared by all instances: base image, packages, the engine. */
export function cacheDir(): string {
    return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "dropscale");
}

export function instance(options: {
    name: string;
    index: number;
    stateDir: string;
    kind: Instance["kind"];
}): Instance {
    const { index, kind } = options;
    if (!Number.isInteger(index) || index < 0 || index > 255) {
        throw new Error(`a sandbox's index should be a whole number from 0 to 255, got ${index}`);
    }
    return {
        ...options,
        stateDir: path.resolve(options.stateDir),
        id: `ds${index}`,
        addresses: addresses(index, kind),
    };
}

function addresses(index: number, kind: Instance["kind"]): Addresses {
    return {
        // Without machines nothing answers at an address; from loopback's range, no try to reach one can leave.
        publicCidr: kind === "loopback" ? "127.64.0.0/10" : `198.18.${index}.0/24`,
        publicGateway: kind === "loopback" ? "127.64.0.1" : `198.18.${index}.1`,
        uplinkCidr: `198.19.${index}.0/24`,
        uplinkHost: `198.19.${index}.1`,
        uplinkRouter: `198.19.${index}.254`,
        authority: `198.19.${index}.2`,
        vpcPool: "10.114.0.0/15",
        anchorCidr: "10.17.0.0/16",
        anchorGateway: "10.17.0.1",
    };
}
