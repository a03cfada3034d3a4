import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { buildCli, cliModule, NoGo } from "./build-cli.ts";
import { isLauncher, writeLaunchers } from "./launchers.ts";
import { findOfficial, LANGUAGE_HOST, type Official, type RequiredPlugin } from "./official.ts";

/** A Pulumi engine that runs the program on this machine. */
export interface Engine {
    /** `official`: Pulumi's own CLI and plugins. `offline`: the CLI from its Go modules, plugins by the sandbox. */
    kind: "official" | "offline";
    /** One line: which CLI of which version, which plugins. */
    description: string;
    /** All that `pulumi` needs in its environment, but the backend, the passphrase and DIGITALOCEAN_*. */
    env: Record<string, string>;
}

export interface FindEngineOptions {
    /**
     * PULUMI_HOME of one sandbox, made if missing. A folder of its own, so that the user's logins, selected stacks
     * and plugins stay as they are.
     */
    home: string;
    /** Gets a line before and during everything that takes long. */
    log: (line: string) => void;
    /** Where `pulumi` and `go` are looked for; default: this process's environment. */
    env?: NodeJS.ProcessEnv;
}

/** The plugins that the program uses; their versions are those of the npm packages of the same name. */
const PLUGINS = ["digitalocean", "command"];

/**
 * The official engine if this machine has it or can get its plugins, else the offline one (built on first use:
 * minutes). Writes only under `home` and the cache, and is cheap when there is nothing to do.
 *
 * @throws an Error for the user if there is neither a usable `pulumi` nor a Go to build one.
 */
export async function findEngine({ home, log, env = process.env }: FindEngineOptions): Promise<Engine> {
    const plugins = PLUGINS.map((name) => ({ name, version: `v${versionOf(name)}` }));
    const userEnv = withoutOurs(env);
    const refusalFile = path.join(home, "official-engine-refused");
    const official = await findOfficial({
        sdk: versionOf("pulumi"),
        plugins,
        refusalFile,
        log,
        env: userEnv,
    });
    if ("pulumi" in official) return useOfficial(home, official, plugins, userEnv);
    try {
        const cli = await buildCli(log, userEnv);
        const env = await useOffline(home, cli, plugins, userEnv);
        const description =
            `Pulumi v${cliModule().version} built from its Go modules, with the sandbox's own plugins ` +
            `${listed(plugins)}: ${official.reason}`;
        return { kind: "offline", description, env };
    } catch (error) {
        if (!(error instanceof NoGo)) throw error;
        throw new Error(
            `there is no Pulumi engine on this machine: ${official.reason}; and to build one takes Go ` +
                `${cliModule().go} or newer: ${error.message}. Install one of the two: ` +
                "https://www.pulumi.com/docs/install/ or https://go.dev/doc/install",
            { cause: error },
        );
    }
}

/** The user's environment as it was before `make env` put an offline engine into it, of this checkout or another. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const isOurs = (bin: string) => isLauncher(path.join(bin, LANGUAGE_HOST));
    const folders = (env.PATH ?? "").split(path.delimiter).filter((folder) => !isOurs(folder));
    const { PULUMI_HOME, ...rest } = env;
    const keep = PULUMI_HOME !== undefined && !isOurs(path.join(PULUMI_HOME, "bin"));
    return { ...rest, ...(keep && { PULUMI_HOME }), PATH: folders.join(path.delimiter) };
}

function useOfficial(
    home: string,
    { version, pulumi, pluginsDir }: Extract<Official, { pulumi: string }>,
    plugins: RequiredPlugin[],
    env: NodeJS.ProcessEnv,
): Engine {
    fs.mkdirSync(home, { recursive: true });
    const link = path.join(fs.realpathSync(home), "plugins");
    if (pluginsDir !== link) {
        for (const left of [path.join(home, "bin"), link]) fs.rmSync(left, { recursive: true, force: true });
        fs.symlinkSync(pluginsDir, link);
    }
    return {
        kind: "official",
        description: `Pulumi ${version} (${pulumi}) with its plugins ${listed(plugins)}`,
        env: { PATH: env.PATH ?? "", PULUMI_HOME: home, PULUMI_SKIP_UPDATE_CHECK: "true" },
    };
}

async function useOffline(
    home: string,
    cli: string,
    plugins: RequiredPlugin[],
    env: NodeJS.ProcessEnv,
): Promise<Record<string, string>> {
    const bin = path.join(home, "bin");
    const pluginsDir = path.join(home, "plugins");
    if (fs.lstatSync(pluginsDir, { throwIfNoEntry: false })?.isSymbolicLink()) fs.rmSync(pluginsDir);
    // The engine warns of a language host on PATH that is not in the folder of its own binary, links resolved.
    placeBinary(cli, path.join(bin, "pulumi"));
    await writeLaunchers([
        { entry: "language-host.ts", file: path.join(bin, LANGUAGE_HOST) },
        ...plugins.map(({ name, version }) => ({
            entry: `providers/${name}.ts`,
            file: path.join(pluginsDir, `resource-${name}-${version}`, `pulumi-resource-${name}`),
        })),
    ]);
    return {
        PATH: [bin, env.PATH].join(path.delimiter),
        PULUMI_HOME: home,
        PULUMI_SKIP_UPDATE_CHECK: "true",
        // Most commands need a fifth of a second of CPU, a third of it to collect garbage: https://go.dev/doc/gc-guide#GOGC
        GOGC: "400",
        // Without these two the engine asks Pulumi's servers for plugins and their versions.
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_DISABLE_REGISTRY_RESOLVE: "true",
    };
}

const listed = (plugins: RequiredPlugin[]) =>
    plugins.map(({ name, version }) => `${name} ${version}`).join(" and ");

/** A second name for the cached binary; a copy where the cache is on another file system. */
function placeBinary(from: string, to: string): void {
    const there = fs.statSync(to, { throwIfNoEntry: false });
    const cached = fs.statSync(from);
    if (there?.size === cached.size && there.mtimeMs === cached.mtimeMs) return;
    fs.mkdirSync(path.dirname(to), { recursive: true });
    const unfinished = `${to}.${process.pid}`;
    try {
        fs.linkSync(from, unfinished);
    } catch {
        fs.copyFileSync(from, unfinished);
        fs.utimesSync(unfinished, cached.atime, cached.mtime);
    }
    fs.renameSync(unfinished, to);
}

/** Version of an npm package of Pulumi's, without a leading `v`. */
function versionOf(name: string): string {
    try {
        const { version } = createRequire(import.meta.url)(`@pulumi/${name}/package.json`) as {
            version: string;
        };
        return version.replace(/^v/, "");
    } catch {
        const root = path.resolve(import.meta.dirname, "../..");
        throw new Error(`the npm package @pulumi/${name} is not installed: run \`npm ci\` in ${root}`);
    }
}
