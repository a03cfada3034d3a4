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

/** `true` or `false`. */
export function yesOrNo(raw: string): boolean {
    if (raw !== "true" && raw !== "false") throw new Error("true or false");
    return raw === "true";
}

/** A list of slots. */
export function slotNumbers(raw: string): number[] {
    const list = jsonList(raw);
    if (
        !list?.every(
            (slot): slot is number => Number.isInteger(slot) && Number(slot) >= 0 && Number(slot) <= 9999,
        )
    ) {
        throw new Error("a list of slot numbers from 0 to 9999, such as [1]");
    }
    return list;
}

/** A list of IPv4 ranges, which may be empty. @param whose Completes "a list of IPv4 ranges". */
export function ipv4Ranges(whose: string): Rule<string[]> {
    return (raw) => {
        const list = jsonList(raw);
        if (!list?.every(isIpv4Range))
            throw new Error(`a list of IPv4 ranges ${whose}, such as ["203.0.113.0/24"]`);
        return list;
    };
}

/** From where SSH is allowed: at least one IPv4 range. */
export function adminRanges(raw: string): string[] {
    const list = jsonList(raw);
    if (!list?.length || !list.every(isIpv4Range)) {
        throw new Error(
            "a list of at least one IPv4 range, from which SSH to the load balancer is allowed " +
                "(set it: pulumi config set --path 'adminCidrs[0]' ADDRESS/32, with the address that this machine " +
                "has on the Internet)",
        );
    }
    return list;
}

/** A list in JSON; `undefined` for anything else. */
export function jsonList(raw: string): unknown[] | undefined {
    try {
        const value: unknown = JSON.parse(raw);
        return Array.isArray(value) ? value : undefined;
    } catch {
        return undefined;
    }
}
