import fs from "node:fs";
import path from "node:path";
import { bundle } from "../bundle.ts";
import { quote } from "../host.ts";

/** The first lines of every launcher: what tells an executable of ours from an official one. */
const HEAD = "#!/bin/sh\n# Written by dropscale's offline engine.\n";

/** A plugin of ours: its entry file, relative to this folder, and where the engine looks for it. */
export interface Launcher {
    entry: string;
    /** Absolute path of the executable. */
    file: string;
}

/**
 * Writes an executable for each plugin, and beside it the plugin with all of its libraries in one file. So it starts fast
 * (in 0.13 s, not 0.4 s), does not mind the tsconfig.json of the folder it runs in, and keeps working when the checkout is
 * moved or changed.
 * Files that are right already stay untouched: the engine may be running them.
 */
export async function writeLaunchers(launchers: Launcher[]): Promise<void> {
    const textOf = async (entry: string) =>
        fs.readFileSync(await bundle(path.join(import.meta.dirname, entry)), "utf8");
    const write = async ({ entry, file }: Launcher) => {
        const plugin = `${file}.cjs`;
        writeIfChanged(plugin, await textOf(entry), 0o644);
        const cache = path.join(path.dirname(file), "compile-cache.cjs");
        writeIfChanged(cache, await compileCache, 0o644);
        writeIfChanged(file, launcher(cache, plugin), 0o755);
    };
    const compileCache = textOf("compile-cache.ts");
    await Promise.all(launchers.map(write));
}

/** Whether an executable was written by `writeLaunchers`. */
export function isLauncher(file: string): boolean {
    return fs.existsSync(file) && fs.readFileSync(file).subarray(0, HEAD.length).equals(Buffer.from(HEAD));
}

function launcher(cache: string, plugin: string): string {
    return `${HEAD}exec ${quote(process.execPath)} --require=${quote(cache)} ${quote(plugin)} "$@"\n`;
}

function writeIfChanged(file: string, text: string, mode: number): void {
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === text) return;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const unfinished = `${file}.${process.pid}`;
    fs.writeFileSync(unfinished, text, { mode });
    fs.renameSync(unfinished, file);
}
