import { fromJson } from "./config-rules";
import { suggestion } from "./nearest";

/** For keys of the config that are objects: what their parts may be. Each function adds what is wrong to `problems`. */

export interface NumberRule {
    from: number;
    to: number;
    isWhole: boolean;
    /** Without one the key must be set. */
    default?: number;
    /** Follows "got nothing". */
    meaning?: string;
    /** For the command that fixes it. @default the key's own default, or the least */
    example?: number;
}

/** What such rules read. */
export type Numbers<Rules> = { [Key in keyof Rules]: number };

/** A whole number within these bounds. */
export const whole = (from: number, to: number) => ({ from, to, isWhole: true });
/** Any number within these bounds. */
export const share = (from: number, to: number) => ({ from, to, isWhole: false });

/**
 * The numbers of an object, by key.
 *
 * @param path Of the object in the config, such as `autoscale.heal`.
 */
export function readNumbers<K extends string>(
    path: string,
    given: Readonly<Record<string, unknown>>,
    rules: Readonly<Record<K, NumberRule>>,
    problems: string[],
): Partial<Record<K, number>> {
    const found: Partial<Record<K, number>> = {};
    for (const [key, rule] of Object.entries<NumberRule>(rules)) {
        const { from, to, isWhole, meaning = "" } = rule;
        const value = numberOf(given[key] ?? rule.default, isWhole);
        if (value !== undefined && value >= from && value <= to) {
            found[key as K] = value;
            continue;
        }
        const why = given[key] === undefined ? `: ${meaning}` : "";
        problems.push(
            `'${path}.${key}' should be a ${isWhole ? "whole number" : "number"} from ${from} to ${to}, got ${show(given[key])}${why}; ` +
                `pulumi config set --path '${path}.${key}' ${rule.example ?? rule.default ?? from}`,
        );
    }
    return found;
}

/** `pulumi config set --path autoscale.target 0.6` writes a text: of numbers it knows whole ones alone. */
function numberOf(value: unknown, isWhole: boolean): number | undefined {
    const form = isWhole ? /^(0|[1-9]\d*)$/ : /^(0|[1-9]\d*)(\.\d+)?$/;
    const text = typeof value === "number" ? String(value) : value;
    return typeof text === "string" && form.test(text) ? Number(text) : undefined;
}

/** `true` or `false`, also as a text. */
export function readBoolean(path: string, value: unknown, problems: string[]): boolean {
    const text = String(value);
    if (text === "true" || text === "false") return text === "true";
    problems.push(
        `'${path}' should be true or false, got ${show(value)}; pulumi config set --path ${path} true`,
    );
    return false;
}

/** A sentence for each key that there is not. */
export function unknownKeys(path: string, given: object, keys: readonly string[]): string[] {
    return Object.keys(given)
        .filter((key) => !keys.includes(key))
        .map((key) => {
            const likely = suggestion(key, keys);
            const advice = likely ? `did you mean '${path}.${likely}'?` : `the keys are ${keys.join(", ")}`;
            return `'${path}.${key}' is no key of this program; ${advice} pulumi config rm --path '${path}.${key}'`;
        });
}

/** A value for a sentence. */
export const show = (value: unknown): string => (value === undefined ? "nothing" : JSON.stringify(value));

/** Whether it has keys. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);

/** An object in JSON, `{}` for nothing; `undefined` for anything else. */
export function jsonObject(raw: string): Record<string, unknown> | undefined {
    const value = raw === "" ? {} : fromJson(raw);
    return isObject(value) ? value : undefined;
}
