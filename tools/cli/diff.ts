import { createTwoFilesPatch } from "diff";
import type { Colors } from "picocolors/types";

/** A unified diff of two texts; empty: they are the same. @param files Named in its first two lines. @default none */
export function unifiedDiff(before: string, after: string, files?: readonly [string, string]): string {
    if (before === after) return "";
    const [from, to] = files ?? ["", ""];
    const patch = createTwoFilesPatch(from, to, before, after, undefined, undefined, { context: 2 });
    return files ? patch.replace(/^=+\n/, "") : patch.slice(patch.indexOf("@@"));
}

export function paintDiffLine(line: string, { green, red, dim }: Colors): string {
    if (line.startsWith("+")) return green(line);
    if (line.startsWith("-")) return red(line);
    return line.startsWith("@@") ? dim(line) : line;
}
