import { Type } from "@fastify/type-provider-typebox";
import type { Static, TSchema } from "typebox";

import { AlertPolicy, UptimeAlert, UptimeCheck, UptimeState } from "./alert-answers.ts";
import {
    closed,
    Disks,
    Flag,
    Ipv4,
    nullable,
    one,
    page,
    TagName,
    Tags,
    Text,
    Texts,
    Time,
    Uuid,
    Whole,
} from "./answer-parts.ts";
import { Domain, DomainRecord } from "./domain-answers.ts";

// What the API documents of its answers, in our own words: https://github.com/digitalocean/openapi. Each route names
// its own in `schema.response`, and answer-check.ts holds every answer against it.

export const DistributionName = Type.Enum([
    ...(["Arch Linux", "CentOS", "CoreOS", "Debian", "Fedora", "Fedora Atomic", "FreeBSD"] as const),
    ...(["Gentoo", "openSUSE", "RancherOS", "Rocky Linux", "Ubuntu", "Unknown"] as const),
]);
export type DistributionName = Static<typeof DistributionName>;

const Refusal = { id: Text, message: Text, request_id: Uuid };
export const ErrorBody: TSchema = closed(Refusal);
/** What `POST /v2/tags` documents for 400, beside what clients read in all others. */
export const RootCauses: TSchema = closed({
    ...Refusal,
    error: Text,
    messages: nullable(Texts),
    root_causes: Texts,
});

export const Region = closed({ name: Text, slug: Text, features: Texts, available: Flag, sizes: Texts });
export const Size = closed({
    slug: Text,
    memory: Type.Integer({ minimum: 8 }),
    vcpus: Whole,
    disk: Whole,
    transfer: Type.Number(),
    price_monthly: Type.Number(),
    price_hourly: Type.Number(),
    regions: Texts,
    available: Flag,
    description: Text,
    disk_info: Disks,
});
export const Image = closed({
    id: Whole,
    name: Text,
    distribution: DistributionName,
    slug: nullable(Text),
    public: Flag,
    regions: Texts,
    created_at: Time,
    min_disk_size: Type.Integer({ minimum: 0 }),
    type: Type.Enum(["base", "snapshot"]),
    size_gigabytes: Type.Number(),
    description: Text,
    tags: Tags,
    status: Type.Literal("available"),
    error_message: Text,
});
export const Snapshot = closed({
    id: Text,
    name: Text,
    created_at: Time,
    regions: Texts,
    min_disk_size: Whole,
    size_gigabytes: Type.Number(),
    resource_id: Text,
    resource_type: Type.Literal("droplet"),
    tags: Tags,
});
const Network = closed({
    ip_address: Ipv4,
    netmask: Ipv4,
    gateway: Ipv4,
    type: Type.Enum(["public", "private"]),
});
export const Droplet = closed({
    id: Whole,
    name: Text,
    memory: Whole,
    vcpus: Whole,
    disk: Whole,
    disk_info: Disks,
    locked: Flag,
    status: Type.Enum(["new", "active", "off"]),
    kernel: Type.Null(),
    created_at: Time,
    features: Texts,
    backup_ids: Type.Array(Whole),
    next_backup_window: Type.Null(),
    snapshot_ids: Type.Array(Whole),
    image: Image,
    volume_ids: Texts,
    size: Size,
    size_slug: Text,
    networks: closed({ v4: Type.Array(Network), v6: Type.Array(Type.Unknown(), { maxItems: 0 }) }),
    region: Region,
    tags: Tags,
    vpc_uuid: Uuid,
});
export const Action = closed({
    id: Whole,
    status: Type.Enum(["in-progress", "completed", "errored"]),
    type: Text,
    started_at: Time,
    completed_at: nullable(Time),
    resource_id: Whole,
    resource_type: Text,
    region: Region,
    region_slug: Text,
});
export const Vpc = closed({
    id: Uuid,
    urn: Type.String({ pattern: "^do:vpc:" }),
    name: Type.String({ pattern: "^[a-zA-Z0-9.-]+$" }),
    description: Type.String({ maxLength: 255 }),
    region: Text,
    ip_range: Text,
    created_at: Time,
    default: Flag,
});
const Member = closed({ urn: Type.String({ pattern: "^do:droplet:" }), name: Text, created_at: Time });
const rule = (peers: "sources" | "destinations") =>
    closed({
        protocol: Type.Enum(["tcp", "udp", "icmp"]),
        ports: Text,
        [peers]: closed({
            addresses: Type.Optional(Texts),
            droplet_ids: Type.Optional(Type.Array(Whole)),
            tags: Type.Optional(Tags),
        }),
    });
export const Firewall = closed({
    id: Uuid,
    name: Type.String({ pattern: "^[a-zA-Z0-9][a-zA-Z0-9.-]+$" }),
    status: Type.Literal("succeeded"),
    created_at: Time,
    pending_changes: Type.Array(Type.Unknown(), { maxItems: 0 }),
    inbound_rules: Type.Array(rule("sources")),
    outbound_rules: Type.Array(rule("destinations")),
    droplet_ids: Type.Array(Whole),
    tags: Tags,
});
export const ReservedIp = closed({ ip: Ipv4, region: Region, droplet: nullable(Droplet), locked: Flag });
export const SshKey = closed({ id: Whole, name: Text, public_key: Text, fingerprint: Text });
const Tagged = { count: Type.Integer({ minimum: 0 }), last_tagged_uri: Type.Optional(Text) };
export const Tag = closed({
    name: TagName,
    resources: closed({
        ...Tagged,
        droplets: closed(Tagged),
        images: closed(Tagged),
        volumes: closed(Tagged),
        volume_snapshots: closed(Tagged),
        databases: closed(Tagged),
    }),
});
const Account = closed({
    droplet_limit: Whole,
    floating_ip_limit: Whole,
    volume_limit: Whole,
    email: Text,
    name: Text,
    uuid: Text,
    email_verified: Flag,
    status: Type.Enum(["active", "warning", "locked"]),
    status_message: Text,
    team: closed({ uuid: Text, name: Text }),
});

// Whole answers: schemas only, for the check; a view's own type comes from what is above.

/** Answers with one thing under its key. */
export const One = {
    account: one("account", Account),
    action: one("action", Action),
    alert: one("alert", UptimeAlert),
    check: one("check", UptimeCheck),
    domain: one("domain", Domain),
    domain_record: one("domain_record", DomainRecord),
    droplet: one("droplet", Droplet),
    firewall: one("firewall", Firewall),
    image: one("image", Image),
    policy: one("policy", AlertPolicy),
    reserved_ip: one("reserved_ip", ReservedIp),
    snapshot: one("snapshot", Snapshot),
    ssh_key: one("ssh_key", SshKey),
    state: one("state", UptimeState),
    tag: one("tag", Tag),
    vpc: one("vpc", Vpc),
};

/** Answers with a page of a list, and the key that the list has in it. */
export const Page = {
    actions: page("actions", Action),
    alerts: page("alerts", UptimeAlert),
    backups: page("backups", Image),
    checks: page("checks", UptimeCheck),
    domainRecords: page("domain_records", DomainRecord),
    domains: page("domains", Domain),
    dropletSnapshots: page("snapshots", Image),
    droplets: page("droplets", Droplet),
    firewalls: page("firewalls", Firewall),
    images: page("images", Image),
    kernels: page("kernels", Type.Null()),
    members: page("members", Member),
    policies: page("policies", AlertPolicy),
    regions: page("regions", Region),
    reservedIps: page("reserved_ips", ReservedIp),
    sizes: page("sizes", Size),
    snapshots: page("snapshots", Snapshot),
    sshKeys: page("ssh_keys", SshKey),
    tags: page("tags", Tag),
    vpcs: page("vpcs", Vpc),
};

/** What answers point at: an action that was started, a droplet that it concerns. */
const Links = Type.Array(closed({ id: Whole, rel: Text, href: Type.String({ format: "uri" }) }));

export const CreatedDroplets: TSchema = Type.Union([
    closed({ droplet: Droplet, links: closed({ actions: Links }) }),
    closed({ droplets: Type.Array(Droplet), links: closed({ actions: Links }) }),
]);
export const CreatedReservedIp: TSchema = closed({
    reserved_ip: ReservedIp,
    links: closed({ droplets: Type.Optional(Links), actions: Type.Optional(Links) }),
});
export const Neighbors = one("droplets", Type.Array(Droplet));
export const StartedActions = one("actions", Type.Array(Action));
/** 204: an answer without a body. */
export const Nothing: Record<204, TSchema> = { 204: Type.Null() };
