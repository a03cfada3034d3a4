import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import semver from "semver";
import { buildOnce } from "../build-once.ts";
import { type Log, seconds } from "../host.ts";
import { cacheDir } from "../instance.ts";

/** The wrapper module: the CLI's own go.mod has `replace` lines, with which `go install …@version` refuses. */
const MODULE_DIR = path.join(import.meta.dirname, "cli");
const PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
/** The same binary whatever the user's own settings are; without cgo, as Pulumi's own releases. */
const GO_ENV = {
    CGO_ENABLED: "0",
    GOFLAGS: "-mod=readonly",
    GOWORK: "off",
    // Go would download another toolchain if go.mod asked for a newer one.
    GOTOOLCHAIN: "local",
};
const PROGRESS_MS = 30_000;

/** What the wrapper module says: which CLI it builds and which Go that takes, both without a leading `v`. */
export function cliModule(): { version: string; go: string } {
    const text = fs.readFileSync(path.join(MODULE_DIR, "go.mod"), "utf8");
    const version = /github\.com\/pulumi\/pulumi\/pkg\/v3 v(\S+)/.exec(text)?.[1];
    const go = /^go (\S+)$/m.exec(text)?.[1];
    if (!version || !go) throw new Error(`${MODULE_DIR}/go.mod should name the CLI's and Go's version`);
    return { version, go };
}

/**
 * The Pulumi CLI built from its Go modules: once for each version, into the cache that all checkouts share.
 * Resolves with the binary's path.
 *
 * @param log gets a line before a build and one every 30 s of it.
 * @param env where `go` is looked for, and its settings (GOPROXY, GOMODCACHE, …).
 * @throws NoGo if there is no `go` new enough; an Error of one line with the compiler's words if the build fails.
 */
export async function buildCli(log: Log, env: NodeJS.ProcessEnv): Promise<string> {
    const recipe = moduleHash();
    const target = path.join(cacheDir(), "engine", recipe);
    const binary = path.join(target, "pulumi");
    if (fs.existsSync(binary)) return binary;
    await checkGo(env);
    await buildOnce({
        target,
        title: `Pulumi v${cliModule().version}`,
        takes: "about 5 minutes on 2 cores and 3 GB of Go's caches",
        recipe,
        needsMiB: 300,
        log,
        build: (folder) => compile(path.join(folder, "pulumi"), log, env),
    });
    return binary;
}

/** There is no `go` that could build the CLI; the message says what was found. */
export class NoGo extends Error {}

async function checkGo(env: NodeJS.ProcessEnv): Promise<void> {
    // Not in the module's folder: an old Go can't even read our go.mod.
    const { stdout, failed } = await go(["env", "GOVERSION"], os.tmpdir(), env);
    const found = semver.coerce(stdout);
    if (failed || !found) throw new NoGo("there is no `go` on PATH");
    if (semver.lt(found, cliModule().go)) throw new NoGo(`the \`go\` on PATH is ${found.version}`);
}

function moduleHash(): string {
    const hash = crypto.createHash("sha256").update(`${os.platform()} ${os.arch()}`);
    for (const file of ["go.mod", "go.sum"]) hash.update(fs.readFileSync(path.join(MODULE_DIR, file)));
    return hash.digest("hex").slice(0, 12);
}

async function compile(binary: string, log: Log, env: NodeJS.ProcessEnv): Promise<void> {
    const { version } = cliModule();
    const started = Date.now();
    const progress = setInterval(() => {
        log(`still making Pulumi v${version}: ${seconds(started)}`);
    }, PROGRESS_MS);
    const ldflags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`;
    const flags = ["-trimpath", "-buildvcs=false", `-ldflags=${ldflags}`, `-o=${binary}`];
    const { failed, all } = await go(["build", ...flags, PACKAGE], MODULE_DIR, env);
    clearInterval(progress);
    const said = all.trim().split("\n").slice(-3).join(" | ");
    if (failed) throw new Error(`\`go build\` failed in ${MODULE_DIR}: ${said}`);
}

function go(args: string[], cwd: string, env: NodeJS.ProcessEnv) {
    return execa("go", args, { cwd, env: { ...env, ...GO_ENV }, extendEnv: false, all: true, reject: false });
}
