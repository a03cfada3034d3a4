import type { Static } from "typebox";

import type * as alerts from "./api/alert-answers.ts";
import type { DistributionName } from "./api/answers.ts";

/**
 * What the sandbox's cloud consists of. The API (sandbox/api) is the only writer; machines (sandbox/droplets,
 * sandbox/region) read it. Plain data: it is kept as one JSON file and survives a restart.
 */
export interface Cloud {
    droplets: Droplet[];
    vpcs: Vpc[];
    firewalls: Firewall[];
    reservedIps: ReservedIp[];
    sshKeys: SshKey[];
    snapshots: Snapshot[];
    actions: Action[];
    tags: string[];
    domains: Domain[];
    alertPolicies: AlertPolicy[];
    uptimeChecks: UptimeCheck[];
    /** The next id of droplets, keys, snapshots, actions and DNS records; never used twice. */
    nextId: number;
}

export interface Droplet {
    id: number;
    name: string;
    /** Host name that cloud-init sets at first boot: `name` at creation; a later rename does not change it. */
    hostname: string;
    region: string;
    size: string;
    /** The size's at creation; grows only by a resize with `disk: true`, and never shrinks. */
    diskGiB: number;
    image: ImageRef;
    /** `new` until it is powered on for the first time. */
    status: "new" | "active" | "off";
    locked: boolean;
    createdAt: string;
    vpcUuid: string;
    tags: string[];
    sshKeyIds: number[];
    /** As sent by the client; empty when there was none. Never returned by the API. */
    userData: string;
    features: string[];
    publicIp: string;
    privateIp: string;
    anchorIp: string;
}

/** A distribution image by its slug, or a snapshot as it was at the droplet's creation: it may be deleted since. */
export type ImageRef = { slug: string } | { snapshot: Snapshot };

export interface Vpc {
    id: string;
    name: string;
    description: string;
    region: string;
    ipRange: string;
    default: boolean;
    createdAt: string;
}

export interface Firewall {
    id: string;
    name: string;
    createdAt: string;
    dropletIds: number[];
    tags: string[];
    inbound: FirewallRule[];
    outbound: FirewallRule[];
}

export interface FirewallRule {
    protocol: "tcp" | "udp" | "icmp";
    /** `all`, `80`, or `8000-9000`; ignored for icmp. */
    ports: string;
    /** Sources of an inbound rule, destinations of an outbound one. */
    addresses: string[];
    dropletIds: number[];
    tags: string[];
}

export interface ReservedIp {
    ip: string;
    region: string;
    dropletId: number | null;
    /** The first id that an action of it can have: those before are of one that had the address earlier. */
    firstActionId?: number;
}

export interface SshKey {
    id: number;
    name: string;
    publicKey: string;
    fingerprint: string;
}

export interface Snapshot {
    id: number;
    name: string;
    dropletId: number;
    /** The distribution it grew from. */
    baseSlug: string;
    /** As the client called it afterwards. */
    description?: string;
    distribution?: DistributionName;
    region: string;
    createdAt: string;
    minDiskGiB: number;
    sizeGiB: number;
    tags: string[];
}

/** A DNS zone. */
export interface Domain {
    /** In lower case, without a final dot. */
    name: string;
    /** Its SOA record's: seconds since 1970 of its last change, or one more than before. */
    serial: number;
    records: DomainRecord[];
}

export interface DomainRecord {
    id: number;
    type: RecordType;
    /** Relative to the zone; `@` for the zone itself. */
    name: string;
    /** An address, a text, or a name without its final dot; `@` is the zone's name. */
    data: string;
    ttlSeconds: number;
    /** MX and SRV. */
    priority: number | null;
    /** SRV. */
    port: number | null;
    /** SRV. */
    weight: number | null;
    /** CAA. */
    flags: number | null;
    /** CAA. */
    tag: "issue" | "issuewild" | "iodef" | null;
}

export type RecordType = "A" | "AAAA" | "CAA" | "CNAME" | "MX" | "NS" | "SOA" | "SRV" | "TXT";

/** As the API shows it. */
export type AlertPolicy = Static<typeof alerts.AlertPolicy>;

/** As the API shows it, and what hangs on it. */
export interface UptimeCheck extends Static<typeof alerts.UptimeCheck> {
    createdAt: string;
    alerts: UptimeAlert[];
}

/** As the API shows it. */
export type UptimeAlert = Static<typeof alerts.UptimeAlert>;

export interface Action {
    id: number;
    type: string;
    status: "in-progress" | "completed" | "errored";
    startedAt: string;
    completedAt: string | null;
    /** A droplet's id, or the number form of a reserved IP. */
    resourceId: number;
    resourceType: "droplet" | "reserved_ip" | "image";
    region: string;
    /** What went wrong, for the log; the real API does not say. */
    error?: string;
}

/** `/v2/sizes`: the facts about a slug that machines need too. */
export interface SizeSpec {
    slug: string;
    vcpus: number;
    memoryMiB: number;
    diskGiB: number;
}
