import { isCollection, parseDocument } from "yaml";

/**
 * `hold` of a stack's config.
 *
 * @param text Of Pulumi.<stack>.yaml.
 * @param project Its name: the part of each key before the colon.
 * @throws Error if it is no list of slot numbers.
 */
export function readHold(text: string, project: string): number[] {
    const document = parseDocument(text);
    const [problem] = document.errors;
    if (problem) throw new Error(`the stack's config should be YAML: ${problem.message}`);
    const value: unknown = (document.toJS() as { config?: Record<string, unknown> } | null)?.config?.[
        `${project}:hold`
    ];
    const list: unknown = typeof value === "string" ? parseJson(value) : (value ?? []);
    if (!Array.isArray(list) || !list.every((slot) => Number.isInteger(slot) && Number(slot) >= 0))
        throw new Error(`'hold' should be a list of slot numbers such as [1], got ${JSON.stringify(value)}`);
    return list as number[];
}

/** `pulumi config set hold '[1]'` makes a text of it. */
function parseJson(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

/**
 * The text of a stack's config with another `hold`, on one line; an empty one is no line. All else stays, comments
 * and order too.
 *
 * @param text Of Pulumi.<stack>.yaml.
 * @param project Its name.
 */
export function withHold(text: string, project: string, hold: readonly number[]): string {
    const document = parseDocument(text);
    const path = ["config", `${project}:hold`];
    if (hold.length === 0) {
        document.deleteIn(path);
    } else {
        const list = document.createNode(hold, { flow: true });
        const old = document.getIn(path, true);
        if (isCollection(old) && old.flow) list.comment = old.comment;
        document.setIn(path, list);
    }
    return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
