// Forms that values of a parsed YAML file may have, and what is wrong with one that has another.
import type { Path } from "./read-yaml";
import { PlainNumber } from "./yaml-scalars";

/** Takes what is wrong at a place. */
export interface Report {
    wrong: (at: Path, should: string, value: unknown) => void;
    unknown: (at: Path, key: string, known: readonly string[]) => void;
}

/** What a value may be; `is` completes "should be …". */
export interface Form {
    is: string;
    kind?: "list" | "map";
    check: (value: unknown, at: Path, report: Report) => void;
}

/** A value that `fits`. */
export const scalar = (is: string, fits: (value: unknown) => boolean): Form => ({
    is,
    check: (value, at, { wrong }) => {
        if (!fits(value)) wrong(at, is, value);
    },
});
export const anything = scalar("anything", () => true);
/** Bytes are text, too, as for cloud-init. */
export const text = scalar("text", (value) => typeof value === "string" || value instanceof Uint8Array);
export const nothing = scalar("empty", (value) => value === null);
/** One of these. */
export const word = (...words: string[]) =>
    scalar(`one of ${words.join(", ")}`, (value) => (words as unknown[]).includes(value));

/** A list of such items. */
export const list = (item: Form): Form => ({
    is: item === text ? "a list of texts" : "a list",
    kind: "list",
    check(value, at, report) {
        if (Array.isArray(value)) for (const [i, one] of value.entries()) item.check(one, [...at, i], report);
        else report.wrong(at, this.is, value);
    },
});

/**
 * A map.
 *
 * @param required Keys that it must have.
 */
export const map = (keys: Readonly<Record<string, Form>>, required: readonly string[] = []): Form => ({
    is: "a map",
    kind: "map",
    check(value, at, report) {
        if (kindOf(value) !== "map") {
            report.wrong(at, this.is, value);
            return;
        }
        const fields = value as Record<string, unknown>;
        for (const [key, field] of Object.entries(fields)) {
            if (Object.hasOwn(keys, key)) keys[key]?.check(field, [...at, key], report);
            else report.unknown([...at, key], key, Object.keys(keys));
        }
        for (const key of required.filter((name) => !Object.hasOwn(fields, name)))
            report.wrong(at, `a map with '${key}'`, value);
    },
});

/** What fits one of the forms. */
export const either = (...forms: Form[]): Form => ({
    is: forms.map(({ is }) => is).join(" or "),
    check(value, at, report) {
        const fits = (form: Form) => {
            let fit = true;
            const none = () => (fit = false);
            form.check(value, at, { wrong: none, unknown: () => undefined });
            return fit;
        };
        // Of one form that is a list, too, the list's own error says more.
        const alike = forms.filter(({ kind }) => kind !== undefined && kind === kindOf(value));
        const form = forms.find(fits) ?? (alike.length === 1 ? alike[0] : undefined);
        if (form) form.check(value, at, report);
        else report.wrong(at, this.is, value);
    },
});

/** What a value is, as far as a form cares. */
export function kindOf(value: unknown): "list" | "map" | "scalar" | "none" {
    if (Array.isArray(value)) return "list";
    if (value === null || value === undefined) return "none";
    if (value instanceof PlainNumber || value instanceof Uint8Array) return "scalar";
    return typeof value === "object" ? "map" : "scalar";
}
