import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Droplet, ImageRef } from "../../model.ts";
import { lowestFreeAddress } from "../../addresses.ts";
import { distributions, type Region, regions, type Size, sizes } from "../catalog.ts";
import { releases } from "../../releases.ts";
import { timestamp } from "../cloud.ts";
import type { ControlPlane } from "../control-plane.ts";
import { found, lacking, unprocessable } from "../errors.ts";
import { isKey } from "./account.ts";
import { ensureTags } from "./tags.ts";
import { addVpc } from "./vpcs.ts";

const Texts = Type.Optional(Type.Union([Type.Null(), Type.Array(Type.String())]));
const Flag = Type.Optional(Type.Boolean());

/** https://docs.digitalocean.com/reference/api/reference/droplets/#droplets_create */
export const CreateBody = Type.Object({
    name: Type.Optional(Type.String()),
    names: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 10 })),
    region: Type.Optional(Type.String()),
    size: Type.String(),
    image: Type.Union([Type.String(), Type.Integer()]),
    ssh_keys: Type.Optional(
        Type.Union([Type.Null(), Type.Array(Type.Union([Type.String(), Type.Integer()]))]),
    ),
    tags: Texts,
    volumes: Texts,
    user_data: Type.Optional(Type.String()),
    vpc_uuid: Type.Optional(Type.String()),
    backups: Flag,
    backup_policy: Type.Optional(Type.Union([Type.Null(), Type.Object({})])),
    ipv6: Flag,
    monitoring: Flag,
    public_networking: Flag,
    with_droplet_agent: Flag,
});
type CreateBody = Static<typeof CreateBody>;

const userDataLimitBytes = 64 * 1024;

/** Checks the whole request before it makes anything; the droplets are not yet in the cloud. */
export function newDroplets(control: ControlPlane, body: CreateBody): Droplet[] {
    const names = (body.names ?? [body.name]).map(refuseHostname);
    const size = sizes.find(({ slug }) => slug === body.size);
    if (!size) throw unprocessable("You specified an invalid size for Droplet creation.");
    const region = regionFor(body.region, size);
    const image = imageFor(control, String(body.image), region, size);
    const sshKeyIds = keysFor(control, (body.ssh_keys ?? []).map(String));
    refuseWhatIsMissing(body);
    if (control.cloud.droplets.length + names.length > control.dropletLimit) {
        throw unprocessable("creating this/these droplet(s) will exceed your droplet limit");
    }
    const tags = ensureTags(control, body.tags ?? []);
    const vpcUuid = vpcFor(control, body.vpc_uuid, region);
    const wish = { sshKeyIds, vpcUuid, image, region: region.slug, size: size.slug, diskGiB: size.diskGiB };
    const droplets: Droplet[] = [];
    for (const name of names) {
        droplets.push({
            id: control.newId(),
            name,
            hostname: name,
            ...wish,
            status: "new",
            locked: true,
            createdAt: timestamp(),
            tags: [...tags],
            userData: body.user_data ?? "",
            features: featuresOf(body),
            ...addressesFor(control, vpcUuid, droplets),
        });
    }
    return droplets;
}

/** The name, or a 422 if it is none that a host can have. */
export function refuseHostname(name: string | undefined): string {
    if (!name) throw unprocessable("Name can't be blank");
    if (name.length > 255 || !/^[a-zA-Z0-9]?[a-z0-9A-Z.-]*[a-z0-9A-Z]$/.test(name)) {
        throw unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)");
    }
    return name;
}

/** A region's slug, its first letters (`nyc`: any of them), or nothing: any that has the size. */
function regionFor(wanted: string | undefined, size: Size): Region {
    const fitting = regions.filter(
        ({ slug, available }) =>
            available && (!wanted || slug === wanted || slug.replace(/\d+$/, "") === wanted),
    );
    if (fitting.length === 0) throw unprocessable("You specified an invalid region for Droplet creation.");
    const region = fitting.find(({ slug }) => size.regions.includes(slug));
    if (!region) throw unprocessable("Size is not available in this region.");
    return region;
}

function imageFor(control: ControlPlane, wanted: string, region: Region, size: Size): ImageRef {
    const distribution = distributions.find(({ id, slug }) => slug === wanted || String(id) === wanted);
    const snapshot = control.cloud.snapshots.find(
        ({ id, region: home }) => String(id) === wanted && home === region.slug,
    );
    const image = distribution ?? snapshot;
    if (!image) throw unprocessable("You specified an invalid image for Droplet creation.");
    if (image.minDiskGiB > size.diskGiB) {
        throw unprocessable("This size is not available because it has a smaller disk.");
    }
    if (snapshot) return { snapshot: { ...snapshot } };
    const slug = distribution?.slug ?? "";
    if (control.instance.kind === "nspawn" && !(slug in releases)) {
        throw lacking(
            `machines of ${slug}`,
            `The sandbox boots ${Object.keys(releases).join(", ")} and snapshots of them, not ${slug}; without machines (--kind loopback) it takes every image.`,
        );
    }
    return { slug };
}

function keysFor({ cloud }: ControlPlane, wanted: string[]): number[] {
    const unknown = wanted.filter((text) => !cloud.sshKeys.some((key) => isKey(key, text)));
    if (unknown.length > 0) {
        throw unprocessable(`${unknown.join(", ")} are invalid key identifiers for Droplet creation.`);
    }
    return cloud.sshKeys.filter((key) => wanted.some((text) => isKey(key, text))).map(({ id }) => id);
}

/** The real service has these; the sandbox says that it does not, rather than to leave them out unsaid. */
function refuseWhatIsMissing(body: CreateBody): void {
    if (Buffer.byteLength(body.user_data ?? "") > userDataLimitBytes) {
        throw unprocessable("User data is too long (the maximum is 64 KiB)");
    }
    if (body.volumes?.length) throw lacking("volumes");
    if (body.public_networking === false) throw lacking("Droplets without a public address");
    if (body.ipv6) throw lacking("IPv6");
    if (body.backups || body.backup_policy) throw lacking("backups");
}

/** The VPC named, or the region's default, which is made when it is first needed. */
function vpcFor(control: ControlPlane, wanted: string | undefined, region: Region): string {
    const { vpcs } = control.cloud;
    if (!wanted) {
        const existing = vpcs.find((vpc) => vpc.default && vpc.region === region.slug);
        return (existing ?? addVpc(control, { name: `default-${region.slug}`, region: region.slug })).id;
    }
    const vpc = found(vpcs.find(({ id }) => id === wanted));
    if (vpc.region !== region.slug) {
        throw unprocessable(`The VPC ${vpc.name} is in ${vpc.region}, not in ${region.slug}.`);
    }
    return vpc.id;
}

/** The lowest addresses that nobody has; `more` are droplets of the same request. */
function addressesFor(control: ControlPlane, vpcUuid: string, more: readonly Droplet[]) {
    const { publicCidr, anchorCidr } = control.instance.addresses;
    const { ipRange } = found(control.cloud.vpcs.find(({ id }) => id === vpcUuid));
    const occupants = [...control.occupants(), ...more];
    const free = (kind: "publicIp" | "privateIp" | "anchorIp", cidr: string, among: Droplet[]) => {
        const taken = new Set(among.map((droplet) => droplet[kind]));
        // The upper half of the public range is for reserved IPs.
        const address = lowestFreeAddress(cidr, taken, kind === "publicIp" ? "lower" : "all");
        if (!address) throw unprocessable(`no address is free in ${cidr}`);
        return address;
    };
    return {
        publicIp: free("publicIp", publicCidr, occupants),
        privateIp: free(
            "privateIp",
            ipRange,
            occupants.filter((droplet) => droplet.vpcUuid === vpcUuid),
        ),
        anchorIp: free("anchorIp", anchorCidr, occupants),
    };
}

function featuresOf(body: CreateBody): string[] {
    const { monitoring, with_droplet_agent: droplet_agent = true } = body;
    const wanted = { monitoring, droplet_agent, private_networking: true };
    return Object.keys(wanted).filter((feature) => wanted[feature as keyof typeof wanted]);
}
