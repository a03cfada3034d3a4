import { type SourceRule, inboundRules } from "./backend-sources";
import { entriesOf, type Rule, tagForm } from "./config-rules";
import { isIpv4Range, privateRanges, within } from "./ipv4-ranges";
import { metricsListener } from "./listeners";

/** Of `metricsSources`: the stack's own admin host. */
const ownAdminHost = "admin-host";

/** The config's `metricsSources`. */
export const readMetricsSources: Rule<string[]> = (raw) => [...new Set(readSources(raw))];

const readSources = entriesOf(
    readSource,
    `a list of who may read the load balancer's metrics in the VPC: ${ownAdminHost} (the stack's own), an existing tag, ` +
        'or a private IPv4 range, such as ["monitoring", "10.114.0.9/32"]',
);

function readSource(value: unknown): string | undefined {
    if (typeof value !== "string") return undefined;
    const isSource = isIpv4Range(value)
        ? privateRanges.some((range) => within(range, value))
        : tagForm.test(value);
    return isSource ? value : undefined;
}

/** The tags among them that others have made. */
export const metricsTags = (sources: readonly string[]): string[] =>
    sources.filter((source) => !isIpv4Range(source) && source !== ownAdminHost);

/** What they can't be together with the rest of the config. */
export function wrongMetricsSources(
    sources: readonly string[],
    { adminHost, ownTags }: { adminHost: boolean | undefined; ownTags: readonly string[] },
): string[] {
    const own = metricsTags(sources).filter((tag) => ownTags.includes(tag.toLowerCase()));
    const problems = own.map(
        (tag) =>
            `'metricsSources' should name no tag of the stack itself, got ${tag}: its admin host is ${ownAdminHost}, and ` +
            "servers have no use for metrics; name a tag of the other hosts",
    );
    if (sources.includes(ownAdminHost) && adminHost === false)
        problems.unshift(
            `'metricsSources' has ${ownAdminHost}, and there is none: pulumi config set adminHost true, or name another source`,
        );
    return problems;
}

/** The rule that lets them in; none where there are none. @param adminHostTag Of a tag that is there, if it is among them. */
export function metricsRules(sources: readonly string[], adminHostTag: string): SourceRule[] {
    const own = sources.includes(ownAdminHost) ? [adminHostTag] : [];
    const others = sources.filter((source) => source !== ownAdminHost);
    const ports = String(metricsListener.port);
    return inboundRules([...others, ...own].map((from) => ({ from, ports })));
}
