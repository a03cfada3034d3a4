/**
 * What a host name is called in a zone: `www` for www.example.com in example.com, `@` for example.com itself.
 *
 * @returns `undefined` where the zone is another's.
 */
export function recordName(domain: string, zone: string): string | undefined {
    if (domain === zone) return "@";
    return domain.endsWith(`.${zone}`) ? domain.slice(0, -zone.length - 1) : undefined;
}

/** Those of the host names that are in a zone, each with what it is called there. */
export function recordsIn(domains: readonly string[], zone: string): { domain: string; record: string }[] {
    return domains.flatMap((domain) => {
        const record = recordName(domain, zone);
        return record === undefined ? [] : [{ domain, record }];
    });
}
