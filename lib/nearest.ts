/**
 * How far a word is from another: letters to type, drop or change.
 * https://en.wikipedia.org/wiki/Levenshtein_distance
 */
export function editDistance(from: string, to: string): number {
    let row = Array.from({ length: to.length + 1 }, (_, column) => column);
    for (const [line, letter] of Array.from(from).entries()) {
        const next = [line + 1];
        for (const [column, other] of Array.from(to).entries()) {
            const changed = (row[column] ?? 0) + (letter === other ? 0 : 1);
            next.push(Math.min(changed, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
        }
        row = next;
    }
    return row[to.length] ?? 0;
}

/** The word that somebody likely wanted to write: at most a third of its letters are wrong. */
export function suggestion(word: string, words: readonly string[]): string | undefined {
    const [likest] = words
        .map((known) => ({ known, distance: editDistance(word, known) }))
        .sort((a, b) => a.distance - b.distance);
    return likest && likest.distance <= Math.ceil(word.length / 3) ? likest.known : undefined;
}
