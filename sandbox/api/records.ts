import { isIPv4, isIPv6 } from "node:net";

import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Domain, DomainRecord, RecordType } from "../model.ts";
import { defaultTtlSeconds } from "../zones.ts";
import { caaTags } from "./domain-answers.ts";
import { unprocessable } from "./errors.ts";

/** Not a union: the server would take null for 0 there. */
const number = (minimum: number, maximum: number) =>
    Type.Optional(Type.Unsafe<number | null>({ type: ["integer", "null"], minimum, maximum }));
const text = Type.Optional(Type.Unsafe<string | null>({ type: ["string", "null"] }));

/** What a request may say of a record: https://docs.digitalocean.com/reference/api/reference/domain-records/ */
export const RecordBody = Type.Object({
    type: text,
    name: text,
    data: text,
    ttl: number(0, 2 ** 31 - 1),
    priority: number(0, 65_535),
    port: number(0, 65_535),
    weight: number(0, 65_535),
    flags: number(0, 255),
    tag: text,
});
export type RecordBody = Static<typeof RecordBody>;

type Field = "priority" | "port" | "weight" | "flags" | "tag";

/** Fields that a type has beside name, data and ttl; all are required. */
const fieldsOf: Record<RecordType, readonly Field[]> = {
    A: [],
    AAAA: [],
    CAA: ["flags", "tag"],
    CNAME: [],
    MX: ["priority"],
    NS: [],
    SOA: [],
    SRV: ["priority", "port", "weight"],
    TXT: [],
};
/** Those whose data is a host's name. */
const naming: readonly RecordType[] = ["CNAME", "MX", "NS", "SRV"];
/** Those that are the zone's own if they name nothing. */
const nameless: readonly RecordType[] = ["MX", "NS"];
const smallestTtlSeconds = 30;

/** A host's name, or `*` and `_` where records have them; without a final dot. */
export function isName(name: string): boolean {
    return (
        name.length <= 253 &&
        /^(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/.test(name)
    );
}

/**
 * The record that a request describes, or a 422 in DigitalOcean's words. What the request leaves out is `before`'s.
 *
 * @param before The record that is changed; undefined for a new one.
 */
export function recordFrom(
    domain: Domain,
    body: RecordBody,
    id: number,
    before?: DomainRecord,
): DomainRecord {
    const type = typeFrom(body.type ?? before?.type, before);
    const { name, data, ttl } = body;
    const record: DomainRecord = {
        id,
        type,
        name: relative(domain, name ?? before?.name ?? (nameless.includes(type) ? "@" : "")),
        data: data == null && before ? before.data : dataFrom(type, data ?? "", body.tag ?? before?.tag),
        ttlSeconds: ttlFrom(ttl ?? before?.ttlSeconds ?? defaultTtlSeconds),
        ...{ priority: null, port: null, weight: null, flags: null, tag: null },
    };
    const values = Object.fromEntries(
        fieldsOf[type].map((field) => [field, fieldFrom(field, body[field] ?? before?.[field])]),
    );
    Object.assign(record, values);
    if (type === "SOA") record.data = String(record.ttlSeconds);
    refuseBesideCname(domain, record);
    return record;
}

function typeFrom(type: string | undefined, before: DomainRecord | undefined): RecordType {
    const known = (Object.keys(fieldsOf) as RecordType[]).find((one) => one === type);
    if (!known) throw unprocessable(type ? "Type is not included in the list" : "Type can't be blank");
    if (!before && known === "SOA") throw unprocessable("The domain has its SOA record already.");
    if (before && before.type !== known) throw unprocessable("The type of a record can't be changed.");
    return known;
}

/** With the zone's name and a final dot it is a whole name; any other is the zone's, as in a zone file. */
function relative({ name: zone }: Domain, given: string): string {
    if (given === "") throw unprocessable("Name can't be blank");
    const name = given.toLowerCase();
    if (name === "@" || name === `${zone}.`) return "@";
    const own = name.endsWith(`.${zone}.`) ? name.slice(0, -zone.length - 2) : name;
    if (!isName(own) || `${own}.${zone}`.length > 253) {
        throw unprocessable("Only valid hostname characters are allowed. (a-z, A-Z, 0-9, ., _ and -)");
    }
    return own;
}

/** As it is kept: names lose the final dot that requests must have. */
function dataFrom(type: RecordType, data: string, tag: string | null | undefined): string {
    if (data === "") throw unprocessable("Data can't be blank");
    if (type === "A" && !isIPv4(data)) {
        throw unprocessable("IP address did not match IPv4 format (e.g. 127.0.0.1).");
    }
    if (type === "AAAA" && !isIPv6(data)) {
        throw unprocessable("IP address did not match IPv6 format (e.g. 2001:db8::ff00:42:8329).");
    }
    const isTarget = naming.includes(type) || (type === "CAA" && tag !== "iodef");
    if (!isTarget || (data === "@" && type !== "CAA")) return data;
    if (!data.endsWith(".")) throw unprocessable("Data needs to end with a dot (.)");
    const target = data.slice(0, -1).toLowerCase();
    if (!isName(target)) throw unprocessable(`Data ${JSON.stringify(data)} is not a valid hostname`);
    return target;
}

function ttlFrom(seconds: number): number {
    if (seconds === 0) return defaultTtlSeconds; // clients that know no null
    if (seconds < smallestTtlSeconds)
        throw unprocessable(`record ttl must be greater than ${smallestTtlSeconds}`);
    return seconds;
}

function fieldFrom(field: Field, value: number | string | null | undefined): number | string {
    const shown = field.charAt(0).toUpperCase() + field.slice(1);
    if (value == null || value === "") throw unprocessable(`${shown} can't be blank`);
    if (field === "tag" && !caaTags.some((tag) => tag === value)) {
        throw unprocessable("Tag is not included in the list");
    }
    return value;
}

function refuseBesideCname({ records }: Domain, record: DomainRecord): void {
    const others = records.filter(({ id, name }) => id !== record.id && name === record.name);
    if (others.some(({ type }) => type === "CNAME" || record.type === "CNAME")) {
        throw unprocessable("CNAME records cannot share a name with other records");
    }
}
