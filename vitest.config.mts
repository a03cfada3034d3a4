import { defineConfig } from "vitest/config";

// One project a kind of test: `vitest run --project unit`. What each needs is said in README.md, "Tests".
export default defineConfig({
    test: {
        projects: [
            { test: { name: "unit", include: ["test/unit/**/*.test.ts", "sandbox/test/unit/**/*.test.ts"] } },
            {
                // Starts processes of its own (the API, plugins, HAProxy); no root needed where it can be helped.
                test: {
                    name: "integration",
                    include: ["test/integration/**/*.test.ts", "sandbox/test/integration/**/*.test.ts"],
                    testTimeout: 120_000,
                    hookTimeout: 300_000,
                },
            },
            {
                // Boots droplets: root on Linux only.
                test: {
                    name: "machines",
                    include: ["test/e2e/**/*.test.ts", "sandbox/test/machines/**/*.test.ts"],
                    testTimeout: 600_000,
                    hookTimeout: 900_000,
                    fileParallelism: false,
                },
            },
        ],
    },
});
