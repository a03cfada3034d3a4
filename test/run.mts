/**
 * `make test`: types, lint and format, and every test that this machine can run. Without root on Linux those that
 * boot droplets are left out, and the last lines say so; with CI=true that is a failure.
 * `make test ARGS=--quick`: types, lint, format and unit tests, for the loop while writing.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import {
    ensureHostPackages,
    type HostNeeds,
    missingHostPackages,
    requireLinuxRoot,
} from "../sandbox/host.ts";
import { prepareHost } from "../sandbox/droplets/prepare.ts";
import { buildGoTool } from "../sandbox/offline-engine/build-cli.ts";
import { findEngine } from "../sandbox/offline-engine/engine.ts";
import { purgeAbandoned } from "../sandbox/process.ts";
import { duration, progress } from "../sandbox/progress.ts";
import { ending, readReport, type Result, slowest } from "./results.mts";

const root = path.resolve(import.meta.dirname, "..");
const say = progress();

/** What the tests themselves run: a command and its Debian package. */
const checkPackages = { shellcheck: "shellcheck" };
const integrationPackages = { sshd: "openssh-server", wrk: "wrk" };
const rootPackages = {
    haproxy: "haproxy",
    nmap: "nmap",
    socat: "socat",
    curl: "curl",
    lego: "lego",
    openssl: "openssl",
    prometheus: "prometheus",
    unshare: "util-linux",
    ss: "iproute2",
    slowhttptest: "slowhttptest",
};

/**
 * Of every Node.js process that the tests start: with V8's own 16 MiB for new objects, clearing them away takes up to a
 * fifth of a process's CPU. https://nodejs.org/docs/latest-v20.x/api/cli.html#--max-semi-space-sizesize-in-megabytes
 */
const roomForNew = "--max-semi-space-size=64";

/** The compiler in Go, which takes an eighth of the time; Pulumi's SDK needs the library of the one before. */
const tsc = "node_modules/typescript-native/bin/tsc";

/** Checks of the text of the project; each counts as one test. */
const checks: Record<string, string[]> = {
    types: [tsc],
    "types of the dashboard's page": [tsc, "-p", "tools/dashboard/page"],
    "types of the sandbox": [tsc, "-p", "sandbox"],
    lint: ["oxlint", "--config", "test/oxlintrc.jsonc"],
    format: ["oxfmt", "--check"],
};
const scripts = ["components", "userdata", "tools", "sandbox/droplets"].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".sh"))
        .map((name) => path.join(folder, name)),
);
const shellCheck = ["shellcheck", ...scripts, ".ci/run"];

/** Checks .github/workflows; it uses shellcheck where it finds it. Its version stands in its go.mod. */
const actionlint = {
    module: path.join(import.meta.dirname, "actionlint"),
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    versionOf: "github.com/rhysd/actionlint",
    title: "actionlint",
    takes: "about 10 seconds",
    needsMiB: 200,
};

/**
 * Runs a program of node_modules or of the host. Resolves with its exit code.
 *
 * @param atOnce Prints what it says as it says it. @default in one piece, at its end
 */
function run(command: string, args: string[], { atOnce = false } = {}): Promise<number> {
    // Several run at once: none has the terminal to itself.
    const colours = process.stdout.isTTY && !process.env.NO_COLOR ? { FORCE_COLOR: "1" } : {};
    const PATH = `${path.join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}`;
    const NODE_OPTIONS = [process.env.NODE_OPTIONS, roomForNew].filter(Boolean).join(" ");
    const env = { ...process.env, ...colours, PATH, NODE_OPTIONS };
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    const printed: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
        stream.on("data", (data: Buffer) => {
            if (atOnce) process.stdout.write(data);
            else printed.push(data);
        });
    return new Promise((resolve) => {
        child.once("error", () => {
            resolve(127);
        });
        child.once("close", (code) => {
            process.stdout.write(Buffer.concat(printed));
            resolve(code ?? 1);
        });
    });
}

async function runCheck(title: string, [command = "", ...args]: string[]): Promise<Result> {
    const started = Date.now();
    const code = await say.step(title, () => run(command, args));
    const failures = code === 0 ? [] : [`${title}: ${command} ended with ${code}`];
    const seconds = (Date.now() - started) / 1000;
    return { title, passed: code === 0 ? 1 : 0, failed: failures.length, skipped: 0, seconds, failures };
}

/** Runs one of the projects of vitest.config.mts, or some of its files. */
async function runTests(project: string, folder: string, files: string[] = []): Promise<Result[]> {
    const report = path.join(folder, [project, ...files, "json"].join(".").replaceAll(/[/*]/g, "-"));
    const reporters = ["--reporter", "default", "--reporter", "json", "--outputFile", report];
    const options = ["run", "--config", "test/vitest.config.mts", "--project", project, ...reporters];
    const code = await run("vitest", [...options, ...files], { atOnce: true });
    return readReport(report, { root, project, code });
}

/** Why droplets can't boot here; `undefined` where they can. */
function noMachines(): string | undefined {
    try {
        requireLinuxRoot();
        return undefined;
    } catch (error) {
        return (error as Error).message;
    }
}

/** Texts first: they need nothing but this checkout, and Go for one of them. */
async function runChecks(leftOut: string[]): Promise<Result[]> {
    const results: Result[] = [];
    for (const [title, command] of Object.entries(checks)) results.push(await runCheck(title, command));
    const missing = await missingHostPackages(checkPackages);
    if (missing.length === 0) results.push(await runCheck("shell scripts", shellCheck));
    else leftOut.push(lacking("shell scripts", missing));
    try {
        const linter = await buildGoTool(actionlint, say.log, process.env);
        results.push(await runCheck("workflows", [linter]));
    } catch (error) {
        leftOut.push(`workflows: ${(error as Error).message}`);
    }
    return results;
}

const lacking = (title: string, packages: readonly string[]) =>
    `${title}: these Debian packages are missing: ${packages.join(", ")}`;

/** The projects that this machine can run: those that wait for machines beside those that compute, and the checks. */
async function runAll(folder: string, leftOut: string[]): Promise<Result[]> {
    const reason = noMachines();
    if (reason === undefined) {
        await ensureHostPackages({ log: say.log });
        const needs: HostNeeds = { ...checkPackages, ...integrationPackages, ...rootPackages };
        await ensureHostPackages({ log: say.log, needs });
        await purgeAbandoned(say);
    } else leftOut.push(`tests that boot droplets, end-to-end tests among them: ${reason}`);
    const missing = await missingHostPackages(integrationPackages);
    if (missing.length > 0) leftOut.push(lacking("integration tests", missing));
    const prepared = prepare(folder, reason === undefined);
    const stacks = reason === undefined ? stackTests() : [];
    // Three stacks at a time: with a fourth, visitors wait for ten seconds where nothing but the machine is at fault.
    const withoutRoot = async () => [
        ...(await runTests("unit*", folder)),
        ...(await prepared.then(() => (missing.length > 0 ? [] : runTests("integration", folder)))),
        ...(await runInTurn("e2e", stacks, folder)),
    ];
    const withRoot = async () => {
        await prepared;
        if (reason !== undefined) return [];
        // Those with machines of their own mostly wait for a clock.
        const machines = runTests("machines", folder);
        const lanes = [
            runInTurn("e2e", stacks, folder),
            machines.then(() => runInTurn("e2e", stacks, folder)),
        ];
        return [...(await machines), ...(await Promise.all(lanes)).flat()];
    };
    return (await Promise.all([runChecks(leftOut), withRoot(), withoutRoot()])).flat();
}

/** Minutes long: the first to begin, or one of them would run alone at the end. */
const longest = ["deploy", "closed", "content", "pipeline", "rollout"];

/** The files of e2e. */
function stackTests(): string[] {
    const first = longest.map((name) => `${name}.test.ts`);
    const names = readdirSync(path.join(root, "test/e2e")).filter((name) => name.endsWith(".test.ts"));
    const sorted = [...first, ...names.filter((name) => !first.includes(name))];
    return sorted.map((name) => `test/e2e/${name}`);
}

/** One at a time, until none is left: others may take of the same files meanwhile. */
async function runInTurn(project: string, files: string[], folder: string): Promise<Result[]> {
    const results: Result[] = [];
    for (let file = files.shift(); file !== undefined; file = files.shift())
        results.push(...(await runTests(project, folder, [file])));
    return results;
}

/** Makes what tests would wait for longer than a test may take. What can't be made, they say themselves. */
async function prepare(folder: string, machines: boolean): Promise<void> {
    const home = path.join(folder, "pulumi");
    const steps: Promise<unknown>[] = [say.step("Pulumi engine", () => findEngine({ home, log: say.log }))];
    if (machines) steps.push(say.step("Debian 12 for droplets", () => prepareHost({ log: say.log })));
    await Promise.allSettled(steps);
}

/**
 * What failed beside other tests is run once more, file by file, with the machine to itself, and that counts: two cores
 * that do five things at once miss a deadline now and then. The last lines name these files.
 */
async function runFailedAgain(results: Result[], folder: string): Promise<Result[]> {
    const counted: Result[] = [];
    for (const first of results) {
        if (first.failed === 0 || first.project === undefined) counted.push(first);
        else {
            console.log(["failed beside other tests, now alone:", ...first.failures].join("\n    "));
            const alone = await runTests(first.project, folder, [first.title]);
            counted.push(...alone.map((result) => ({ ...result, failedBeside: first.failures })));
        }
    }
    return counted;
}

async function main(): Promise<void> {
    const { quick } = parseArgs({ options: { quick: { type: "boolean", default: false } } }).values;
    const leftOut: string[] = [];
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-test-"));
    const started = Date.now();
    try {
        const results = quick
            ? (await Promise.all([runChecks(leftOut), runTests("unit*", folder)])).flat()
            : await runFailedAgain(await runAll(folder, leftOut), folder);
        for (const line of slowest(results)) console.log(line);
        console.log(`${quick ? "quick, " : ""}${duration((Date.now() - started) / 1000)}`);
        const failedLeftOut = process.env.CI === "true" ? leftOut.length : 0;
        for (const line of ending(results, leftOut, failedLeftOut)) console.log(line);
        process.exitCode = failedLeftOut > 0 || results.some(({ failed }) => failed > 0) ? 1 : 0;
    } finally {
        rmSync(folder, { recursive: true });
    }
}

main().catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
