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
        for (const target of [
            "up",
            "preview",
            "plan",
            "status",
            "history",
            "doctor",
            "env",
            "down",
            "test",
        ]) {
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

describe("tools/main.ts", () => {
    const token = "dop_v1_0123456789abcdef";
    const run = (...args: string[]): Promise<{ code: number; stderr: string }> =>
        new Promise((resolve) => {
            const options = { cwd: root, env: { ...process.env, DIGITALOCEAN_TOKEN: token } };
            const child = execFile(
                path.join(root, "node_modules/.bin/tsx"),
                ["tools/main.ts", ...args],
                options,
                (_, _stdout, stderr) => {
                    resolve({ code: child.exitCode ?? 1, stderr });
                },
            );
        });

    it.each([
        ["an argument", ["publish", token, "plan.md"]],
        ["an option's value", ["admit", "prod", "--minutes", token]],
        ["an unknown option", ["deploy", "prod", `--tokn=${token}`]],
    ])("masks a secret in the place of %s", async (_what, args) => {
        const { code, stderr } = await run(...args);
        expect(code).toBe(1);
        expect(stderr).toMatch(/^error: .*\[secret\]/);
        expect(stderr).not.toContain(token);
    });

    it.each([
        ["plan", "--markdown", "--quiet"],
        ["drift", "--json", "--quiet"],
        ["doctor", "--stack", "--yes"],
        ["rollout", "--stack", "--pause"],
        ["admit", "prod", "--address-url", "--remove"],
    ])("%s takes no option for another one's value", async (...args) => {
        const { code, stderr } = await run(...args);
        expect(code).toBe(1);
        expect(stderr).toContain("It should not begin with a dash.");
    });
});
