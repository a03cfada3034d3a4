import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { isCollection, parseDocument } from "yaml";
import { type PoolChanges, poolChanges } from "./batches";
import { readPreviewDocument } from "../pulumi/preview";
import { projectName, readProjectFile } from "../pulumi/stack";

/** Pulumi.<stack>.yaml in the current folder, and what the program would do with it. */
export class StackConfig {
    readonly file: string;
    private readonly stack: string;
    private readonly project: string;

    /** @param stack With an organization before it or without. */
    constructor(stack: string) {
        this.stack = stack;
        this.file = `Pulumi.${path.basename(stack)}.yaml`;
        this.project = projectName();
    }

    /** @throws Error if there is no such file, or its `hold` is no list of slots. */
    readHold(): number[] {
        const text = readProjectFile(this.file);
        try {
            return readHold(text, this.project);
        } catch (error) {
            throw new Error(`${this.file}: ${(error as Error).message}`, { cause: error });
        }
    }

    /** Changes nothing else in the file. An interruption leaves the old text or the new one, never a part. */
    writeHold(hold: readonly number[]): void {
        const text = readProjectFile(this.file);
        const next = withHold(text, this.project, hold);
        if (next === text) return;
        writeFileSync(`${this.file}.new`, next);
        renameSync(`${this.file}.new`, this.file);
    }

    /** What `pulumi up` would do with another `hold`. The file stays as it is. */
    async preview(hold: readonly number[]): Promise<PoolChanges> {
        return this.with(hold, async (flags) => {
            const document = await readPreviewDocument(["--stack", this.stack, ...flags]);
            if (document.errors.length > 0) throw new Error(document.errors.join("\n"));
            return poolChanges(document);
        });
    }

    /** Runs something with the options with which `pulumi` reads another `hold`. The file stays as it is. */
    async with<T>(hold: readonly number[], run: (flags: readonly string[]) => Promise<T>): Promise<T> {
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-rollout-"));
        try {
            const file = path.join(folder, this.file);
            writeFileSync(file, withHold(readProjectFile(this.file), this.project, hold), { mode: 0o600 });
            return await run(["--config-file", file]);
        } finally {
            rmSync(folder, { recursive: true });
        }
    }
}

/** `hold` in the text of a stack's config. @throws Error if it is no list of slot numbers. */
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

/** The text with another `hold`, on one line; an empty one is no line. All else stays, comments and order too. */
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
