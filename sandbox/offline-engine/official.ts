import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import semver from "semver";

const VERSION_MS = 10_000;
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
 * Looks for an official engine: the first `pulumi` on PATH, at least as new as the npm SDK, and all `plugins` at
 * exactly these versions in the user's own plugin folder, or installed into it now.
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

    const pluginsDir = path.join(
        env.PULUMI_HOME ?? path.join(env.HOME ?? os.homedir(), ".pulumi"),
        "plugins",
    );
    const missing = plugins.filter((plugin) => !isInstalled(pluginsDir, plugin));
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
    return { version, pulumi, pluginsDir: fs.realpathSync(pluginsDir) };
}

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
function isInstalled(pluginsDir: string, { name, version }: RequiredPlugin): boolean {
    const folder = path.join(pluginsDir, `resource-${name}-${version}`);
    return fs.existsSync(path.join(folder, `pulumi-resource-${name}`)) && !fs.existsSync(`${folder}.partial`);
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
