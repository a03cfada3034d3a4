/**
 * One form for what two engines, or two runs of one, write differently: of all that this program makes, lists are sets
 * to the provider, which keeps them in an order of its own; and it may say "none" by `null`, `""`, an empty list or
 * nothing. Two values are the same to it if their canonical forms are equal.
 */
export function canonical(value: unknown): unknown {
    if (Array.isArray(value)) {
        const items = value.map(canonical).filter((item) => !isNone(item));
        return items.toSorted((a, b) => compareTexts(JSON.stringify(a), JSON.stringify(b)));
    }
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).map(([key, part]) => [key, canonical(part)] as const);
    const some = entries.filter(([, part]) => !isNone(part));
    return Object.fromEntries(some.toSorted(([a], [b]) => compareTexts(a, b)));
}

function isNone(value: unknown): boolean {
    return (
        value === undefined || value === null || value === "" || (Array.isArray(value) && value.length === 0)
    );
}

/** Order of texts for people: `web-2` before `web-10`. */
export const { compare: compareTexts } = new Intl.Collator("en", { numeric: true });
