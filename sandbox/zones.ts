import type { Domain, DomainRecord } from "./model.ts";

/** DigitalOcean's name servers: every zone has them. https://docs.digitalocean.com/products/networking/dns/ */
export const nameServers = ["ns1.digitalocean.com", "ns2.digitalocean.com", "ns3.digitalocean.com"];

/** Of records that name none. */
export const defaultTtlSeconds = 1800;

/** Of a zone's SOA record, in seconds, as DigitalOcean's zone files show them; `minimum` is what its record has. */
const soaTimes = { refresh: 10_800, retry: 3600, expire: 604_800 };

/** The whole name that `name` of a zone stands for, without a final dot. */
export function fullName({ name: zone }: Pick<Domain, "name">, name: string): string {
    return name === "@" ? zone : `${name}.${zone}`;
}

/** A zone's SOA record, as DNS servers have it. https://www.rfc-editor.org/rfc/rfc1035#section-3.3.13 */
export function startOfAuthority({ name, serial, records }: Domain) {
    const ttlSeconds = records.find(({ type }) => type === "SOA")?.ttlSeconds ?? defaultTtlSeconds;
    const [mname = ""] = nameServers;
    return { mname, rname: `hostmaster.${name}`, serial, ...soaTimes, minimum: ttlSeconds };
}

/** The zone as a file of RFC 1035. */
export function zoneFile(domain: Domain): string {
    const { mname, rname, serial, refresh, retry, expire, minimum } = startOfAuthority(domain);
    const times = [serial, refresh, retry, expire, minimum].join(" ");
    const lines = domain.records
        .filter(({ type }) => type !== "SOA")
        .map(
            (record) =>
                `${fullName(domain, record.name)}. ${record.ttlSeconds} IN ${record.type} ${value(domain, record)}`,
        );
    return [
        `$ORIGIN ${domain.name}.`,
        `$TTL ${defaultTtlSeconds}`,
        `${domain.name}. IN SOA ${mname}. ${rname}. ${times}`,
        ...lines,
        "",
    ].join("\n");
}

function value(domain: Domain, { type, data, priority, weight, port, flags, tag }: DomainRecord): string {
    const target = `${data === "@" ? domain.name : data}.`;
    switch (type) {
        case "A":
        case "AAAA":
        case "SOA":
            return data;
        case "TXT":
            return JSON.stringify(data);
        case "CNAME":
        case "NS":
            return target;
        case "MX":
            return `${priority} ${target}`;
        case "SRV":
            return `${priority} ${weight} ${port} ${target}`;
        case "CAA":
            return `${flags} ${tag} ${JSON.stringify(data)}`;
    }
}
