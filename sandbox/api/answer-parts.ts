import { Type } from "@fastify/type-provider-typebox";
import type { TProperties, TSchema } from "typebox";

// What schemas of answers are made of (answers.ts).

/** An answer with more in it than is documented is as wrong as one with less. */
export const closed = <P extends TProperties>(properties: P) =>
    Type.Object(properties, { additionalProperties: false });
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const Text = Type.String();
export const Texts = Type.Array(Text);
export const Whole = Type.Integer();
export const Flag = Type.Boolean();
export const Time = Type.String({ format: "date-time" });
export const Uuid = Type.String({ format: "uuid" });
export const Ipv4 = Type.String({ format: "ipv4" });
export const TagName = Type.String({ pattern: "^[a-zA-Z0-9_:-]{1,255}$" });
export const Tags = Type.Array(TagName);
export const Disks = Type.Array(
    closed({ type: Type.Literal("local"), size: closed({ amount: Whole, unit: Type.Literal("gib") }) }),
);

export const one = (key: string, thing: TSchema): TSchema => closed({ [key]: thing });
const Pages = closed({
    first: Type.Optional(Text),
    prev: Type.Optional(Text),
    next: Type.Optional(Text),
    last: Type.Optional(Text),
});
export const page = (key: string, thing: TSchema): { key: string; schema: TSchema } => ({
    key,
    schema: closed({
        [key]: Type.Array(thing),
        links: closed({ pages: Type.Optional(Pages) }),
        meta: closed({ total: Whole }),
    }),
});
