import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const run = promisify(execFile);
const root = path.resolve(__dirname, "../..");

/** `make test` runs on the Node that is there: 20 at the oldest. The next two have to do as well. */
describe.each([22, 24])("Node %i", (version) => {
    let folder: string;
    let env: NodeJS.ProcessEnv;

    beforeAll(async () => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-node-"));
        const platform = `node-${process.platform}-${process.arch}`;
        await run("npm", ["install", "--no-save", "--prefix", folder, `${platform}@${version}`]);
        const bin = path.join(folder, "node_modules", platform, "bin");
        env = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}` };
        const { stdout } = await run("node", ["--version"], { env });
        expect(stdout).toMatch(new RegExp(`^v${version}\\.`));
    });
    afterAll(() => {
        rmSync(folder, { recursive: true });
    });

    // The engine's stand-ins, and so the program, run on the Node that runs the tests.
    it.each([
        ["unit tests", ["unit"]],
        ["previews", ["integration", "test/integration/preview.test.ts"]],
    ])("passes the %s", async (_what, which) => {
        const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
        await run("node", [vitest, "run", "--config", "test/vitest.config.mts", "--project", ...which], {
            cwd: root,
            env,
            maxBuffer: 2 ** 26,
        });
    });
});
