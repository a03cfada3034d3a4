import { createTwoFilesPatch } from "diff";

/** What differs between two texts, as a unified diff without the lines that name files; empty: nothing. */
export function unifiedDiff(before: string, after: string): string {
    if (before === after) return "";
    const patch = createTwoFilesPatch("", "", before, after, "", "", { context: 2 });
    return patch.slice(patch.indexOf("@@"));
}

/** Of user data the engine knows a hash before and the whole text after, and shows both for each droplet. */
const wholeUserData = /^( +)~ userData: *\n\1 {4}- [0-9a-f]{40}\n(?:\1 {4}\+(?: .*)?\n)+/gm;

/**
 * What `pulumi preview --diff` prints, without what tells a reviewer nothing: its greeting, the provider of each
 * resource (one that changes is shown in another form), and user data, which {@link unifiedDiff} shows better.
 */
export function readableEngineDiff(text: string): string {
    return text
        .replace(/^@ previewing update\.*\n/gm, "")
        .replace(/^ +\[provider=.*\]\n/gm, "")
        .replace(wholeUserData, "$1~ userData: (another one: its diff stands by itself)\n");
}
