import { isDeepStrictEqual } from "node:util";

import type { Property, Resource } from "./resource.ts";
import { containsSecret, isEmpty, isRecord, reveal, UNKNOWN, type Properties, type Value } from "./values.ts";

export type Change = "add" | "delete" | "update";

export interface Difference {
    /** `size`, `tags[1]`, `inboundRules[0].portRange`: the form of the engine's property paths. */
    path: string;
    change: Change;
    replace: boolean;
}

export interface Diff {
    differences: Difference[];
    deleteBeforeReplace: boolean;
}

/**
 * Compares the state (`olds`) with the checked inputs of the program (`news`), in which the engine has put back what
 * `ignoreChanges` names.
 */
export function diff(resource: Resource, olds: Properties, news: Properties): Diff {
    const differences = Object.entries(resource.inputs)
        .flatMap(([name, property]) => propertyDifferences(name, property, olds[name], news[name]))
        .map((difference) => (resource.update ? difference : { ...difference, replace: true }));
    const replaces = differences.some(({ replace }) => replace);
    return { differences, deleteBeforeReplace: replaces && hasExplicitName(resource, news) };
}

/**
 * A second resource of the same name may be refused, so the old one goes first; not so for a generated name.
 * https://github.com/pulumi/pulumi-terraform-bridge/blob/main/pkg/tfbridge/schema.go (nameRequiresDeleteBeforeReplace)
 */
function hasExplicitName(resource: Resource, news: Properties): boolean {
    const defaults = news.__defaults;
    if (!Array.isArray(defaults)) return false;
    return Object.entries(resource.inputs).some(
        ([name, { autoName }]) => autoName && news[name] !== undefined && !defaults.includes(name),
    );
}

function propertyDifferences(
    name: string,
    property: Property,
    rawOld: Value | undefined,
    rawNext: Value | undefined,
): Difference[] {
    const old = (rawOld === undefined ? undefined : reveal(rawOld)) ?? property.absent;
    const next = storedValue(property, rawNext);
    if (property.computed && isEmpty(next)) return [];
    // What it will be is not to be known either way.
    if (property.secret && next === UNKNOWN) return [];
    const found = compare(name, old, next, property.type === "set");
    const replace = property.forceNew ?? false;
    // A path into a secret would show its parts.
    const hidden = property.secret === true || containsSecret(rawOld) || containsSecret(rawNext);
    const shown = hidden && found.length > 0 ? [{ path: name, change: changeOf(old, next) }] : found;
    return shown.map((difference) => ({ ...difference, replace }));
}

/** Whether two values of the state are one and the same to the service. */
export function isSame(property: Property, one: Value | undefined, other: Value | undefined): boolean {
    return compare("", one, other, property.type === "set").length === 0;
}

/** The form in which an input stands in the state. */
export function storedValue(property: Property, value: Value | undefined): Value | undefined {
    const plain = value === undefined ? property.absent : reveal(value);
    return property.stored && typeof plain === "string" && plain !== UNKNOWN ? property.stored(plain) : plain;
}

function changeOf(old: Value | undefined, next: Value | undefined): Change {
    if (isEmpty(old)) return "add";
    return isEmpty(next) ? "delete" : "update";
}

type Found = Omit<Difference, "replace">[];

/** `sets`: arrays at or below this value have no order. */
function compare(path: string, old: Value | undefined, next: Value | undefined, sets: boolean): Found {
    if (isEmpty(old) && isEmpty(next)) return [];
    if (isEmpty(old) || isEmpty(next)) return [{ path, change: changeOf(old, next) }];
    if (Array.isArray(old) && Array.isArray(next)) {
        const [olds, nexts] = sets ? unmatched(old, next) : [Object.entries(old), Object.entries(next)];
        return compareKeys(path, new Map(olds), new Map(nexts), (key) => `[${key}]`, sets);
    }
    if (isRecord(old) && isRecord(next)) {
        return compareKeys(
            path,
            new Map(Object.entries(old)),
            new Map(Object.entries(next)),
            pathOfKey,
            sets,
        );
    }
    return isDeepStrictEqual(old, next) ? [] : [{ path, change: "update" }];
}

type Entries = Map<string, Value>;

function compareKeys(
    path: string,
    olds: Entries,
    nexts: Entries,
    step: (key: string) => string,
    sets: boolean,
): Found {
    // `__defaults` stands in inputs only.
    const keys = [...new Set([...olds.keys(), ...nexts.keys()])].filter((key) => !key.startsWith("__"));
    return keys.flatMap((key) => compare(path + step(key), olds.get(key), nexts.get(key), sets));
}

function pathOfKey(key: string): string {
    return /^[\w-]+$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

/** What is left of two sets, by index, without the elements that both have. */
function unmatched(olds: Value[], nexts: Value[]): [[string, Value][], [string, Value][]] {
    const without = (these: Value[], others: Value[]): [string, Value][] =>
        Object.entries(these).filter(
            ([, item]) => !others.some((other) => compare("", item, other, true).length === 0),
        );
    return [without(olds, nexts), without(nexts, olds)];
}
