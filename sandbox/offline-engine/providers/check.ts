import { createHash, randomBytes } from "node:crypto";

import type { Property, PropertyType, Resource } from "./resource.ts";
import { markProperty } from "./state.ts";
import {
    containsSecret,
    containsUnknown,
    insideSecret,
    isRecord,
    isSecret,
    reveal,
    UNKNOWN,
    type Properties,
    type Value,
} from "./values.ts";

export interface CheckRequest {
    /** Logical name of the resource. */
    name: string;
    /** The inputs as they were checked last time; empty for a new resource. */
    olds: Properties;
    news: Properties;
    /** The engine's seed, so that an update makes the names that its preview showed; empty: random. */
    randomSeed: Uint8Array;
}

/**
 * Validates what the program gave and fills in defaults. `__defaults` in the result names the inputs that the
 * program did not give, so that a generated name is told from a chosen one and kept for the resource's life. Plugins
 * that are no bridge from Terraform have none, and refuse an input of that name.
 * https://github.com/pulumi/pulumi-terraform-bridge/blob/main/pkg/tfbridge/schema.go
 */
export function check(
    resource: Resource,
    request: CheckRequest,
): { inputs: Properties; failures: { property: string; reason: string }[] } {
    const failures = Object.keys(request.news)
        .filter((key) => !key.startsWith("__") && !(key in resource.inputs))
        .map((property) => ({ property, reason: unknownReason(property, resource) }));
    const inputs: Properties = {};
    const defaults: string[] = [];
    for (const [name, property] of Object.entries(resource.inputs)) {
        const given = request.news[name] ?? undefined;
        if (given !== undefined) {
            const value = insideSecret(given, (plain) => convert(plain, property.type, property.items));
            inputs[name] = markProperty(property, resource.bridge ? withDefaults(value) : value);
            const found = problem(property, reveal(value));
            const reason =
                found !== undefined && containsSecret(value) ? "not valid (its value is secret)" : found;
            if (reason !== undefined)
                failures.push({ property: name, reason: `${reason}, for ${request.name}.${name}` });
            continue;
        }
        const value = defaultValue(name, property, request);
        if (value !== undefined) {
            inputs[name] = value;
            defaults.push(name);
        } else if (property.required) {
            failures.push({
                property: name,
                reason: `missing required property, for ${request.name}.${name}`,
            });
        }
    }
    return { inputs: { ...inputs, ...(resource.bridge && { __defaults: defaults }) }, failures };
}

/** Each object in a list says of itself that none of its parts is a default. */
function withDefaults(value: Value): Value {
    if (!Array.isArray(value)) return value;
    return value.map((item) => (isRecord(item) && !isSecret(item) ? { ...item, __defaults: [] } : item));
}

function unknownReason(name: string, resource: Resource): string {
    return `unknown property ${JSON.stringify(name)}; known are ${Object.keys(resource.inputs).join(", ")}`;
}

function defaultValue(name: string, property: Property, request: CheckRequest): Value | undefined {
    const kept = Array.isArray(request.olds.__defaults) && request.olds.__defaults.includes(name);
    if (kept && request.olds[name] !== undefined) return request.olds[name];
    return property.autoName ? autoName(request.name, request.randomSeed) : property.default;
}

function autoName(logicalName: string, seed: Uint8Array): string {
    const random =
        seed.length > 0 ? createHash("sha256").update(seed).update(logicalName).digest() : randomBytes(4);
    return `${logicalName.slice(0, 247)}-${random.toString("hex").slice(0, 7)}`;
}

/** Strings, numbers and booleans are taken for one another, as Terraform's SDK does ("22" for a port, 7 for an id). */
function convert(value: Value, type: PropertyType, items: PropertyType = "any"): Value {
    if (value === UNKNOWN) return value;
    if (Array.isArray(value))
        return value.filter((item) => item !== null).map((item) => convert(item, items));
    if (type === "string" && (typeof value === "number" || typeof value === "boolean")) return String(value);
    if (typeof value !== "string") return value;
    if ((type === "integer" || type === "number") && value.trim() !== "" && !Number.isNaN(Number(value))) {
        return Number(value);
    }
    return type === "boolean" && (value === "true" || value === "false") ? value === "true" : value;
}

const IS_TYPE: Record<PropertyType, [name: string, test: (value: Value) => boolean]> = {
    string: ["a string", (value) => typeof value === "string"],
    integer: ["a whole number", (value) => Number.isSafeInteger(value)],
    number: ["a number", (value) => typeof value === "number"],
    boolean: ["true or false", (value) => typeof value === "boolean"],
    set: ["a list", Array.isArray],
    list: ["a list", Array.isArray],
    map: ["an object", isRecord],
    any: ["anything", () => true],
};

function problem(property: Property, value: Value): string | undefined {
    if (value === UNKNOWN) return undefined;
    const [expected, test] = IS_TYPE[property.type];
    if (!test(value)) return `expected ${expected}, got ${JSON.stringify(value)}`;
    if (Array.isArray(value)) {
        const [item, itemTest] = IS_TYPE[property.items ?? "any"];
        const wrong = value.find((element) => element !== UNKNOWN && !itemTest(element));
        if (wrong !== undefined) return `expected each element to be ${item}, got ${JSON.stringify(wrong)}`;
    }
    return containsUnknown(value) ? undefined : property.validate?.(value);
}
