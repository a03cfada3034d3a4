import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { admittedRanges, checkAccess, expectHostKey, reachableFrom } from "../../account/admin-access";
import { fingerprint } from "../../lib/host-key";

describe("adminCidrs", () => {
    it("say nothing of a machine behind NAT", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "127.0.0.2")).resolves.toBe("127.0.0.2");
    });

    it("say nothing of an address that is no address yet", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "")).resolves.toBe("");
    });
});

describe("the ranges that are admitted for one run", () => {
    it.each([
        ["", []],
        ["203.0.113.9/32", ["203.0.113.9/32"]],
        [" 203.0.113.9/32, 198.51.100.0/24,", ["203.0.113.9/32", "198.51.100.0/24"]],
    ])("are read from %j", (value, expected) => {
        expect(admittedRanges(value)).toEqual(expected);
    });

    it.each(["203.0.113.9", "0.0.0.0/0", "128.0.0.0/1", "203.0.113.9/24", "203.0.113.9/32/1", "::1/128"])(
        "are refused where one is %j: the message names it, and a good one",
        (wrong) => {
            expect(() => admittedRanges(`198.51.100.0/24,${wrong}`)).toThrow(
                `DROPSCALE_ADMITTED should be IPv4 ranges separated by commas, such as 203.0.113.9/32, not of the ` +
                    `whole Internet, got ${wrong}; set it right, or unset it`,
            );
        },
    );

    it("are looked at before there is an address to reach", () => {
        expect(() => checkAccess(["203.0.113.0/24"], "everybody")).toThrow(/got everybody/);
    });
});

describe("a load balancer's host key", () => {
    let folder: string;
    const address = "127.0.0.2";
    const expected = "ssh-ed25519 AAAAexpected dropscale-dev-load-balancer";

    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-keyscan-"));
        vi.stubEnv("PATH", folder);
    });
    afterEach(() => {
        vi.unstubAllEnvs();
        rmSync(folder, { recursive: true });
    });

    /** What stands in for `ssh-keyscan`. */
    function scanner(script: string): void {
        const file = path.join(folder, "ssh-keyscan");
        writeFileSync(file, `#!/bin/sh\n${script}\n`);
        chmodSync(file, 0o755);
    }

    it("that is the expected one passes", async () => {
        scanner(
            '[ "$*" = "-T 5 -t ed25519 127.0.0.2" ] && key=AAAAexpected; echo "$5 ssh-ed25519 ${key-AAAAother}"',
        );
        await expect(expectHostKey(address, expected)).resolves.toBe(address);
    });

    it("that is another one is refused: where, which, and which was expected", async () => {
        scanner('echo "$5 ssh-ed25519 AAAAother"');
        await expect(expectHostKey(address, expected)).rejects.toThrow(
            `SSH to root@127.0.0.2: it shows the host key ${fingerprint("AAAAother")}, ` +
                `expected ${fingerprint("AAAAexpected")}`,
        );
    });

    it.each(["exit 1", 'echo "# $5:22 SSH-2.0-OpenSSH_9.2p1"', 'echo "$5: Connection refused" >&2; exit 1'])(
        "that is not shown (%s) is left to the dialling",
        async (script) => {
            scanner(script);
            await expect(expectHostKey(address, expected)).resolves.toBe(address);
        },
    );

    it("is not asked for without ssh-keyscan, nor where there is no address yet", async () => {
        await expect(expectHostKey(address, expected)).resolves.toBe(address);
        scanner('echo "$5 ssh-ed25519 AAAAother"');
        await expect(expectHostKey("", expected)).resolves.toBe("");
    });
});
