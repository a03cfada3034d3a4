import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { build, type Plugin } from "esbuild";

const root = path.resolve(import.meta.dirname, "..");
/** Of this checkout alone: a bundle names the folders that its sources lie in. */
const folder = path.join(root, "node_modules/.cache/dropscale/bundles");

/** What stands beside a bundle: the sources of this project that it was made of, with a hash of each. */
interface Recipe {
    libraries: string;
    sources: Record<string, string>;
}

/**
 * A program with all of its libraries in one file, which starts in a third of the time that it takes to load and translate
 * its sources one by one. It is made anew when one of them changed.
 *
 * @param entry Absolute path of its first source.
 * @param outside Libraries that are loaded from node_modules as ever. @default none
 * @returns Path of a file that `node` runs as it is. It reads other files where the sources do, beside themselves.
 * @throws Error of one line if it can't be made.
 */
export async function bundle(entry: string, outside: readonly string[] = []): Promise<string> {
    const file = path.join(folder, `${path.relative(root, entry).replaceAll(/[^\w-]/g, "-")}.cjs`);
    const libraries = librariesHash(outside);
    if (isCurrent(file, libraries)) return file;
    const { outputFiles, warnings, metafile } = await build({
        entryPoints: [entry],
        absWorkingDir: root,
        bundle: true,
        write: false,
        metafile: true,
        platform: "node",
        format: "cjs",
        target: `node${process.versions.node}`,
        // Native parts that ssh2 tries to load and does without.
        external: ["*.node", "cpu-features", "esbuild", ...outside],
        plugins: [ownFolders],
        logLevel: "silent",
    });
    const [warning] = warnings;
    if (warning)
        throw new Error(
            `${entry} can't be put in one file: ${warning.text} (${warning.location?.file ?? "?"})`,
        );
    const sources = Object.keys(metafile.inputs).filter((name) => !name.includes("node_modules/"));
    const recipe: Recipe = {
        libraries,
        sources: Object.fromEntries(sources.map((name) => [name, hashOf(path.join(root, name))])),
    };
    mkdirSync(folder, { recursive: true });
    // The recipe last: one without its bundle would be believed.
    replace(file, outputFiles[0]?.text ?? "");
    replace(recipeOf(file), JSON.stringify(recipe));
    return file;
}

/** In one file, each source of this project still knows its own folder; a library knows none, so it needs no checkout. */
const ownFolders: Plugin = {
    name: "own folders",
    setup: (making) => {
        making.initialOptions.define = {
            "import.meta.dirname": "ownFolder",
            "import.meta.filename": "ownFile",
            "import.meta.url": "ownUrl",
        };
        making.onLoad({ filter: /\.[cm]?[jt]s$/ }, ({ path: source }) => {
            const contents = readFileSync(source, "utf8");
            const isLibrary = source.includes("node_modules/");
            if (!(isLibrary ? /import\.meta/ : /__dirname|import\.meta/).test(contents)) return undefined;
            const folder = JSON.stringify(path.dirname(source));
            const [file, url] = [source, pathToFileURL(source).href].map((text) => JSON.stringify(text));
            const own = isLibrary
                ? "var ownFolder, ownFile, ownUrl;"
                : `var __dirname = ${folder}, ownFolder = __dirname, ownFile = ${file}, ownUrl = ${url};`;
            // On the first line: the others keep their numbers.
            return { loader: source.endsWith("ts") ? "ts" : "js", contents: `${own} ${contents}` };
        });
    },
};

const recipeOf = (file: string) => `${file}.json`;

function isCurrent(file: string, wanted: string): boolean {
    if (!existsSync(file) || !existsSync(recipeOf(file))) return false;
    const { libraries, sources } = JSON.parse(readFileSync(recipeOf(file), "utf8")) as Recipe;
    const isAsItWas = ([name, hash]: [string, string]) =>
        existsSync(path.join(root, name)) && hashOf(path.join(root, name)) === hash;
    return libraries === wanted && Object.entries(sources).every(isAsItWas);
}

/** Of all that is not a source: the libraries, Node.js, where this checkout lies, and how the bundle is made. */
function librariesHash(outside: readonly string[]): string {
    const files = [path.join(root, "package-lock.json"), import.meta.filename].map(hashOf);
    return createHash("sha256")
        .update([root, process.version, ...files, ...outside].join("\n"))
        .digest("hex");
}

const hashOf = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");

/** Whole or not at all: another process may be reading it. */
function replace(file: string, text: string): void {
    const unfinished = `${file}.${process.pid}`;
    writeFileSync(unfinished, text);
    renameSync(unfinished, file);
}
