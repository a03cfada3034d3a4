import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { defineConfig } from "vitest/config";

const root = path.resolve(import.meta.dirname, "..");

/** Unit tests that put something in another module's place: they have all modules to themselves. */
const mocking = readdirSync(path.join(root, "test/unit"))
    .map((name) => `test/unit/${name}`)
    .filter(
        (file) =>
            file.endsWith(".test.ts") && readFileSync(path.join(root, file), "utf8").includes("vi.mock("),
    );

/** Unit tests need nothing but this process. */
const unit = {
    sequence: { groupOrder: 1 },
    // Some wait for a clock, or for git: beside them the other core's worker computes.
    maxWorkers: 2,
    // The whole program under mocks takes seconds where all cores are busy.
    testTimeout: 60_000,
    hookTimeout: 60_000,
};

// `make test` runs all but the last, which is `make soak`'s; one alone: `npm run vitest -- --project 'unit*'`.
export default defineConfig({
    test: {
        // One project after the other (groupOrder): they do not share the two cores of a small machine.
        projects: [
            {
                // Modules are loaded once for all files: to load them for each was most of the time.
                test: {
                    ...unit,
                    name: "unit",
                    include: ["test/unit/**/*.test.ts", "sandbox/test/unit/**/*.test.ts"],
                    exclude: mocking,
                    isolate: false,
                },
            },
            { test: { ...unit, name: "unit-mocking", include: mocking } },
            {
                // Processes of the test's own on loopback: the API, the engine and its plugins, sshd. No root.
                test: {
                    name: "integration",
                    sequence: { groupOrder: 2 },
                    include: ["test/integration/**/*.test.ts", "sandbox/test/integration/**/*.test.ts"],
                    testTimeout: 240_000,
                    hookTimeout: 900_000,
                    maxWorkers: 2,
                },
            },
            {
                // Namespaces, HAProxy and machines that boot: root on Linux.
                test: {
                    name: "machines",
                    sequence: { groupOrder: 3 },
                    include: ["test/host/**/*.test.ts", "sandbox/test/machines/**/*.test.ts"],
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    fileParallelism: false,
                },
            },
            {
                // Stacks on droplets that boot, each in a sandbox of its own: root on Linux. Two at a time: most of each is
                // waiting, but with more, visitors who wait for a busy machine would look like visitors who were lost.
                test: {
                    name: "e2e",
                    sequence: { groupOrder: 4 },
                    include: ["test/e2e/**/*.test.ts"],
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    maxWorkers: 2,
                },
            },
            {
                // The same, where minutes buy one more case of what the others show already; real requests through the next
                // Debian's HAProxy among them.
                test: {
                    name: "soak",
                    sequence: { groupOrder: 5 },
                    include: [
                        "test/soak/**/*.test.ts",
                        "test/host/{traffic,https,probes,metrics}.test.ts",
                        "test/e2e/{pipeline,rollout}.test.ts",
                    ],
                    env: { NEXT_DEBIAN: "yes", SOAK: "yes" },
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    fileParallelism: false,
                },
            },
        ],
    },
});
