import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { parse } from "yaml";
import { type Preview, readPreview } from "./batches";
import { readHold, withHold } from "./hold";
import { readPreviewDocument } from "../pulumi/preview";

/** Pulumi.<stack>.yaml in the current folder, and what the program would do with it. */
export class StackConfig {
    /** Name of the file. */
    readonly file: string;
    private readonly stack: string;
    private readonly project: string;

    /**
     * @param stack As `--stack` takes it, with an organization before it or without.
     * @throws Error where the current folder has no Pulumi.yaml.
     */
    constructor(stack: string) {
        this.stack = stack;
        this.file = `Pulumi.${path.basename(stack)}.yaml`;
        this.project = (parse(read("Pulumi.yaml")) as { name: string }).name;
    }

    /** @throws Error if there is no such file, or its `hold` is no list of slots. */
    readHold(): number[] {
        const text = read(this.file);
        try {
            return readHold(text, this.project);
        } catch (error) {
            throw new Error(`${this.file}: ${(error as Error).message}`, { cause: error });
        }
    }

    /** Changes nothing else in the file. An interruption leaves the old text or the new one, never a part. */
    writeHold(hold: readonly number[]): void {
        const text = read(this.file);
        const next = withHold(text, this.project, hold);
        if (next === text) return;
        writeFileSync(`${this.file}.new`, next);
        renameSync(`${this.file}.new`, this.file);
    }

    /**
     * What `pulumi up` would do with another `hold`. The file stays as it is.
     *
     * @throws Error that says in the program's words what is wrong.
     */
    async preview(hold: readonly number[]): Promise<Preview> {
        return this.with(hold, async (flags) => {
            const document = await readPreviewDocument(["--stack", this.stack, ...flags]);
            if (document.errors.length > 0) throw new Error(document.errors.join("\n"));
            return readPreview(document);
        });
    }

    /**
     * Runs something that reads the config with another `hold`. The file stays as it is.
     *
     * @param run Gets the options with which `pulumi` reads that config.
     */
    async with<T>(hold: readonly number[], run: (flags: readonly string[]) => Promise<T>): Promise<T> {
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-rollout-"));
        try {
            const file = path.join(folder, this.file);
            writeFileSync(file, withHold(read(this.file), this.project, hold), { mode: 0o600 });
            return await run(["--config-file", file]);
        } finally {
            rmSync(folder, { recursive: true });
        }
    }
}

function read(file: string): string {
    try {
        return readFileSync(file, "utf8");
    } catch {
        throw new Error(`there is no ${file} in ${process.cwd()}: run this in the project's folder`);
    }
}
