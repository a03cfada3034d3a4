import { isIpv4Range } from "./ipv4-ranges";

/** Turns a config value as the engine hands it over into ours. Throws what completes "'key' should be …". */
export type Rule<T> = (raw: string) => T;

/** What is wrong with the parts of one value: each a whole sentence, which nothing completes. */
export class Mistakes extends Error {
    constructor(readonly problems: readonly string[]) {
        super(problems.join("\n"));
    }
}

/** A whole number within these bounds. */
export function wholeNumber(min: number, max: number): Rule<number> {
    return (raw) => {
        const value = Number(raw);
        if (!/^\d+$/.test(raw) || value < min || value > max)
            throw new Error(`a whole number from ${min} to ${max}`);
        return value;
    };
}

/** A text of this form, described as what it should be. */
export function matching(pattern: RegExp, description: string): Rule<string> {
    return (raw) => {
        if (!pattern.test(raw)) throw new Error(description);
        return raw;
    };
}

/** An e-mail address, plain and simple. */
export const emailForm = /^[\w.+-]+@[a-z\d-]+(\.[a-z\d-]+)+$/i;

/** A tag of the account. https://docs.digitalocean.com/reference/api/reference/tags/ */
export const tagForm = /^[\w:-]{1,255}$/;

/** `true` or `false`. */
export function yesOrNo(raw: string): boolean {
    if (raw !== "true" && raw !== "false") throw new Error("true or false");
    return raw === "true";
}

/**
 * A list of what fits.
 *
 * @param isRight Whether all of it is right together. @default it is
 */
export function listOf<T>(
    fits: (value: unknown) => value is T,
    description: string,
    isRight: (list: readonly T[]) => boolean = () => true,
): Rule<T[]> {
    return (raw) => {
        const list = fromJson(raw);
        if (!Array.isArray(list) || !list.every(fits) || !isRight(list)) throw new Error(description);
        return list;
    };
}

/** A list of what can be read; the error names every entry that can't be. */
export function entriesOf<T>(read: (value: unknown) => T | undefined, description: string): Rule<T[]> {
    return (raw) => {
        const list = fromJson(raw);
        if (!Array.isArray(list)) throw new Error(description);
        const wrong = list.filter((value) => read(value) === undefined);
        if (wrong.length > 0)
            throw new Error(
                `${description} (wrong: ${wrong.map((value) => JSON.stringify(value)).join(", ")})`,
            );
        return list.flatMap((value) => read(value) ?? []);
    };
}

/** A list of slots. */
export const slotNumbers = listOf(
    (slot): slot is number => Number.isInteger(slot) && Number(slot) >= 0 && Number(slot) <= 9999,
    "a list of slot numbers from 0 to 9999, such as [1]",
);

/** From where SSH is allowed: at least one IPv4 range. */
export const adminRanges = listOf(
    isIpv4Range,
    "a list of at least one IPv4 range, from which SSH to the load balancer is allowed " +
        "(set it: pulumi config set --path 'adminCidrs[0]' ADDRESS/32, with the address that this machine " +
        "has on the Internet)",
    (list) => list.length > 0,
);

/** What a text in JSON stands for; `undefined` for any other text. */
export function fromJson(raw: string): unknown {
    try {
        return JSON.parse(raw);
    } catch {
        return undefined;
    }
}
