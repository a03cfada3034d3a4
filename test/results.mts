import { readFileSync } from "node:fs";
import * as path from "node:path";
import { firstLine } from "../sandbox/host.ts";

/** What became of a check, or of the tests of a file. */
export interface Result {
    /** A check's name, or a file's path from the root. */
    title: string;
    passed: number;
    failed: number;
    skipped: number;
    seconds: number;
    /** A line for each failure: what, and the first line of why. */
    failures: string[];
    /** Of vitest.config.mts. @default a check */
    project?: string;
    /** The same of a first run, beside other tests. @default there was none */
    failedBeside?: string[];
}

/** What we read of vitest's JSON report. */
interface VitestReport {
    testResults: FileReport[];
}

/** Times in milliseconds; the message says why a file could not be loaded or set up. */
interface FileReport {
    name: string;
    startTime: number;
    endTime: number;
    status: "passed" | "failed";
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] | null }[];
}

/** How vitest was run. */
interface Run {
    root: string;
    project: string;
    /** With which it ended. */
    code: number;
}

/**
 * Results by file. A run that leaves no report, or that fails without a failed file (an error between tests), is a failure
 * of its own.
 *
 * @param file vitest's JSON report.
 */
export function readReport(file: string, { root, project, code }: Run): Result[] {
    const none = { title: project, passed: 0, failed: 1, skipped: 0, seconds: 0 };
    let report: VitestReport;
    try {
        report = JSON.parse(readFileSync(file, "utf8")) as VitestReport;
    } catch {
        return [{ ...none, failures: [`${project}: vitest ended with ${code} and left no report`] }];
    }
    const results = report.testResults.map((each) => ({ ...resultOf(each, root), project }));
    if (code === 0 || results.some(({ failed }) => failed > 0)) return results;
    return [...results, { ...none, failures: [`${project}: vitest ended with ${code}`] }];
}

function resultOf(report: FileReport, root: string): Result {
    const title = path.relative(root, report.name);
    const count = (...statuses: string[]) =>
        report.assertionResults.filter(({ status }) => statuses.includes(status)).length;
    const failed = report.assertionResults.filter(({ status }) => status === "failed");
    // A file that could not be loaded or set up has no failed test.
    const failures =
        report.status === "failed" && failed.length === 0
            ? [`${title}: ${firstLine(report.message)}`]
            : failed.map(({ fullName, failureMessages }) => {
                  return `${title}: ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`;
              });
    return {
        title,
        passed: count("passed"),
        failed: failures.length,
        skipped: count("pending", "skipped", "todo"),
        seconds: (report.endTime - report.startTime) / 1000,
        failures,
    };
}

/** Lines about what took ten seconds or more, so that tests that have become slower show where. */
export function slowest(results: readonly Result[]): string[] {
    const shown = results.filter(({ seconds }) => seconds >= 10).sort((a, b) => b.seconds - a.seconds);
    if (shown.length === 0) return [];
    return [
        "seconds of what took ten or more (most of it ran beside something else)",
        ...shown.map(({ title, seconds }) => `${seconds.toFixed(0).padStart(7)}  ${title}`),
    ];
}

/**
 * The last lines: what failed, what only passed alone, what was left out, and the count.
 *
 * @param failedLeftOut How many of what was left out count as failed.
 */
export function ending(
    results: readonly Result[],
    leftOut: readonly string[],
    failedLeftOut: number,
): string[] {
    const total = (key: "passed" | "failed" | "skipped") =>
        results.reduce((sum, result) => sum + result[key], 0);
    const skipped = total("skipped");
    const alone = results
        .filter(({ failed }) => failed === 0)
        .flatMap(({ failedBeside = [] }) => failedBeside);
    return [
        ...alone.map((line) => `passed alone only: ${line}`),
        ...results.flatMap(({ failures }) => failures).map((line) => `failed: ${line}`),
        ...leftOut.map((line) => `left out: ${line}`),
        `${total("passed")} passed, ${total("failed") + failedLeftOut} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
    ];
}
