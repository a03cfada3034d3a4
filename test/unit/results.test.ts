import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ending, readReport, type Result } from "../results.mts";

const folder = mkdtempSync(path.join(tmpdir(), "dropscale-results-"));
afterAll(() => {
    rmSync(folder, { recursive: true });
});

const read = (code: number, ...files: object[]): Result[] => {
    const file = path.join(folder, "report.json");
    const testResults = files.map((each) => ({ startTime: 0, endTime: 1500, message: "", ...each }));
    writeFileSync(file, JSON.stringify({ testResults }));
    return readReport(file, { root: "/site", project: "unit", code });
};

const passed = { fullName: "a b", status: "passed", failureMessages: [] };
const good = { name: "/site/test/a.test.ts", status: "passed", assertionResults: [passed] };

describe("a report of tests", () => {
    it("is counted by file", () => {
        expect(read(0, good)).toEqual([
            {
                title: "test/a.test.ts",
                project: "unit",
                passed: 1,
                failed: 0,
                skipped: 0,
                seconds: 1.5,
                failures: [],
            },
        ]);
    });

    it("names each test that failed, with the first line of why", () => {
        const failed = {
            fullName: "a c",
            status: "failed",
            failureMessages: ["expected 1 to be 2\n    at x"],
        };
        const [result] = read(1, { ...good, status: "failed", assertionResults: [passed, failed] });
        expect(result).toMatchObject({
            passed: 1,
            failed: 1,
            failures: ["test/a.test.ts: a c: expected 1 to be 2"],
        });
    });

    it("counts a file whose set-up failed as one failure, and its tests as skipped", () => {
        const skipped = { fullName: "a d", status: "skipped", failureMessages: [] };
        const [result] = read(1, {
            ...good,
            status: "failed",
            message: "no room\nmore",
            assertionResults: [skipped],
        });
        expect(result).toMatchObject({
            passed: 0,
            failed: 1,
            skipped: 1,
            failures: ["test/a.test.ts: no room"],
        });
    });

    it("fails where there is none, and where vitest failed without a test that did", () => {
        const missing = readReport(path.join(folder, "none.json"), { root: "/", project: "e2e", code: 137 });
        expect(missing).toMatchObject([
            { failed: 1, failures: ["e2e: vitest ended with 137 and left no report"] },
        ]);
        expect(read(1, good)).toMatchObject([
            { passed: 1, failed: 0 },
            { failed: 1, failures: ["unit: vitest ended with 1"] },
        ]);
    });
});

describe("the last lines", () => {
    const [result] = read(0, good) as [Result];

    it("count", () => {
        expect(ending([result, result], [], 0)).toEqual(["2 passed, 0 failed"]);
        expect(ending([{ ...result, skipped: 3 }], [], 0)).toEqual(["1 passed, 0 failed, 3 skipped"]);
    });

    it("name what failed, and what passed only when it ran alone", () => {
        const first = { ...result, failedBeside: ["test/a.test.ts: a b: too late"] };
        expect(ending([first], [], 0)).toEqual([
            "passed alone only: test/a.test.ts: a b: too late",
            "1 passed, 0 failed",
        ]);
        const again = { ...first, passed: 0, failed: 1, failures: ["test/a.test.ts: a b: wrong"] };
        expect(ending([again], [], 0)).toEqual(["failed: test/a.test.ts: a b: wrong", "0 passed, 1 failed"]);
    });

    it("tell what was left out, as a failure where it should not be", () => {
        expect(ending([result], ["e2e: no root"], 1)).toEqual([
            "left out: e2e: no root",
            "1 passed, 1 failed",
        ]);
    });
});
