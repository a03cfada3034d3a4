/** The longest comment on GitHub, in characters. https://github.com/orgs/community/discussions/27190 */
export const maxCommentLength = 65_536;

/** The first so many characters, to the end of a line, and a last line that says so. */
export function cut(text: string, most: number): string {
    const note = "\n… cut off here: a comment holds no more";
    if (text.length <= most) return text;
    const end = text.lastIndexOf("\n", most - note.length);
    return text.slice(0, end > 0 ? end : most - note.length) + note;
}

/** In a table or a sentence: nothing in it is markup, and nobody is mentioned. */
export function escape(text: string): string {
    return text
        .replace(/[\\`*_[\]|~#]/g, "\\$&")
        .replace(/&/g, "&amp;")
        .replace(/</g, "&lt;")
        .replace(/@/g, "@\u200b");
}

/** A block that nothing in it can end. https://spec.commonmark.org/0.31.2/#fenced-code-blocks */
export function fence(text: string, language: string): string {
    // Nobody means more of them, and the fence must not be longer than the text.
    const body = text.replace(/`{20,}/g, "`".repeat(20)).trimEnd();
    const longest = [...body.matchAll(/`+/g)].reduce((most, [run]) => Math.max(most, run.length), 2);
    const ticks = "`".repeat(longest + 1);
    return `${ticks}${language}\n${body}\n${ticks}`;
}
