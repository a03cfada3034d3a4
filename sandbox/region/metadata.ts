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
    const inner = JSON.stringify(interfaces).replaceAll('"ip_address":', '"address":');
    return folderOf({
        id: droplet_id,
        hostname,
        "user-data": user_data,
        "vendor-data": vendor_data,
        "public-keys": public_keys.join("\n"),
        region,
        interfaces: JSON.parse(inner) as object,
        ...rest,
        dns: { nameservers: rest.dns.nameservers.join("\n") },
        tags: Object.fromEntries(rest.tags.map((tag) => [tag, tag])),
    });
}

function folderOf(values: object): Folder {
    const nodes = Object.entries(values).map(([name, value]: [string, unknown]) => [
        name,
        typeof value === "object" && value !== null ? folderOf(value) : String(value),
    ]);
    return Object.fromEntries(nodes) as Folder;
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
        },
        dns: { nameservers: [METADATA_ADDRESS] },
        floating_ip: assigned,
        reserved_ip: assigned,
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

function ipv4(address: string, cidr: string, gatewayAddress = gateway(cidr)) {
    return { ip_address: address, netmask: netmask(cidr), gateway: gatewayAddress };
}
