import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";

const root = path.resolve(__dirname, "../..");
/** Nothing listens there. */
const nowhere = "http://127.0.0.1:1";

describe("the status of a stack", () => {
    let folder: string;
    beforeAll(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-status-"));
        mkdirSync(path.join(folder, "empty"));
        mkdirSync(path.join(folder, "bin"));
    });
    afterAll(() => {
        rmSync(folder, { recursive: true });
    });

    /** Runs tools/status.ts where `pulumi` is this script. */
    function status(pulumi?: string): Promise<{ code: number; stdout: string; stderr: string }> {
        const script = path.join(folder, "bin/pulumi");
        if (pulumi !== undefined) writeFileSync(script, `#!/bin/sh\n${pulumi}\n`, { mode: 0o755 });
        const PATH = pulumi === undefined ? path.join(folder, "empty") : `${folder}/bin:/usr/bin:/bin`;
        const env = { PATH, DIGITALOCEAN_API_URL: nowhere, DIGITALOCEAN_TOKEN: "none" };
        const args = ["--import", "tsx", path.join(root, "tools/status.ts"), "prod"];
        return new Promise((resolve) => {
            const child = execFile(process.execPath, args, { cwd: root, env }, (_, stdout, stderr) => {
                resolve({ code: child.exitCode ?? 1, stdout, stderr });
            });
        });
    }

    const { privateKey, publicKey } = splitKeyPair(
        execFileSync("sh", ["-c", keygenScript("status")], { encoding: "utf8" }),
    );
    const outputs = (servers: object[]) => ({
        url: "http://203.0.113.9",
        loadBalancerIp: "127.0.0.1", // whatever answers there has another host key
        monthlyCost: 24,
        deployKey: privateKey,
        hostKey: publicKey,
        servers,
    });
    const printing = (value: object) => `cat <<'EOF'\n${JSON.stringify(value)}\nEOF`;

    it.each([
        ["there is no pulumi", undefined, "error: there is no `pulumi` on PATH"],
        [
            "pulumi refuses",
            "echo \"error: no stack named 'prod' found\" >&2; exit 255",
            "error: no stack named",
        ],
        ["the stack is empty", printing({}), "error: stack prod has no outputs yet: `pulumi up` makes them"],
        [
            "the API does not answer",
            printing(outputs([{ name: "web-0", slot: 0, dropletId: "7", privateIp: "10.0.0.1" }])),
            `error: ${nowhere} does not answer: `,
        ],
    ])("is one line when %s", async (_what, pulumi, message) => {
        const { code, stdout, stderr } = await status(pulumi);
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(stderr).toContain(message);
        expect(stderr.trim().split("\n")).toHaveLength(1);
    });

    it("shows the table, and then why HAProxy could not be asked", async () => {
        const { code, stdout, stderr } = await status(printing(outputs([])));
        expect(code).toBe(1);
        expect(stdout).toContain("http://203.0.113.9   $24 a month");
        expect(stdout).toContain("HAProxy says");
        expect(stderr).toMatch(/^error: SSH to root@127\.0\.0\.1: /);
    });
});
