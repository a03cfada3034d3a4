import crypto from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import lockfile from "proper-lockfile";
import semver from "semver";
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
 * Resolves with the binary's path. Two callers at once build it once.
 *
 * @param log gets a line before a build and one every 30 s of it.
 * @param env where `go` is looked for, and its settings (GOPROXY, GOMODCACHE, …).
 * @throws NoGo if there is no `go` new enough; an Error with the compiler's own output if the build fails.
 */
export async function buildCli(log: (line: string) => void, env: NodeJS.ProcessEnv): Promise<string> {
    const binary = path.join(cacheDir(), "engine", moduleHash(), "pulumi");
    if (fs.existsSync(binary)) return binary;
    await checkGo(env);
    const directory = path.dirname(binary);
    fs.mkdirSync(directory, { recursive: true });
    const release = await lock(directory, log);
    try {
        if (!fs.existsSync(binary)) await compile(binary, log, env);
    } finally {
        await release();
    }
    return binary;
}

/** There is no `go` that could build the CLI; the message says what was found. */
export class NoGo extends Error {}

async function checkGo(env: NodeJS.ProcessEnv): Promise<void> {
    const { go } = cliModule();
    const { stdout, failed } = await execa("go", ["env", "GOVERSION"], {
        cwd: os.tmpdir(), // An old Go can't even read our go.mod.
        env: { ...env, ...GO_ENV },
        extendEnv: false,
        reject: false,
    });
    const found = semver.coerce(stdout);
    if (failed || !found) throw new NoGo("there is no `go` on PATH");
    if (semver.lt(found, go)) throw new NoGo(`the \`go\` on PATH is ${found.version}`);
}

function moduleHash(): string {
    const hash = crypto.createHash("sha256").update(`${os.platform()} ${os.arch()}`);
    for (const file of ["go.mod", "go.sum"]) hash.update(fs.readFileSync(path.join(MODULE_DIR, file)));
    return hash.digest("hex").slice(0, 12);
}

async function lock(directory: string, log: (line: string) => void): Promise<() => Promise<void>> {
    // Losing the lock (a process that was stopped for a while) means a second build at worst: it ends in a rename.
    const options = { onCompromised: () => undefined };
    try {
        return await lockfile.lock(directory, options);
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ELOCKED") throw error;
    }
    log("another process is building the Pulumi CLI: waiting for it");
    return lockfile.lock(directory, {
        ...options,
        retries: { forever: true, minTimeout: 500, maxTimeout: 1_000 },
    });
}

async function compile(binary: string, log: (line: string) => void, env: NodeJS.ProcessEnv): Promise<void> {
    const { version } = cliModule();
    const unfinished = `${binary}.unfinished`;
    const started = Date.now();
    log(
        `building Pulumi v${version} from its Go modules: once, about 5 minutes on 2 cores and 3 GB of Go's caches`,
    );
    const progress = setInterval(() => {
        log(`still building Pulumi v${version}: ${Math.round((Date.now() - started) / 1000)} s`);
    }, PROGRESS_MS);
    try {
        const ldflags = `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${version}`;
        const flags = ["-trimpath", "-buildvcs=false", `-ldflags=${ldflags}`, `-o=${unfinished}`];
        const { failed, all } = await execa("go", ["build", ...flags, PACKAGE], {
            cwd: MODULE_DIR,
            env: { ...env, ...GO_ENV },
            extendEnv: false,
            all: true,
            reject: false,
        });
        if (failed) throw new Error(`\`go build\` of Pulumi v${version} failed in ${MODULE_DIR}:\n${all}`);
        fs.renameSync(unfinished, binary);
    } finally {
        clearInterval(progress);
    }
}
