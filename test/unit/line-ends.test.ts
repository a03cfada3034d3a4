import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { expect, it } from "vitest";

const root = path.join(__dirname, "../..");

it.runIf(existsSync(path.join(root, ".git")))("a checkout on Windows keeps the line ends of scripts", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-checkout-"));
    const script = "components/haproxy/apply.sh";
    // As Git for Windows is set up.
    const checkout = ["-c", "core.autocrlf=true", "checkout-index", `--prefix=${folder}/`, script];
    execFileSync("git", checkout, { cwd: root });
    const text = readFileSync(path.join(folder, script), "utf8");
    rmSync(folder, { recursive: true });
    expect(text).toMatch(/^#!.*\n/);
    expect(text).not.toContain("\r");
});
