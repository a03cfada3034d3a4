import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { fingerprint, otherHostKey, shownKey } from "../../lib/host-key";

const expected = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm1 dropscale-dev-load-balancer";

describe("a host's key", () => {
    it("is read from what ssh-keyscan prints, and not from its comments", () => {
        const printed = "# 203.0.113.7:22 SSH-2.0-OpenSSH_9.2p1\n203.0.113.7 ssh-ed25519 AAAAfound\n";
        expect(shownKey(printed)).toBe("AAAAfound");
        expect(shownKey("# 203.0.113.7:22 SSH-2.0-OpenSSH_9.2p1\n")).toBeUndefined();
        expect(shownKey("")).toBeUndefined();
    });

    it("has the fingerprint that ssh-keygen shows", () => {
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-key-"));
        const file = path.join(folder, "key");
        const keygen = (...args: string[]) => execFileSync("ssh-keygen", args, { encoding: "utf8" });
        keygen("-q", "-t", "ed25519", "-N", "", "-f", file);
        const [, shown] = keygen("-l", "-f", file).split(" ");
        const [, key = ""] = keygen("-y", "-f", file).split(" ");
        rmSync(folder, { recursive: true });
        expect(fingerprint(key.trim())).toBe(shown);
    });

    it("that is another one is told with both fingerprints, and what to do", () => {
        const text = otherHostKey(expected, "AAAAfound");
        expect(text).toContain(`it shows the host key ${fingerprint("AAAAfound")}`);
        expect(text).toContain(`expected ${fingerprint(expected.split(" ")[1] ?? "")}`);
        expect(text).toContain("pulumi up --refresh");
        expect(text).toContain("pulumi up --replace '**::keys-host'");
    });
});
