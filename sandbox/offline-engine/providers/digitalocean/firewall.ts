import { isEmpty, text, type Properties, type Value } from "../values.ts";
import { nonEmpty, TAGS } from "./properties.ts";
import type { Rest } from "./rest.ts";

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

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/firewall/firewalls.go */
export const FIREWALL: Rest<ApiFirewall> = {
    noun: "firewall",
    bridge: { renamed: { inboundRules: "inbound_rule", outboundRules: "outbound_rule" } },
    path: "/v2/firewalls",
    key: "firewall",
    inputs: {
        name: { type: "string", autoName: true, validate: nonEmpty },
        dropletIds: { type: "set", items: "integer" },
        inboundRules: { type: "set", items: "map", validate: missingPorts },
        outboundRules: { type: "set", items: "map", validate: missingPorts },
        tags: TAGS,
    },
    outputs: ["createdAt", "pendingChanges", "status"],
    id: ({ id }) => id,
    state,
    body,
    changes: body,
};

/** Without ports the API would take all of them. */
function missingPorts(rules: Value): string | undefined {
    return (rules as Properties[]).some((rule) => rule.protocol !== "icmp" && isEmpty(rule.portRange))
        ? "`portRange` of a rule is required if its protocol is `tcp` or `udp`"
        : undefined;
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
            portRange: portRange(rule),
            ...Object.fromEntries(PEERS.map(([end, name]) => [prefix + end, rule[peers]?.[name] ?? []])),
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
        dropletIds: isEmpty(seen.droplet_ids) ? null : seen.droplet_ids,
        tags: seen.tags ?? [],
        inboundRules: rules(seen.inbound_rules, "inboundRules"),
        outboundRules: rules(seen.outbound_rules, "outboundRules"),
    };
}

/** The API says "0" for all ports, and for icmp, which has none. */
function portRange({ protocol, ports = "" }: ApiRule): string {
    if (ports !== "0") return ports;
    return protocol === "icmp" ? "" : "all";
}
