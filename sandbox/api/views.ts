import type { Static } from "typebox";

import type {
    Action,
    Droplet,
    Firewall,
    FirewallRule,
    ImageRef,
    ReservedIp,
    Snapshot,
    SshKey,
    Vpc,
} from "../model.ts";
import { gateway, netmask } from "../addresses.ts";
import type * as answers from "./answers.ts";
import {
    distributions,
    type Distribution,
    regionFeatures,
    type Region,
    regions,
    type Size,
    sizeOf,
    sizes,
} from "./catalog.ts";
import type { ControlPlane } from "./control-plane.ts";

// How each thing looks in an answer. Fields: https://github.com/digitalocean/openapi (specification/resources).

export function regionView(region: Region): Static<typeof answers.Region> {
    return {
        name: region.name,
        slug: region.slug,
        features: regionFeatures,
        available: region.available,
        sizes: sizes.filter((size) => size.regions.includes(region.slug)).map(({ slug }) => slug),
    };
}

function regionViewOf(slug: string) {
    const region = regions.find((candidate) => candidate.slug === slug);
    if (!region) throw new Error(`there is no region ${slug} in sandbox/api/catalog.ts`);
    return regionView(region);
}

export function sizeView(size: Size): Static<typeof answers.Size> {
    return {
        slug: size.slug,
        memory: size.memoryMiB,
        vcpus: size.vcpus,
        disk: size.diskGiB,
        transfer: size.transferTB,
        price_monthly: size.priceMonthly,
        price_hourly: size.priceHourly,
        regions: size.regions,
        available: true,
        description: size.description,
        disk_info: [{ type: "local", size: { amount: size.diskGiB, unit: "gib" } }],
    };
}

export function distributionView(image: Distribution): Static<typeof answers.Image> {
    return {
        id: image.id,
        name: image.name,
        distribution: image.distribution,
        slug: image.slug,
        public: true,
        regions: regions.map(({ slug }) => slug),
        created_at: "2025-09-01T00:00:00Z",
        min_disk_size: image.minDiskGiB,
        type: "base",
        size_gigabytes: image.sizeGiB,
        description: `${image.distribution} ${image.name}`,
        tags: [],
        status: "available",
        error_message: "",
    };
}

/** A snapshot among `/v2/images`. */
export function snapshotImageView(snapshot: Snapshot): Static<typeof answers.Image> {
    return {
        id: snapshot.id,
        name: snapshot.name,
        distribution:
            snapshot.distribution ??
            distributions.find(({ slug }) => slug === snapshot.baseSlug)?.distribution ??
            "Unknown",
        slug: null,
        public: false,
        regions: [snapshot.region],
        created_at: snapshot.createdAt,
        min_disk_size: snapshot.minDiskGiB,
        type: "snapshot",
        size_gigabytes: snapshot.sizeGiB,
        description: snapshot.description ?? "",
        tags: snapshot.tags,
        status: "available",
        error_message: "",
    };
}

/** A snapshot among `/v2/snapshots`: its id is text there. */
export function snapshotView(snapshot: Snapshot): Static<typeof answers.Snapshot> {
    return {
        id: String(snapshot.id),
        name: snapshot.name,
        created_at: snapshot.createdAt,
        regions: [snapshot.region],
        min_disk_size: snapshot.minDiskGiB,
        size_gigabytes: snapshot.sizeGiB,
        resource_id: String(snapshot.dropletId),
        resource_type: "droplet",
        tags: snapshot.tags,
    };
}

function imageViewOf(image: ImageRef) {
    if ("snapshot" in image) return snapshotImageView(image.snapshot);
    const distribution = distributions.find(({ slug }) => slug === image.slug);
    if (!distribution) throw new Error(`there is no image ${image.slug} in sandbox/api/catalog.ts`);
    return distributionView(distribution);
}

export function dropletView(
    { cloud, instance }: ControlPlane,
    droplet: Droplet,
): Static<typeof answers.Droplet> {
    const size = sizeOf(droplet.size);
    const vpc = cloud.vpcs.find(({ id }) => id === droplet.vpcUuid);
    const { publicCidr, publicGateway } = instance.addresses;
    return {
        id: droplet.id,
        name: droplet.name,
        memory: size.memoryMiB,
        vcpus: size.vcpus,
        disk: droplet.diskGiB,
        disk_info: [{ type: "local", size: { amount: droplet.diskGiB, unit: "gib" } }],
        locked: droplet.locked,
        status: droplet.status,
        kernel: null,
        created_at: droplet.createdAt,
        features: droplet.features,
        backup_ids: [],
        next_backup_window: null,
        snapshot_ids: cloud.snapshots.filter(({ dropletId }) => dropletId === droplet.id).map(({ id }) => id),
        image: imageViewOf(droplet.image),
        volume_ids: [],
        size: sizeView(size),
        size_slug: size.slug,
        networks: {
            // The real API shows addresses only some time after the answer to the creation.
            v4:
                droplet.status === "new" || !vpc
                    ? []
                    : [
                          {
                              ip_address: droplet.publicIp,
                              netmask: netmask(publicCidr),
                              gateway: publicGateway,
                              type: "public",
                          },
                          {
                              ip_address: droplet.privateIp,
                              netmask: netmask(vpc.ipRange),
                              gateway: gateway(vpc.ipRange),
                              type: "private",
                          },
                      ],
            v6: [],
        },
        region: regionViewOf(droplet.region),
        tags: droplet.tags,
        vpc_uuid: droplet.vpcUuid,
    };
}

export function actionView(action: Action): Static<typeof answers.Action> {
    return {
        id: action.id,
        status: action.status,
        type: action.type,
        started_at: action.startedAt,
        completed_at: action.completedAt,
        resource_id: action.resourceId,
        resource_type: action.resourceType,
        region: regionViewOf(action.region),
        region_slug: action.region,
    };
}

export function vpcView(vpc: Vpc): Static<typeof answers.Vpc> {
    return {
        id: vpc.id,
        urn: `do:vpc:${vpc.id}`,
        name: vpc.name,
        description: vpc.description,
        region: vpc.region,
        ip_range: vpc.ipRange,
        created_at: vpc.createdAt,
        default: vpc.default,
    };
}

export function firewallView(firewall: Firewall): Static<typeof answers.Firewall> {
    return {
        id: firewall.id,
        name: firewall.name,
        // Rules hold before the answer is sent.
        status: "succeeded",
        created_at: firewall.createdAt,
        pending_changes: [],
        inbound_rules: firewall.inbound.map((rule) => ({ ...ruleView(rule), sources: peersView(rule) })),
        outbound_rules: firewall.outbound.map((rule) => ({
            ...ruleView(rule),
            destinations: peersView(rule),
        })),
        droplet_ids: firewall.dropletIds,
        tags: firewall.tags,
    };
}

function ruleView({ protocol, ports }: FirewallRule) {
    return { protocol, ports: ports === "all" ? "0" : ports };
}

/** Kinds of peer that a rule does not name are left out, as in the real answer. */
function peersView({ addresses, dropletIds, tags }: FirewallRule) {
    return {
        ...(addresses.length > 0 ? { addresses } : {}),
        ...(dropletIds.length > 0 ? { droplet_ids: dropletIds } : {}),
        ...(tags.length > 0 ? { tags } : {}),
    };
}

export function reservedIpView(
    control: ControlPlane,
    reservedIp: ReservedIp,
): Static<typeof answers.ReservedIp> {
    const droplet = control.cloud.droplets.find(({ id }) => id === reservedIp.dropletId);
    return {
        ip: reservedIp.ip,
        region: regionViewOf(reservedIp.region),
        droplet: droplet ? dropletView(control, droplet) : null,
        locked: control.isPending(reservedIp),
    };
}

export function sshKeyView(key: SshKey): Static<typeof answers.SshKey> {
    return { id: key.id, name: key.name, public_key: key.publicKey, fingerprint: key.fingerprint };
}
