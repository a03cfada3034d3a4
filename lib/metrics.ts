import { isIpv4Range, within } from "./ipv4-ranges";

/** Of `metricsSources`: the stack's own admin host. */
const ownAdminHost = "admin-host";

/** https://www.rfc-editor.org/rfc/rfc1918 */
const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

const form =
    `a list of who may read the load balancer's metrics in the VPC: ${ownAdminHost} (the stack's own), an existing tag, ` +
    'or a private IPv4 range, such as ["monitoring", "10.114.0.9/32"]';

/**
 * The config's `metricsSources`.
 *
 * @param list `undefined` for what is no list.
 * @throws Error that says what is allowed, and names every entry that is not.
 */
export function readMetricsSources(list: readonly unknown[] | undefined): string[] {
    if (list === undefined) throw new Error(form);
    const wrong = list.filter((value) => !isSource(value));
    if (wrong.length > 0)
        throw new Error(`${form} (wrong: ${wrong.map((value) => JSON.stringify(value)).join(", ")})`);
    return [...new Set(list as readonly string[])];
}

function isSource(value: unknown): value is string {
    if (typeof value !== "string") return false;
    // https://docs.digitalocean.com/reference/api/reference/tags/
    return isIpv4Range(value)
        ? privateRanges.some((range) => within(range, value))
        : /^[\w:-]{1,255}$/.test(value);
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
    return [
        ...(sources.includes(ownAdminHost) && adminHost === false
            ? [
                  `'metricsSources' has ${ownAdminHost}, and there is none: pulumi config set adminHost true, or name another source`,
              ]
            : []),
        ...own.map(
            (tag) =>
                `'metricsSources' should name no tag of the stack itself, got ${tag}: its admin host is ${ownAdminHost}, and ` +
                "servers have no use for metrics; name a tag of the other hosts",
        ),
    ];
}

/** As the provider takes them in a rule. @param adminHostTag `undefined` without an admin host. */
export function metricsPeers<T>(
    sources: readonly string[],
    adminHostTag: T | undefined,
): { sourceAddresses?: string[]; sourceTags?: (string | T)[] } {
    const addresses = sources.filter(isIpv4Range);
    const own = sources.includes(ownAdminHost) && adminHostTag !== undefined ? [adminHostTag] : [];
    const tags = [...metricsTags(sources), ...own];
    return {
        ...(addresses.length > 0 && { sourceAddresses: addresses }),
        ...(tags.length > 0 && { sourceTags: tags }),
    };
}
