import { defineConfig } from "vitest/config";

// `make test` runs the first three, `make soak` the last; one alone: `npx vitest run --project unit`.
export default defineConfig({
    test: {
        projects: [
            {
                // Nothing but this process.
                test: { name: "unit", include: ["test/unit/**/*.test.ts", "sandbox/test/unit/**/*.test.ts"] },
            },
            {
                // Processes of the test's own on loopback: the API, the engine and its plugins, sshd. No root.
                test: {
                    name: "integration",
                    include: ["test/integration/**/*.test.ts", "sandbox/test/integration/**/*.test.ts"],
                    testTimeout: 120_000,
                    hookTimeout: 900_000,
                },
            },
            {
                // Namespaces and droplets that boot: root on Linux.
                test: {
                    name: "root",
                    include: [
                        "test/host/**/*.test.ts",
                        "test/e2e/**/*.test.ts",
                        "sandbox/test/machines/**/*.test.ts",
                    ],
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    fileParallelism: false,
                },
            },
            {
                // The same, where minutes buy one more case of what `root` shows already.
                test: {
                    name: "soak",
                    include: ["test/soak/**/*.test.ts"],
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    fileParallelism: false,
                },
            },
        ],
    },
});
