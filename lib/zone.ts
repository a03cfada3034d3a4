/**
 * What a host name is called in a zone: `www` for www.example.com in example.com, `@` for example.com itself.
 *
 * @returns `undefined` where the zone is another's.
 */
export function recordName(domain: string, zone: string): string | undefined {
    if (domain === zone) return "@";
    return domain.endsWith(`.${zone}`) ? domain.slice(0, -zone.length - 1) : undefined;
}
