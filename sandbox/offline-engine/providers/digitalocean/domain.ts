import type { Property, Resource } from "../resource.ts";
import { isEmpty, text, type Properties, type Value } from "../values.ts";
import { ApiError, type Client } from "./client.ts";
import { explain } from "./poll.ts";
import { nonEmpty } from "./properties.ts";

interface ApiRecord {
    id: number;
    type: string;
    name: string;
    data: string;
    ttl: number;
    priority: number | null;
    port: number | null;
    weight: number | null;
    flags: number | null;
    tag: string | null;
}

interface Answer {
    domain_record: ApiRecord;
}

const TYPES = ["A", "AAAA", "CAA", "CNAME", "MX", "NS", "TXT", "SRV", "SOA"];
const TAGS = ["issue", "issuewild", "iodef"];

/** Of the types that take it; the state has 0 for all others. */
const number = (largest: number): Property => ({
    type: "integer",
    absent: 0,
    validate: (value) =>
        Number(value) >= 0 && Number(value) <= largest
            ? undefined
            : `expected 0 to ${largest}, got ${text(value)}`,
});
const oneOf =
    (known: readonly string[]) =>
    (value: Value): string | undefined =>
        known.includes(text(value)) ? undefined : `expected one of ${known.join(", ")}, got ${text(value)}`;

const INPUTS: Record<string, Property> = {
    type: { type: "string", required: true, forceNew: true, validate: oneOf(TYPES) },
    domain: { type: "string", required: true, forceNew: true, validate: nonEmpty },
    name: { type: "string", required: true, validate: nonEmpty },
    value: { type: "string", required: true },
    ttl: {
        type: "integer",
        computed: true,
        validate: (value) => (Number(value) >= 1 ? undefined : `expected at least 1, got ${text(value)}`),
    },
    priority: number(65_535),
    port: number(65_535),
    weight: number(65_535),
    flags: number(255),
    tag: { type: "string", absent: "", validate: oneOf(TAGS) },
};

const records = (domain: Value | undefined): string =>
    `/v2/domains/${encodeURIComponent(text(domain))}/records`;

/**
 * A record in a domain that somebody else owns. A name with the domain's own and a final dot is a difference here, once
 * it is read; the official provider takes it for the same as without.
 * https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/domain/resource_record.go
 */
export function dnsRecord(client: Client): Resource {
    return {
        bridge: {},
        inputs: INPUTS,
        outputs: ["fqdn"],
        async create(given) {
            const post = () =>
                client.post<Answer>(records(given.domain), { type: given.type, ...body(given) });
            const { domain_record: made } = await explain("creating record", post);
            return { id: String(made.id), outputs: () => Promise.resolve(state(made, text(given.domain))) };
        },
        async read(id, { domain }) {
            if (isEmpty(domain)) throw new Error("a DNS record can't be imported with the offline engine");
            const get = () => client.find<Answer>(`${records(domain)}/${id}`);
            const found = await explain("retrieving record", get);
            return found && state(found.domain_record, text(domain));
        },
        async update(id, olds, given) {
            const put = () =>
                client.put<Answer>(
                    `${records(given.domain)}/${id}`,
                    body({ ...given, ttl: given.ttl ?? olds.ttl ?? null }),
                );
            const { domain_record: changed } = await explain("updating record", put);
            return state(changed, text(given.domain));
        },
        delete: (id, { domain }) =>
            explain("deleting record", () => client.delete(`${records(domain)}/${id}`)),
    };
}

function body({ name, value, ttl, priority, port, weight, flags, tag }: Properties): object {
    return {
        ...{ name, data: value, priority: priority ?? 0, weight: weight ?? 0, flags: flags ?? 0 },
        ...(!isEmpty(ttl) && { ttl }),
        ...(!isEmpty(port) && { port }),
        ...(!isEmpty(tag) && { tag }),
    };
}

function state(seen: ApiRecord, domain: string): Properties {
    return {
        domain,
        ...fields(seen),
        value: valueOf(seen),
        fqdn: seen.name === "@" ? domain : `${seen.name}.${domain}`,
    };
}

/** The API shows names without the dot that it wants at their end. */
function valueOf({ type, data, tag }: ApiRecord): string {
    const isTarget = ["CNAME", "MX", "NS", "SRV", "CAA"].includes(type) && data !== "@" && tag !== "iodef";
    return isTarget ? `${data}.` : data;
}

function fields({ type, name, ttl, priority, port, weight, flags, tag }: ApiRecord): Properties {
    const numbers = { priority: priority ?? 0, port: port ?? 0, weight: weight ?? 0, flags: flags ?? 0 };
    return { type, name, ttl, ...numbers, tag: tag ?? "" };
}

/** https://www.pulumi.com/registry/packages/digitalocean/api-docs/getdomain/ */
export async function getDomain(client: Client, { name }: Properties): Promise<Properties> {
    try {
        const path = `/v2/domains/${encodeURIComponent(text(name))}`;
        const { domain } = await client.get<{
            domain: { name: string; ttl: number | null; zone_file: string | null };
        }>(path);
        return {
            ...{ id: domain.name, name: domain.name, domainUrn: `do:domain:${domain.name}` },
            ...{ ttl: domain.ttl ?? 0, zoneFile: domain.zone_file ?? "" },
        };
    } catch (error) {
        const missing = error instanceof ApiError && error.status === 404;
        const what = missing ? "domain not found" : "Error retrieving domain";
        throw new Error(`${what}: ${(error as Error).message}`, { cause: error });
    }
}

/**
 * All records of a domain; the official provider's filters and sorts are left out.
 * https://www.pulumi.com/registry/packages/digitalocean/api-docs/getrecords/
 */
export async function getRecords(
    client: Client,
    { domain, filters, sorts }: Properties,
): Promise<Properties> {
    if (!isEmpty(filters) || !isEmpty(sorts))
        throw new Error("getRecords takes no filters and sorts with the offline engine: it has them all");
    const seen = await explain("retrieving records", () =>
        client.list<ApiRecord>(records(domain), "domain_records"),
    );
    return {
        id: "records",
        domain: text(domain),
        records: seen.map((one) => ({ id: one.id, domain: text(domain), ...fields(one), value: one.data })),
    };
}
