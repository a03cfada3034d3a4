import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Instance } from "../instance.ts";
import type { Receivers } from "./alert-answers.ts";
import type { ApiError } from "./errors.ts";

/** The one that is verified in the account; nothing is ever sent to it. */
export const accountEmail = ({ name }: Instance): string => `${name}@sandbox.invalid`;

/** Clients that know no empty list send null. */
export const listOf = <T>(items: object) =>
    Type.Optional(Type.Unsafe<T[] | null>({ type: ["array", "null"], items }));

/** Whom an alert is to tell, in a request. */
export const ReceiversBody = Type.Object({
    email: listOf<string>(Type.String()),
    slack: listOf<{ channel: string; url: string }>(
        Type.Object({ channel: Type.String(), url: Type.String() }),
    ),
});

/**
 * Whom a request names; `refuse` makes the error of what is wrong, which is worded as the real service's for uptime alerts:
 * https://github.com/digitalocean/openapi/pull/830
 */
export function receiversFrom(
    instance: Instance,
    field: string,
    { email, slack }: Static<typeof ReceiversBody>,
    refuse: (field: string, why: string) => ApiError,
): Static<typeof Receivers> {
    const emails = email ?? [];
    const slacks = slack ?? [];
    const [stranger, index] = [...emails.entries()]
        .map(([i, one]) => [one, i] as const)
        .find(([one]) => one !== accountEmail(instance)) ?? [undefined, 0];
    if (stranger !== undefined) throw refuse(`${field}.email[${index}]`, `invalid email '${stranger}'`);
    const wrong = slacks.findIndex(({ url, channel }) => !/^https:\/\/\S+$/.test(url) || channel === "");
    // The URL is a secret: it is not repeated.
    if (wrong >= 0) throw refuse(`${field}.slack[${wrong}]`, "invalid channel or url");
    if (emails.length + slacks.length === 0) throw refuse(field, "nobody is told");
    return { email: emails, slack: slacks.map(({ channel, url }) => ({ channel, url })) };
}
