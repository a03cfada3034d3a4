import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitForCloudInit } from "../../components/load-balancer";

describe("waiting for the load balancer's cloud-init", () => {
    let bin: string;
    beforeAll(() => {
        bin = mkdtempSync(path.join(tmpdir(), "dropscale-"));
    });
    afterAll(() => {
        rmSync(bin, { recursive: true });
    });

    /** Runs the script where `cloud-init` does this. */
    function run(cloudInit: string) {
        writeFileSync(path.join(bin, "cloud-init"), `#!/bin/sh\n${cloudInit}\n`, { mode: 0o755 });
        const env = { ...process.env, PATH: `${bin}:${process.env.PATH ?? ""}` };
        return spawnSync("bash", ["-s"], { input: waitForCloudInit("7", 1), env, encoding: "utf8" });
    }

    it.each([
        ["is done", 0],
        ["is done with warnings", 2],
    ])("ends well when it %s", (_how, code) => {
        expect(run(`[ "$*" = "status --wait" ] && exit ${code}`)).toMatchObject({ status: 0, stderr: "" });
    });

    it.each([
        ["failed", "exit 1", "cloud-init failed on the load balancer; the end of /var/log/"],
        [
            "does not end",
            "exec sleep 30",
            "cloud-init did not end within 1 s on the load balancer; the end of",
        ],
    ])("says so when it %s", (_how, cloudInit, message) => {
        const { status, stderr } = run(cloudInit);
        expect(status).toBe(1);
        expect(stderr).toContain(message);
    });
});
