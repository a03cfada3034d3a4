import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import semver from "semver";
import { buildOnce } from "../build-once.ts";
import { type Log, seconds } from "../host.ts";
import { cacheDir } from "../instance.ts";

/** A program that is built from its Go modules, as a go.mod and a go.sum of ours pin them. */
export interface GoTool {
    /** Folder with go.mod and go.sum, and the program itself if it is ours. */
    module: string;
    /** The package of the program; the last part is the binary's name. */
    package: string;
    /** The module that has it: its version is the program's. */
    versionOf: string;
    /** For people: the program, and how long a first build takes. */
    title: string;
    takes: string;
    needsMiB: number;
    /** Variable of the program that is to hold its version, `v` before it. */
    versionVariable?: string;
}

/** A wrapper module: the CLI's own go.mod has `replace` lines, with which `go install …@version` refuses. */
const CLI: GoTool = {
    module: path.join(import.meta.dirname, "cli"),
    package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
    versionOf: "github.com/pulumi/pulumi/pkg/v3",
    title: "Pulumi",
    takes: "about 5 minutes on 2 cores and 3 GB of Go's caches",
    needsMiB: 300,
    versionVariable: "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version",
};
/** The same binary whatever the user's own settings are; without cgo, as Pulumi's own releases. */
const GO_ENV = {
    CGO_ENABLED: "0",
    GOFLAGS: "-mod=readonly",
    GOWORK: "off",
    // Go would download another toolchain if go.mod asked for a newer one.
    GOTOOLCHAIN: "local",
};
/** A build's fastest: without debug information (`-s -w` leaves it out anyway), and rarely collecting garbage. */
const GO_BUILD = { flags: ["-gcflags=all=-dwarf=false"], env: { GOGC: "400" } };
const PROGRESS_MS = 30_000;

/** What the CLI's module says: which version it builds and which Go that takes, both without a leading `v`. */
export function cliModule(): { version: string; go: string } {
    return versionsOf(CLI);
}

/**
 * The Pulumi CLI built from its Go modules. Resolves with the binary's path; raises what {@link buildGoTool} raises.
 */
export function buildCli(log: Log, env: NodeJS.ProcessEnv): Promise<string> {
    return buildGoTool(CLI, log, env);
}

/**
 * Builds once for each version, into the cache that all checkouts share. Resolves with the binary's path.
 *
 * @param log gets a line before a build and one every 30 s of it.
 * @param env where `go` is looked for, and its settings (GOPROXY, GOMODCACHE, …).
 * @throws NoGo if there is no `go` new enough; an Error of one line with the compiler's words if the build fails.
 */
export async function buildGoTool(tool: GoTool, log: Log, env: NodeJS.ProcessEnv): Promise<string> {
    const recipe = moduleHash(tool);
    const target = path.join(cacheDir(), "engine", recipe);
    const binary = path.join(target, path.basename(tool.package));
    if (fs.existsSync(binary)) return binary;
    const versions = versionsOf(tool);
    await checkGo(versions.go, env);
    const title = `${tool.title} v${versions.version}`;
    const build = (folder: string) =>
        compile(tool, title, path.join(folder, path.basename(binary)), log, env);
    await buildOnce({ ...tool, title, target, recipe, log, build });
    return binary;
}

/** There is no `go` that could build it; the message says what was found. */
export class NoGo extends Error {}

function versionsOf({ module, versionOf }: GoTool): { version: string; go: string } {
    const lines = fs.readFileSync(path.join(module, "go.mod"), "utf8").split("\n");
    const words = lines.map((line) =>
        line
            .trim()
            .replace(/^require /, "")
            .split(" "),
    );
    const version = words.find(([name]) => name === versionOf)?.[1]?.slice(1);
    const go = words.find(([name]) => name === "go")?.[1];
    if (!version || !go) throw new Error(`${module}/go.mod should name ${versionOf}'s and Go's version`);
    return { version, go };
}

async function checkGo(needed: string, env: NodeJS.ProcessEnv): Promise<void> {
    // Not in the module's folder: an old Go can't even read our go.mod.
    const { stdout, failed } = await go(["env", "GOVERSION"], os.tmpdir(), env);
    const found = semver.coerce(stdout);
    if (failed || !found) throw new NoGo("there is no `go` on PATH");
    if (semver.lt(found, needed)) throw new NoGo(`the \`go\` on PATH is ${found.version}`);
}

function moduleHash({ module }: GoTool): string {
    const hash = crypto.createHash("sha256").update(`${os.platform()} ${os.arch()}`);
    const files = fs.readdirSync(module).filter((file) => /\.(go|mod|sum)$/.test(file));
    for (const file of files.sort()) hash.update(fs.readFileSync(path.join(module, file)));
    return hash.digest("hex").slice(0, 12);
}

async function compile(
    tool: GoTool,
    title: string,
    binary: string,
    log: Log,
    env: NodeJS.ProcessEnv,
): Promise<void> {
    const started = Date.now();
    const progress = setInterval(() => {
        log(`still making ${title}: ${seconds(started)}`);
    }, PROGRESS_MS);
    const version = tool.versionVariable && ` -X ${tool.versionVariable}=v${versionsOf(tool).version}`;
    const flags = [
        "-trimpath",
        "-buildvcs=false",
        ...GO_BUILD.flags,
        `-ldflags=-s -w${version ?? ""}`,
        `-o=${binary}`,
    ];
    const { failed, all } = await go(["build", ...flags, tool.package], tool.module, {
        ...env,
        ...GO_BUILD.env,
    });
    clearInterval(progress);
    const said = all.trim().split("\n").slice(-3).join(" | ");
    if (failed) throw new Error(`\`go build\` failed in ${tool.module}: ${said}`);
}

function go(args: string[], cwd: string, env: NodeJS.ProcessEnv) {
    return execa("go", args, { cwd, env: { ...env, ...GO_ENV }, extendEnv: false, all: true, reject: false });
}
