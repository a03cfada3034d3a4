import { execFile } from "node:child_process";
import * as path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(__dirname, "../..");

/** Runs `make` in the checkout, as a person without a terminal would. */
function make(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
        const child = execFile("make", ["-s", ...args], { cwd: root }, (_, stdout, stderr) => {
            resolve({ code: child.exitCode ?? 1, stdout, stderr });
        });
    });
}

describe("make", () => {
    it("alone lists the commands", async () => {
        const { code, stdout } = await make();
        expect(code).toBe(0);
        for (const target of ["up", "preview", "plan", "status", "doctor", "env", "down", "test"]) {
            expect(stdout).toMatch(new RegExp(`^  make ${target} +\\S`, "m"));
        }
    });

    it("preview shows the whole dev stack, and leaves no sandbox behind", async () => {
        const { code, stdout, stderr } = await make("preview");
        expect(code, stderr).toBe(0);
        expect(stdout).toMatch(/replicas\s*: 3/);
        expect(stdout).toContain("+ 26 to create");
        expect(stderr).toMatch(/engine: Pulumi v3\.\S+ .*digitalocean v\S+ and command v\S+/);
        expect(stderr).not.toContain("\u001b[");
    });
});
