import net from "node:net";

import type { Property } from "../resource.ts";
import { text, type Value } from "../values.ts";

export function lowerCase(text: string): string {
    return text.toLowerCase();
}

export function nonEmpty(value: Value): string | undefined {
    return value === "" || value === 0 ? "expected a value that is not empty or zero" : undefined;
}

export function oneOf(...allowed: string[]): (value: Value) => string | undefined {
    return (value) =>
        typeof value === "string" && allowed.includes(value)
            ? undefined
            : `expected one of ${allowed.join(", ")}, got ${JSON.stringify(value)}`;
}

export function ipv4(value: Value): string | undefined {
    return net.isIPv4(text(value)) ? undefined : `expected an IPv4 address, got ${JSON.stringify(value)}`;
}

export function cidr(value: Value): string | undefined {
    const [address = "", length = "", ...rest] = text(value).split("/");
    const valid =
        net.isIP(address) > 0 && /^\d{1,3}$/.test(length) && Number(length) <= 128 && rest.length === 0;
    return valid
        ? undefined
        : `expected a range in CIDR notation (10.10.10.0/24), got ${JSON.stringify(value)}`;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/tags.go */
export function tagName(value: Value): string | undefined {
    return /^[a-zA-Z0-9:\-_]{1,255}$/.test(text(value))
        ? undefined
        : `tags may contain letters, numbers, colons, dashes, and underscores, at most 255, got ${JSON.stringify(value)}`;
}

export const TAGS: Property = {
    type: "set",
    items: "string",
    validate: (value) =>
        strings(value)
            .map(tagName)
            .find((reason) => reason !== undefined),
};

export function strings(value: Value | undefined): string[] {
    return Array.isArray(value) ? value.map(String) : [];
}

/** Ids are numbers in the API; slugs and fingerprints are not. */
export function numberOrText(value: Value | undefined): number | string {
    const id = text(value);
    return /^\d+$/.test(id) ? Number(id) : id;
}
