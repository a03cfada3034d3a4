import { entriesOf, tagForm } from "./config-rules";
import { addressCount, isIpv4Range, isOpenToAll, mostAdminAddresses } from "./ipv4-ranges";

/** Who, beside the load balancer, may reach the servers. */
export interface BackendSource {
    /** A tag of the account's droplets, or an IPv4 range. */
    from: string;
    /** TCP ports: `9100`, or `9100-9105`. */
    ports: string;
}

/** The config's `backendSources`. */
export const readBackendSources = entriesOf(
    readSource,
    'a list of sources such as {"from": "monitoring", "ports": "9100"}: an existing tag or an IPv4 range, and TCP ports ' +
        "such as 9100 or 9100-9105",
);

/** A port alone may be a number, as `pulumi config set --path` writes it. */
function readSource(value: unknown): BackendSource | undefined {
    if (typeof value !== "object" || value === null) return undefined;
    const { from, ports: given, ...more } = value as Record<string, unknown>;
    const ports = typeof given === "number" ? String(given) : given;
    if (Object.keys(more).length > 0 || typeof from !== "string" || typeof ports !== "string")
        return undefined;
    return (tagForm.test(from) || isIpv4Range(from)) && arePorts(ports) ? { from, ports } : undefined;
}

function arePorts(ports: string): boolean {
    const numbers =
        /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(ports)?.slice(1).filter(Boolean).map(Number) ?? [];
    const [from = 0, to = from] = numbers;
    return from > 0 && from <= to && to <= 65_535;
}

/** The tags among them. */
export function tagsAmong(sources: readonly BackendSource[]): string[] {
    return [...new Set(sources.map(({ from }) => from).filter((from) => !isIpv4Range(from)))];
}

/** Why they let in too much: all of the Internet, or much of it, or what the load balancer's own rule is for. */
export function openSources(sources: readonly BackendSource[], ownTags: readonly string[]): string[] {
    const ranges = sources.map(({ from }) => from).filter(isIpv4Range);
    const own = tagsAmong(sources).filter((tag) => ownTags.includes(tag.toLowerCase()));
    const problems = own.map(
        (tag) =>
            `'backendSources' should name no tag of the stack itself, got ${tag}: the load balancer reaches every port as it ` +
            "is, and servers do not reach each other; name a tag of the other hosts",
    );
    if (isOpenToAll(ranges))
        problems.unshift(
            `'backendSources' should hold at most ${mostAdminAddresses} addresses in all, got ${ranges.join(", ")}, with ` +
                `${addressCount(ranges)}: that opens the servers to everybody; name the hosts' own addresses, or a tag of theirs`,
        );
    return problems;
}

/** As the provider takes it. */
export interface SourceRule {
    protocol: string;
    portRange: string;
    sourceTags?: string[];
    sourceAddresses?: string[];
}

/** One inbound rule for each `ports`. */
export function inboundRules(sources: readonly BackendSource[]): SourceRule[] {
    return [...new Set(sources.map(({ ports }) => ports))].map((portRange) => {
        const all = sources.filter(({ ports }) => ports === portRange);
        const tags = tagsAmong(all);
        const addresses = [...new Set(all.map(({ from }) => from).filter(isIpv4Range))];
        return {
            ...{ protocol: "tcp", portRange },
            ...(tags.length > 0 && { sourceTags: tags }),
            ...(addresses.length > 0 && { sourceAddresses: addresses }),
        };
    });
}

/** For people: `{ monitoring: "9100, 9113" }`. */
export function describeSources(sources: readonly BackendSource[]): Record<string, string> {
    const portsOf = (source: string) =>
        sources.flatMap(({ from, ports }) => (from === source ? [ports] : [])).join(", ");
    return Object.fromEntries(sources.map(({ from }) => [from, portsOf(from)]));
}
