import { gateway, netmask } from "../addresses.ts";
import type { Instance } from "../instance.ts";
import type { Cloud, Droplet } from "../model.ts";
import { METADATA_ADDRESS, portsOf } from "./names.ts";

/** A folder of the metadata service; its text is the list of its names, those of folders with a slash. */
export interface Folder {
    readonly [name: string]: string | Folder;
}

/** What a droplet finds below `/metadata/v1/`. https://docs.digitalocean.com/reference/api/metadata/ */
export function metadataFolder(droplet: Droplet, cloud: Cloud, instance: Instance): Folder {
    const { droplet_id, hostname, user_data, vendor_data, public_keys, region, interfaces, ...rest } =
        metadataDocument(droplet, cloud, instance);
    const address = ({ ip_address, ...others }: Ipv4) => ({ address: ip_address, ...others });
    const { public: outer, private: inner } = interfaces;
    const assigned = {
        ipv4: Object.fromEntries(
            Object.entries(rest.reserved_ip.ipv4).map(([name, value]) => [name, String(value)]),
        ),
    };
    return {
        id: String(droplet_id),
        hostname,
        "user-data": user_data,
        "vendor-data": vendor_data,
        "public-keys": public_keys.join("\n"),
        region,
        interfaces: {
            public: {
                0: {
                    ipv4: address(outer[0].ipv4),
                    anchor_ipv4: address(outer[0].anchor_ipv4),
                    mac: outer[0].mac,
                    type: outer[0].type,
                },
            },
            private: { 0: { ...inner[0], ipv4: address(inner[0].ipv4) } },
        },
        dns: { nameservers: rest.dns.nameservers.join("\n") },
        floating_ip: assigned,
        reserved_ip: assigned,
        tags: Object.fromEntries(rest.tags.map((tag) => [tag, tag])),
        features: { dhcp_enabled: String(rest.features.dhcp_enabled) },
    };
}

/** `/metadata/v1.json`: the same facts in one document, under names that differ a little. */
export function metadataDocument(droplet: Droplet, cloud: Cloud, instance: Instance) {
    const { addresses } = instance;
    const ports = portsOf(droplet.id);
    const vpc = cloud.vpcs.find(({ id }) => id === droplet.vpcUuid);
    const reservedIp = cloud.reservedIps.find(({ dropletId }) => dropletId === droplet.id)?.ip;
    const assigned = {
        ipv4: { active: reservedIp !== undefined, ...(reservedIp && { ip_address: reservedIp }) },
    };
    return {
        droplet_id: droplet.id,
        hostname: droplet.hostname,
        user_data: droplet.userData,
        vendor_data: "",
        public_keys: droplet.sshKeyIds.flatMap(
            (keyId) => cloud.sshKeys.find(({ id }) => id === keyId)?.publicKey ?? [],
        ),
        region: droplet.region,
        interfaces: {
            public: [
                {
                    ipv4: ipv4(droplet.publicIp, addresses.publicCidr, addresses.publicGateway),
                    anchor_ipv4: ipv4(droplet.anchorIp, addresses.anchorCidr, addresses.anchorGateway),
                    mac: ports.public.mac,
                    type: "public",
                },
            ],
            private: [
                {
                    ipv4: ipv4(droplet.privateIp, vpc?.ipRange ?? `${droplet.privateIp}/32`),
                    mac: ports.private.mac,
                    type: "private",
                },
            ],
        } as const,
        floating_ip: assigned,
        reserved_ip: assigned,
        dns: { nameservers: [METADATA_ADDRESS] },
        tags: droplet.tags,
        features: { dhcp_enabled: false },
    };
}

/**
 * @param path below `/metadata/v1/`, as in the URL.
 * @returns the text; `redirect` for a folder without its slash; undefined when there is nothing.
 */
export function lookUp(folder: Folder, path: string): { text: string } | "redirect" | undefined {
    let node: string | Folder | undefined = folder;
    const names = path.split("/");
    const leaf = names.pop() ?? "";
    for (const name of names) {
        if (typeof node === "string" || node === undefined || !Object.hasOwn(node, name)) return undefined;
        node = node[name];
    }
    if (typeof node === "string" || node === undefined) return undefined;
    if (leaf === "") {
        return {
            text: Object.entries(node)
                .map(([name, value]) => (typeof value === "string" ? name : `${name}/`))
                .join("\n"),
        };
    }
    const found = Object.hasOwn(node, leaf) ? node[leaf] : undefined;
    return typeof found === "string" ? { text: found } : found && "redirect";
}

interface Ipv4 {
    ip_address: string;
    netmask: string;
    gateway: string;
}

function ipv4(address: string, cidr: string, gatewayAddress = gateway(cidr)): Ipv4 {
    return { ip_address: address, netmask: netmask(cidr), gateway: gatewayAddress };
}
