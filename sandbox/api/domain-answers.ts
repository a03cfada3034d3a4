import { Type } from "@fastify/type-provider-typebox";

import { closed, nullable, Text, Whole } from "./answer-parts.ts";

/** Tags of a CAA record. https://www.rfc-editor.org/rfc/rfc8659#section-4.1 */
export const caaTags = ["issue", "issuewild", "iodef"] as const;

/** A zone. `zone_file` is null in the answer to its creation. */
export const Domain = closed({ name: Text, ttl: nullable(Whole), zone_file: nullable(Text) });

/** What does not apply to a record's type is null. */
export const DomainRecord = closed({
    id: Whole,
    type: Type.Enum(["A", "AAAA", "CAA", "CNAME", "MX", "NS", "SOA", "SRV", "TXT"]),
    name: Text,
    data: Text,
    priority: nullable(Whole),
    port: nullable(Whole),
    ttl: Type.Integer({ minimum: 30 }),
    weight: nullable(Whole),
    flags: nullable(Type.Integer({ minimum: 0, maximum: 255 })),
    tag: nullable(Type.Enum(caaTags)),
});
