/**
 * `make test`: types, lint and format, and every test that this machine can run. Without root on Linux those that
 * boot droplets are left out, and the last lines say so; with CI=true that is a failure.
 * `make test ARGS=--quick`: types, lint, format and unit tests, for the loop while writing.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import {
    ensureHostPackages,
    type HostNeeds,
    missingHostPackages,
    requireLinuxRoot,
} from "../sandbox/host.ts";
import { buildGoTool } from "../sandbox/offline-engine/build-cli.ts";
import { purgeAbandoned } from "../sandbox/process.ts";
import { duration, progress } from "../sandbox/progress.ts";

interface Counts {
    passed: number;
    failed: number;
    skipped: number;
    /** What took how long. */
    times: Time[];
    /** What failed, and the first line of why. */
    failures: string[];
}

interface Time {
    title: string;
    seconds: number;
}

/** What we read of vitest's JSON report. */
interface VitestReport {
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
    numPendingTests: number;
    testResults: FileReport[];
}

/** One test file; times in milliseconds. Its own message says why it could not be loaded or set up. */
interface FileReport {
    name: string;
    startTime: number;
    endTime: number;
    status: "passed" | "failed";
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] | null }[];
}

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
    unshare: "util-linux",
    ss: "iproute2",
    slowhttptest: "slowhttptest",
};

/** Checks of the text of the project; each counts as one test. */
const checks: Record<string, string[]> = {
    types: ["tsc"],
    "types of the sandbox": ["tsc", "-p", "sandbox"],
    lint: ["eslint", "--config", "test/eslint.config.mjs", "."],
    format: ["prettier", "--check", "--log-level", "warn", "."],
};
const shellCheck = ["shellcheck", "components/haproxy/apply.sh", "sandbox/droplets/launch.sh", ".ci/run"];

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
 * @param beside Something else prints meanwhile: its own output comes in one piece at its end.
 */
function run(command: string, args: string[], beside: boolean): Promise<number> {
    const env = { ...process.env, PATH: `${path.join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}` };
    const output = beside ? "pipe" : "inherit";
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", output, output] });
    const printed: Buffer[] = [];
    for (const stream of [child.stdout, child.stderr])
        stream?.on("data", (data: Buffer) => {
            printed.push(data);
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

async function runCheck(title: string, [command = "", ...args]: string[]): Promise<Counts> {
    const started = Date.now();
    const code = await say.step(title, () => run(command, args, true));
    const times = [{ title, seconds: (Date.now() - started) / 1000 }];
    const failures = code === 0 ? [] : [`${title}: ${command} ended with ${code}`];
    return { passed: code === 0 ? 1 : 0, failed: failures.length, skipped: 0, times, failures };
}

const firstLine = (text: string) => text.split("\n", 1)[0] ?? "";

/** A line for each failed test of a file, and one for a set-up that failed before any of them. */
function failuresOf({ name, status, message, assertionResults }: FileReport): string[] {
    const file = path.relative(root, name);
    const failed = assertionResults.filter((test) => test.status === "failed");
    if (status === "failed" && failed.length === 0) return [`${file}: ${firstLine(message)}`];
    return failed.map(
        ({ fullName, failureMessages }) => `${file}: ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`,
    );
}

/** Runs one of the projects of vitest.config.mts. A run that ends without a report counts as a failure. */
async function runTests(project: string, folder: string, { beside = false } = {}): Promise<Counts> {
    const report = path.join(folder, `${project}.json`);
    const reporters = ["--reporter", "default", "--reporter", "json", "--outputFile", report];
    const code = await run(
        "vitest",
        ["run", "--config", "test/vitest.config.mts", "--project", project, ...reporters],
        beside,
    );
    try {
        const { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests, testResults } =
            JSON.parse(readFileSync(report, "utf8")) as VitestReport;
        // A file that could not be loaded has no failed test, but is a failed suite.
        const failed = Math.max(
            numFailedTests,
            numFailedTests === 0 ? numFailedTestSuites : 0,
            code === 0 ? 0 : 1,
        );
        const times = testResults.map(({ name, startTime, endTime }) => ({
            title: path.relative(root, name),
            seconds: (endTime - startTime) / 1000,
        }));
        const failures = testResults.flatMap(failuresOf);
        return { passed: numPassedTests, failed, skipped: numPendingTests, times, failures };
    } catch {
        const failures = [`${project}: vitest ended with ${code} and left no report`];
        return { passed: 0, failed: 1, skipped: 0, times: [], failures };
    }
}

/** Prints the slowest parts, so that a `make test` that has become slower shows where. */
function printTimes(times: readonly Time[]): void {
    const shown = times.filter(({ seconds }) => seconds >= 10).sort((a, b) => b.seconds - a.seconds);
    if (shown.length > 0)
        console.log("seconds of what took ten or more (most of it ran beside something else)");
    for (const { title, seconds } of shown) console.log(`${seconds.toFixed(0).padStart(7)}  ${title}`);
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
async function runChecks(leftOut: string[]): Promise<Counts[]> {
    const counts: Counts[] = [];
    for (const [title, command] of Object.entries(checks)) counts.push(await runCheck(title, command));
    const missing = await missingHostPackages(checkPackages);
    if (missing.length === 0) counts.push(await runCheck("shell scripts", shellCheck));
    else leftOut.push(lacking("shell scripts", missing));
    try {
        const linter = await buildGoTool(actionlint, say.log, process.env);
        counts.push(await runCheck("workflows", [linter]));
    } catch (error) {
        leftOut.push(`workflows: ${(error as Error).message}`);
    }
    return counts;
}

const lacking = (title: string, packages: readonly string[]) =>
    `${title}: these Debian packages are missing: ${packages.join(", ")}`;

/** All tests: what mostly waits (machines) runs beside what mostly computes, and the visitors of `e2e` alone. */
async function runAll(folder: string, leftOut: string[]): Promise<Counts[]> {
    const reason = noMachines();
    if (reason === undefined) {
        await ensureHostPackages({ log: say.log });
        const needs: HostNeeds = { ...checkPackages, ...integrationPackages, ...rootPackages };
        await ensureHostPackages({ log: say.log, needs });
        await purgeAbandoned(say);
    } else leftOut.push(`tests that boot droplets, end-to-end tests among them: ${reason}`);
    const missing = await missingHostPackages(integrationPackages);
    if (missing.length > 0) leftOut.push(lacking("integration tests", missing));
    const onProcesses = async () => {
        const unit = await runTests("unit", folder);
        return missing.length > 0 ? [unit] : [unit, await runTests("integration", folder)];
    };
    const onMachines = async () =>
        reason === undefined ? [await runTests("machines", folder, { beside: true })] : [];
    const counts = await Promise.all([onMachines(), runChecks(leftOut), onProcesses()]);
    return [...counts.flat(), ...(reason === undefined ? [await runTests("e2e", folder)] : [])];
}

async function main(): Promise<void> {
    const { quick } = parseArgs({ options: { quick: { type: "boolean", default: false } } }).values;
    const leftOut: string[] = [];
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-test-"));
    const started = Date.now();
    try {
        const counts = quick
            ? (
                  await Promise.all([runChecks(leftOut), runTests("unit", folder).then((unit) => [unit])])
              ).flat()
            : await runAll(folder, leftOut);
        printTimes(counts.flatMap(({ times }) => times));
        console.log(`${quick ? "quick, " : ""}${duration((Date.now() - started) / 1000)}`);
        for (const line of counts.flatMap(({ failures }) => failures)) console.log(`failed: ${line}`);
        for (const line of leftOut) console.log(`left out: ${line}`);
        const total = (key: "passed" | "failed" | "skipped") =>
            counts.reduce((sum, count) => sum + count[key], 0);
        const failed = total("failed") + (process.env.CI === "true" ? leftOut.length : 0);
        const skipped = total("skipped");
        console.log(
            `${total("passed")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
        );
        process.exitCode = failed > 0 ? 1 : 0;
    } finally {
        rmSync(folder, { recursive: true });
    }
}

main().catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
