/**
 * `make test`: types, lint and format, then every test that this machine can run. Without root on Linux those that
 * boot droplets are left out, and the last lines say so; with CI=true that is a failure.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import {
    ensureHostPackages,
    type HostNeeds,
    missingHostPackages,
    requireLinuxRoot,
} from "../sandbox/host.ts";
import { buildGoTool } from "../sandbox/offline-engine/build-cli.ts";
import { purgeAbandoned } from "../sandbox/process.ts";
import { progress } from "../sandbox/progress.ts";

interface Counts {
    passed: number;
    failed: number;
    skipped: number;
}

/** What we read of vitest's JSON report. */
interface VitestReport {
    numPassedTests: number;
    numFailedTests: number;
    numFailedTestSuites: number;
    numPendingTests: number;
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
    lint: ["eslint", "."],
    format: ["prettier", "--check", "--log-level", "warn", "."],
};
const shellCheck = ["shellcheck", "components/apply-haproxy.sh", "sandbox/droplets/launch.sh", ".ci/run"];

/** Checks .github/workflows; it uses shellcheck where it finds it. Its version stands in its go.mod. */
const actionlint = {
    module: path.join(import.meta.dirname, "actionlint"),
    package: "github.com/rhysd/actionlint/cmd/actionlint",
    versionOf: "github.com/rhysd/actionlint",
    title: "actionlint",
    takes: "about 10 seconds",
    needsMiB: 200,
};

/** Runs a program of node_modules or of the host; its output goes to the terminal. Resolves with its exit code. */
function run(command: string, args: string[]): Promise<number> {
    const env = { ...process.env, PATH: `${path.join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}` };
    const child = spawn(command, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] });
    return new Promise((resolve) => {
        child.once("error", () => {
            resolve(127);
        });
        child.once("close", (code) => {
            resolve(code ?? 1);
        });
    });
}

async function runCheck(title: string, [command = "", ...args]: string[]): Promise<Counts> {
    const code = await say.step(title, () => run(command, args));
    return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

/** Runs one of the projects of vitest.config.mts. A run that ends without a report counts as a failure. */
async function runTests(project: string, folder: string): Promise<Counts> {
    const report = path.join(folder, `${project}.json`);
    const args = [
        "run",
        "--project",
        project,
        "--reporter",
        "default",
        "--reporter",
        "json",
        "--outputFile",
        report,
    ];
    const code = await run("vitest", args);
    try {
        const { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests } = JSON.parse(
            readFileSync(report, "utf8"),
        ) as VitestReport;
        // A file that could not be loaded has no failed test, but is a failed suite.
        const failed = Math.max(
            numFailedTests,
            numFailedTests === 0 ? numFailedTestSuites : 0,
            code === 0 ? 0 : 1,
        );
        return { passed: numPassedTests, failed, skipped: numPendingTests };
    } catch {
        return { passed: 0, failed: 1, skipped: 0 };
    }
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

async function main(): Promise<void> {
    const reason = noMachines();
    if (reason === undefined) {
        await ensureHostPackages({ log: say.log });
        const needs = { ...checkPackages, ...integrationPackages, ...rootPackages };
        await ensureHostPackages({ log: say.log, needs });
        await purgeAbandoned(say);
    }
    const leftOut: string[] = [];
    const counts: Counts[] = [];
    /** Leaves a part out if this machine lacks what it runs. */
    const unlessMissing = async (title: string, needs: HostNeeds, part: () => Promise<Counts>) => {
        const missing = await missingHostPackages(needs);
        if (missing.length === 0) counts.push(await part());
        else leftOut.push(`${title}: these Debian packages are missing: ${missing.join(", ")}`);
    };
    for (const [title, command] of Object.entries(checks)) counts.push(await runCheck(title, command));
    await unlessMissing("shell scripts", checkPackages, () => runCheck("shell scripts", shellCheck));
    try {
        const linter = await buildGoTool(actionlint, say.log, process.env);
        counts.push(await runCheck("workflows", [linter]));
    } catch (error) {
        leftOut.push(`workflows: ${(error as Error).message}`);
    }
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-test-"));
    try {
        counts.push(await runTests("unit", folder));
        await unlessMissing("integration tests", integrationPackages, () => runTests("integration", folder));
        if (reason === undefined)
            counts.push(await runTests("machines", folder), await runTests("e2e", folder));
        else leftOut.push(`tests that boot droplets, end-to-end tests among them: ${reason}`);
    } finally {
        rmSync(folder, { recursive: true });
    }
    for (const line of leftOut) console.log(`left out: ${line}`);
    const total = (key: keyof Counts) => counts.reduce((sum, count) => sum + count[key], 0);
    const failed = total("failed") + (process.env.CI === "true" ? leftOut.length : 0);
    const skipped = total("skipped");
    console.log(`${total("passed")} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
    process.exitCode = failed > 0 ? 1 : 0;
}

main().catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
