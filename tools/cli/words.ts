/** Words and figures for a sentence, the same in every form of the plan. */

/** At most `most` of them, and how many more there are. */
export function some(words: readonly string[], most: number, separator = " "): string {
    const rest = words.length > most ? ` and ${words.length - most} more` : "";
    return `${words.slice(0, most).join(separator)}${rest}`;
}

/** `1 server`, `2 servers`. */
export function count(number: number, thing: string): string {
    return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/** Begins with a capital, unless the first word is a name: `web-2`, `haproxy.cfg`. */
export const capital = (text: string): string =>
    /^\S*[-.\d]/.test(text) ? text : text.slice(0, 1).toUpperCase() + text.slice(1);

/** `3`, or `3 → 5`. */
export function arrow<T>(before: T, after: T, show: (value: T) => string = String): string {
    return before === after ? show(after) : `${show(before)} → ${show(after)}`;
}

/** `$24`, `$7.50`; `?` where it is not known. */
export function dollars(amount: number | null): string {
    if (amount === null) return "$?";
    return `$${Number.isInteger(amount) ? amount : amount.toFixed(2)}`;
}

/** `+$12`, `-$6`, `±$0`. */
export function costDifference(amount: number | null): string {
    if (amount === null) return "?";
    return `${amount > 0 ? "+" : amount < 0 ? "-" : "±"}${dollars(Math.abs(amount))}`;
}

/** `42 s`, `2 min 5 s`. */
export function duration(seconds: number): string {
    return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** How long ago a time in milliseconds was, as {@link duration}. */
export const timeSince = (startMs: number): string => duration(Math.round((Date.now() - startMs) / 1000));

/** An estimate, rounded: `20 s`, `1 min`, `2 min`. */
function roughly(seconds: number): string {
    return seconds < 90 ? `${Math.ceil(seconds / 10) * 10} s` : `${Math.round(seconds / 60)} min`;
}

/** `about 1 to 4 min`, `about 20 to 50 s`, `about 40 s to 3 min`. */
export function about({ from, to }: { from: number; to: number }): string {
    const [low, high] = [roughly(from), roughly(to)];
    const unit = / \w+$/.exec(high)?.[0] ?? "";
    if (low === high) return `about ${high}`;
    return `about ${low.endsWith(unit) ? low.slice(0, -unit.length) : low} to ${high}`;
}

/** A text of somebody else's in one line: nothing in it moves the cursor or changes colours. */
// oxlint-disable-next-line no-control-regex -- these are what it is about
export const plain = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ").trim();

/** Order of texts for people: `web-2` before `web-10`. */
export const { compare: compareTexts } = new Intl.Collator("en", { numeric: true });
