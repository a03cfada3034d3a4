import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { isCollection, parseDocument } from "yaml";
import { type AutoscaleSettings, readAutoscale } from "../../lib/autoscale-settings";
import { projectName, readProjectFile } from "./stack";

/** Values by key, without the project's name before it. An empty list takes the key out. */
export type ConfigChanges = Readonly<Record<string, string | number | readonly number[] | undefined>>;

/** By key, without the project's name before it. */
type ConfigValues = Readonly<Record<string, unknown>>;

/** Pulumi.<stack>.yaml in the current folder, for commands that change it. */
export class StackConfig {
    readonly file: string;
    private readonly project: string;

    /** @param stack With an organization before it or without. */
    constructor(stack: string) {
        this.file = `Pulumi.${path.basename(stack)}.yaml`;
        this.project = projectName();
    }

    /**
     * All keys, as the file has them, or else Pulumi.yaml's defaults. Both files are read anew each time: who needs several
     * keys asks once.
     *
     * @throws Error if there is no such file, or it is no YAML.
     */
    readAll(): ConfigValues {
        const prefix = `${this.project}:`;
        const { config: declared = {} } = parse(readProjectFile("Pulumi.yaml"), "Pulumi.yaml") as {
            config?: Record<string, { default?: unknown }>;
        };
        const defaults = Object.entries(declared).map(([name, key]) => [name, key.default] as const);
        const given = Object.entries(configIn(readProjectFile(this.file), this.file));
        const own = [...defaults, ...given].filter(([name]) => name.startsWith(prefix));
        return Object.fromEntries(own.map(([name, value]) => [name.slice(prefix.length), value]));
    }

    /** One of them. @throws as {@link readAll} */
    read(key: string): unknown {
        return this.readAll()[key];
    }

    /** A list of slots. @throws Error if it is none, and as {@link readAll} */
    readSlots(key: "hold" | "retired", values: ConfigValues = this.readAll()): number[] {
        const value = values[key];
        // `pulumi config set hold '[1]'` makes a text of a list.
        const list: unknown = typeof value === "string" ? parseJson(value) : (value ?? []);
        if (!Array.isArray(list) || !list.every((slot) => Number.isInteger(slot) && Number(slot) >= 0))
            throw new Error(
                `${this.file}: '${key}' should be a list of slot numbers such as [1], got ${JSON.stringify(value)}`,
            );
        return list as number[];
    }

    /** `undefined` where it is off. @throws Mistakes with all that is wrong in it, and as {@link readAll} */
    readAutoscale(values: ConfigValues = this.readAll()): AutoscaleSettings | undefined {
        const given = values.autoscale ?? {};
        return readAutoscale(typeof given === "string" ? given : JSON.stringify(given));
    }

    /** Changes nothing else in the file. An interruption leaves the old text or the new one, never a part. */
    write(changes: ConfigChanges): void {
        const text = readProjectFile(this.file);
        const next = this.textWith(text, changes);
        if (next === text) return;
        writeFileSync(`${this.file}.new`, next);
        renameSync(`${this.file}.new`, this.file);
    }

    /** What {@link write} makes of a text of this file: each value on one line, and all else as it was, comments too. */
    textWith(text: string, changes: ConfigChanges): string {
        const document = parseDocument(text);
        for (const [key, value] of Object.entries(changes)) {
            if (value === undefined) continue;
            const path = ["config", `${this.project}:${key}`];
            const old = document.getIn(path, true);
            if (Array.isArray(value) && value.length === 0) {
                document.deleteIn(path);
            } else if (Array.isArray(value)) {
                const list = document.createNode(value, { flow: true });
                if (isCollection(old) && old.flow) list.comment = old.comment;
                document.setIn(path, list);
            } else {
                // An existing scalar keeps its comment.
                document.setIn(path, value);
            }
        }
        return document.toString({ lineWidth: 0, flowCollectionPadding: false });
    }

    /** Runs something with the options with which `pulumi` reads the config so changed. The file stays as it is. */
    async with<T>(changes: ConfigChanges, run: (flags: readonly string[]) => Promise<T>): Promise<T> {
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-config-"));
        try {
            const file = path.join(folder, this.file);
            const text = this.textWith(readProjectFile(this.file), changes);
            writeFileSync(file, text, { mode: 0o600 });
            return await run(["--config-file", file]);
        } finally {
            rmSync(folder, { recursive: true });
        }
    }
}

/** `undefined` also where the folder has no config of the stack, or a wrong one: a preview says what is wrong. */
export function autoscaleOf(stack: string): AutoscaleSettings | undefined {
    try {
        return new StackConfig(stack).readAutoscale();
    } catch {
        return undefined;
    }
}

/** @throws Error for a text that is no YAML. */
function parse(text: string, file: string): unknown {
    const document = parseDocument(text);
    const [problem] = document.errors;
    if (problem) throw new Error(`${file} should be YAML: ${problem.message}`);
    return (document.toJS() as unknown) ?? {};
}

/** What the text of a stack's config has, by whole names. @throws Error for a text that is no YAML. */
export function configIn(text: string, file: string): Record<string, unknown> {
    return (parse(text, file) as { config?: Record<string, unknown> }).config ?? {};
}

function parseJson(text: string): unknown {
    try {
        return JSON.parse(text);
    } catch {
        return text;
    }
}
