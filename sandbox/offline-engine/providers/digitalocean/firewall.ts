import type { Failure, Resource } from "../resource.ts";
import { isEmpty, isRecord, text, type Properties, type Value } from "../values.ts";
import type { Client } from "./client.ts";
import { nonEmpty, oneOf, strings, tagName, TAGS } from "./properties.ts";
import { restResource, type Rest } from "./rest.ts";

interface ApiRule {
    protocol: string;
    ports?: string;
    sources?: ApiPeers;
    destinations?: ApiPeers;
}

type ApiPeers = Partial<Record<(typeof PEERS)[number][1], Value[] | null>>;

interface ApiFirewall {
    id: string;
    name: string;
    status: string;
    created_at: string;
    pending_changes: { droplet_id: number; removing: boolean; status: string }[] | null;
    droplet_ids: number[] | null;
    tags: string[] | null;
    inbound_rules: ApiRule[] | null;
    outbound_rules: ApiRule[] | null;
}

/** Ends of the property names (`sourceAddresses`, `destinationAddresses`) and the API's names. */
const PEERS = [
    ["Addresses", "addresses"],
    ["Tags", "tags"],
    ["DropletIds", "droplet_ids"],
    ["LoadBalancerUids", "load_balancer_uids"],
    ["KubernetesIds", "kubernetes_ids"],
] as const;

const DIRECTIONS = {
    inboundRules: { prefix: "source", peers: "sources" },
    outboundRules: { prefix: "destination", peers: "destinations" },
} as const;
type Direction = keyof typeof DIRECTIONS;

// https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/firewall/firewalls.go
const FIREWALL: Rest<ApiFirewall> = {
    noun: "firewall",
    path: "/v2/firewalls",
    key: "firewall",
    inputs: {
        name: { type: "string", autoName: true, validate: nonEmpty },
        dropletIds: { type: "set", items: "integer" },
        inboundRules: { type: "set", items: "map", validate: ruleProblem("inboundRules") },
        outboundRules: { type: "set", items: "map", validate: ruleProblem("outboundRules") },
        tags: TAGS,
    },
    outputs: { createdAt: "string", pendingChanges: "list", status: "string" },
    id: ({ id }) => id,
    state,
    body,
    changes: body,
};

export function firewall(client: Client): Resource {
    return { ...restResource(client, FIREWALL), validate: atLeastOneRule };
}

function atLeastOneRule(given: Properties): Failure[] {
    return isEmpty(given.inboundRules) && isEmpty(given.outboundRules)
        ? [{ property: "inboundRules", reason: "At least one rule must be specified" }]
        : [];
}

function ruleProblem(direction: Direction): (value: Value) => string | undefined {
    const { prefix } = DIRECTIONS[direction];
    const known = new Set(["protocol", "portRange", ...PEERS.map(([end]) => prefix + end)]);
    const problem = (rule: Value): string | undefined => {
        if (!isRecord(rule)) return undefined;
        const strange = Object.keys(rule).find((key) => !key.startsWith("__") && !known.has(key));
        if (strange !== undefined)
            return `unknown property ${strange} of a rule; known are ${[...known].join(", ")}`;
        if (rule.protocol !== "icmp" && isEmpty(rule.portRange)) {
            return "`portRange` of a rule is required if its protocol is `tcp` or `udp`";
        }
        const wrongTag = strings(rule[`${prefix}Tags`])
            .map(tagName)
            .find((reason) => reason !== undefined);
        return oneOf("tcp", "udp", "icmp")(rule.protocol ?? null) ?? wrongTag;
    };
    return (rules) => (rules as Value[]).map(problem).find((reason) => reason !== undefined);
}

function body(given: Properties): object {
    const rules = (direction: Direction): ApiRule[] => {
        const { prefix, peers } = DIRECTIONS[direction];
        return ((given[direction] ?? []) as Record<string, Value>[]).map((rule) => ({
            protocol: text(rule.protocol),
            ...(!isEmpty(rule.portRange) && { ports: rule.portRange as string }),
            [peers]: Object.fromEntries(
                PEERS.flatMap(([end, name]) =>
                    isEmpty(rule[prefix + end]) ? [] : [[name, rule[prefix + end]]],
                ),
            ),
        }));
    };
    return {
        name: given.name,
        inbound_rules: rules("inboundRules"),
        outbound_rules: rules("outboundRules"),
        droplet_ids: given.dropletIds ?? [],
        tags: given.tags ?? [],
    };
}

function state(seen: ApiFirewall): Properties {
    const rules = (list: ApiRule[] | null, direction: Direction): Value[] => {
        const { prefix, peers } = DIRECTIONS[direction];
        return (list ?? []).map((rule) => ({
            protocol: rule.protocol,
            ...portRange(rule),
            ...Object.fromEntries(
                PEERS.flatMap(([end, name]): [string, Value][] => {
                    const found = rule[peers]?.[name] ?? [];
                    return found.length > 0 ? [[prefix + end, found]] : [];
                }),
            ),
        }));
    };
    return {
        name: seen.name,
        status: seen.status,
        createdAt: seen.created_at,
        pendingChanges: (seen.pending_changes ?? []).map(({ droplet_id, removing, status }) => ({
            dropletId: droplet_id,
            removing,
            status,
        })),
        dropletIds: seen.droplet_ids ?? [],
        tags: seen.tags ?? [],
        inboundRules: rules(seen.inbound_rules, "inboundRules"),
        outboundRules: rules(seen.outbound_rules, "outboundRules"),
    };
}

/** The API says "0" for all ports, and for icmp, which has none. */
function portRange({ protocol, ports }: ApiRule): Properties {
    if (ports === undefined || ports === "" || (ports === "0" && protocol === "icmp")) return {};
    return { portRange: ports === "0" ? "all" : ports };
}
