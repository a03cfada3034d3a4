import fs from "node:fs";
import path from "node:path";

/** A Pulumi plugin that an npm package says it needs. */
export interface RequiredPlugin {
    name: string;
    /** With a leading `v`. */
    version: string;
}

interface PackageJson {
    name?: string;
    version?: string;
    pulumi?: { resource?: boolean; name?: string; version?: string };
}

/**
 * The plugins of all npm packages that a program in `directory` can import: those in its `node_modules` and in the
 * ones of the folders above it whose package.json says `pulumi.resource: true`.
 * https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/nodejs/cmd/pulumi-language-nodejs/main.go (getPackagesFromDir)
 */
export function requiredPlugins(directory: string): RequiredPlugin[] {
    const found = new Map<string, RequiredPlugin>();
    for (const folder of packageFolders(directory)) {
        const plugin = pluginOf(folder);
        if (plugin) found.set(`${plugin.name} ${plugin.version}`, plugin);
    }
    return [...found.values()];
}

/** The plugin of the npm package in `folder`; undefined if it has none. Throws if it has one without a version. */
export function pluginOf(folder: string): RequiredPlugin | undefined {
    const file = path.join(folder, "package.json");
    const text = readIfThere(() => fs.readFileSync(file, "utf8"));
    if (!text?.includes('"pulumi"')) return undefined; // Hundreds of packages: only the few are parsed.
    const { name, version, pulumi } = JSON.parse(text) as PackageJson;
    if (!pulumi?.resource) return undefined;
    const pluginName = pulumi.name ?? /^@pulumi\/(.+)$/.exec(name ?? "")?.[1];
    const pluginVersion = pulumi.version ?? version;
    if (!pluginName || !pluginVersion) throw new Error(`${file} should give its plugin's name and version`);
    return { name: pluginName, version: pluginVersion.startsWith("v") ? pluginVersion : `v${pluginVersion}` };
}

function* packageFolders(directory: string): Generator<string> {
    for (let folder = path.resolve(directory); ; folder = path.dirname(folder)) {
        const modules = path.join(folder, "node_modules");
        for (const entry of names(modules)) {
            if (!entry.startsWith("@")) yield path.join(modules, entry);
            else
                for (const scoped of names(path.join(modules, entry)))
                    yield path.join(modules, entry, scoped);
        }
        if (folder === path.dirname(folder)) return;
    }
}

const names = (folder: string) => readIfThere(() => fs.readdirSync(folder)) ?? [];

function readIfThere<T>(read: () => T): T | undefined {
    try {
        return read();
    } catch (error) {
        if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
        throw error;
    }
}
