import type { Property } from "../resource.ts";
import { text, type Value } from "../values.ts";

export function lowerCase(text: string): string {
    return text.toLowerCase();
}

export function nonEmpty(value: Value): string | undefined {
    return value === "" || value === 0 ? "expected a value that is not empty or zero" : undefined;
}

/** https://github.com/digitalocean/terraform-provider-digitalocean/blob/v2.87.0/digitalocean/tag/tags.go */
export function tagName(value: Value): string | undefined {
    return /^[a-zA-Z0-9:\-_]{1,255}$/.test(text(value))
        ? undefined
        : `tags may contain letters, numbers, colons, dashes, and underscores, at most 255, got ${JSON.stringify(value)}`;
}

export const TAGS: Property = { type: "set", items: "string" };

export function strings(value: Value | undefined): string[] {
    return Array.isArray(value) ? value.map(String) : [];
}

/** Ids are numbers in the API; slugs and fingerprints are not. */
export function numberOrText(value: Value | undefined): number | string {
    const id = text(value);
    return /^\d+$/.test(id) ? Number(id) : id;
}
