import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import semver from "semver";

const VERSION_MS = 10_000;
const ABOUT_MS = 30_000;
const INSTALL_MS = 120_000;
/** How long a failed installation is believed: behind a firewall that drops packets each try takes `INSTALL_MS`. */
const BELIEVED_MS = 3_600_000;

/** A plugin that the program uses. */
export interface RequiredPlugin {
    name: string;
    /** With a leading `v`. */
    version: string;
}

/** An official engine that can be used, or why there is none. */
export type Official = { version: string; pulumi: string; pluginsDir: string } | { reason: string };

/** What the CLI starts to run a Node.js program; its releases have it beside the CLI. */
export const LANGUAGE_HOST = "pulumi-language-nodejs";

export interface FindOfficialOptions {
    /** Version of the npm package @pulumi/pulumi, without a leading `v`. */
    sdk: string;
    plugins: RequiredPlugin[];
    /** Kept for an hour: why plugins could not be installed. */
    refusalFile: string;
    log: (line: string) => void;
    /** The user's own, without anything of the offline engine in PATH and PULUMI_HOME. */
    env: NodeJS.ProcessEnv;
}

/**
 * Looks for an official engine: the first `pulumi` on PATH, at least as new as the npm SDK, its Node.js language host,
 * and all `plugins` on PATH, or at exactly these versions in the user's own plugin folder, or installed into it now.
 *
 * The minimum is the SDK's version because the CLI and the SDKs are released together from one repository, and a
 * newer SDK may ask an older CLI for what it doesn't know: https://github.com/pulumi/pulumi/releases
 */
export async function findOfficial({
    sdk,
    plugins,
    refusalFile,
    log,
    env,
}: FindOfficialOptions): Promise<Official> {
    const pulumi = findOnPath("pulumi", env);
    if (!pulumi) return { reason: "there is no `pulumi` on PATH" };
    const version = await cliVersion(pulumi, env);
    if (!version) return { reason: `${pulumi} does not say its version` };
    if (!newEnough(version, sdk))
        return { reason: `${pulumi} is ${version}, and v${sdk} or newer is needed` };
    if (!(await runsNode(pulumi, env)))
        return { reason: `${pulumi} can't run Node.js programs: it does not find ${LANGUAGE_HOST}` };

    const pluginsDir = path.join(
        env.PULUMI_HOME ?? path.join(env.HOME ?? os.homedir(), ".pulumi"),
        "plugins",
    );
    const missing = plugins.filter(
        (plugin) => !findPlugin(executableOf(plugin), env) && !isInstalled(pluginsDir, plugin),
    );
    if (missing.length > 0 && ageMs(refusalFile) < BELIEVED_MS) {
        return { reason: `${fs.readFileSync(refusalFile, "utf8")} (delete ${refusalFile} to try again)` };
    }
    for (const plugin of missing) {
        log(`installing the Pulumi plugin ${plugin.name} ${plugin.version} (at most ${INSTALL_MS / 1000} s)`);
        const failure = await install(pulumi, plugin, env);
        if (failure === undefined) continue;
        const reason = `${pulumi} can't install its plugin ${plugin.name} ${plugin.version}: ${failure}`;
        fs.mkdirSync(path.dirname(refusalFile), { recursive: true });
        fs.writeFileSync(refusalFile, reason);
        return { reason };
    }
    fs.mkdirSync(pluginsDir, { recursive: true });
    return { version, pulumi, pluginsDir: fs.realpathSync(pluginsDir) };
}

/**
 * Whether the CLI can run Node.js programs: some distributions package it without its language hosts. It is asked
 * itself, in an empty project, since where it finds them depends on how it was installed.
 */
async function runsNode(pulumi: string, env: NodeJS.ProcessEnv): Promise<boolean> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "pulumi-about-"));
    try {
        fs.writeFileSync(path.join(folder, "Pulumi.yaml"), "name: none\nruntime: nodejs\n");
        const { stdout } = await execa(pulumi, ["about", "--json"], {
            cwd: folder,
            env: {
                ...env,
                PULUMI_BACKEND_URL: `file://${folder}`,
                PULUMI_SKIP_UPDATE_CHECK: "true",
                PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
            },
            extendEnv: false,
            reject: false,
            timeout: ABOUT_MS,
        });
        return (JSON.parse(stdout || "{}") as { runtime?: object | null }).runtime instanceof Object;
    } catch {
        return false;
    } finally {
        fs.rmSync(folder, { recursive: true });
    }
}

/** A plugin on PATH, which the engine prefers to any other, of whatever version, unless it is told not to. */
function findPlugin(name: string, env: NodeJS.ProcessEnv): string | undefined {
    const ignored = /^(1|true)$/i.test(env.PULUMI_IGNORE_AMBIENT_PLUGINS ?? "");
    return ignored ? undefined : findOnPath(name, env);
}

const executableOf = ({ name }: RequiredPlugin) => `pulumi-resource-${name}`;

const ageMs = (file: string) => Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);

function findOnPath(name: string, env: NodeJS.ProcessEnv): string | undefined {
    const folders = (env.PATH ?? "").split(path.delimiter).filter(Boolean);
    return folders.map((folder) => path.join(folder, name)).find(isExecutable);
}

function isExecutable(file: string): boolean {
    try {
        fs.accessSync(file, fs.constants.X_OK);
        return fs.statSync(file).isFile();
    } catch {
        return false;
    }
}

async function cliVersion(pulumi: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
    const options = {
        env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" },
        extendEnv: false,
        reject: false,
    } as const;
    const { stdout } = await execa(pulumi, ["version"], { ...options, timeout: VERSION_MS });
    return semver.valid(stdout.trim()) === null ? undefined : stdout.trim();
}

/** Whether a CLI works with an SDK: same major version, and not older. Both with or without a leading `v`. */
export function newEnough(cli: string, sdk: string): boolean {
    return semver.satisfies(cli, `^${semver.parse(sdk)?.version ?? sdk}`, { includePrerelease: true });
}

/** A folder with a `.partial` file beside it is a download that did not end (plugins.go of Pulumi's SDK). */
function isInstalled(pluginsDir: string, plugin: RequiredPlugin): boolean {
    const folder = path.join(pluginsDir, `resource-${plugin.name}-${plugin.version}`);
    return fs.existsSync(path.join(folder, executableOf(plugin))) && !fs.existsSync(`${folder}.partial`);
}

/** Resolves with what went wrong in one line, or with undefined. */
async function install(
    pulumi: string,
    plugin: RequiredPlugin,
    env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
    const { failed, timedOut, stderr } = await execa(
        pulumi,
        ["plugin", "install", "resource", plugin.name, plugin.version],
        {
            env: { ...env, PULUMI_SKIP_UPDATE_CHECK: "true" },
            extendEnv: false,
            reject: false,
            timeout: INSTALL_MS,
        },
    );
    if (timedOut) return `not done after ${INSTALL_MS / 1000} s`;
    // The first complaint has the cause; the last one only says how often it was tried.
    return failed ? (/^(?:warning|error): (.*)$/m.exec(stderr)?.[1] ?? "no reason given") : undefined;
}
