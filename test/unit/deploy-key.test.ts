import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";

const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: "utf8" });

describe("a key pair", () => {
    let folder: string;
    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-"));
    });
    afterEach(() => {
        rmSync(folder, { recursive: true });
    });

    it("made by the real ssh-keygen: its public half is that of its private half", () => {
        const { privateKey, publicKey } = splitKeyPair(run("sh", "-c", keygenScript("dropscale-dev-deploy")));
        const file = path.join(folder, "key");
        // ssh-keygen refuses a private key without its final newline.
        writeFileSync(file, privateKey, { mode: 0o600 });
        expect(run("ssh-keygen", "-y", "-f", file).trim()).toBe(publicKey);
        expect(publicKey).toMatch(/^ssh-ed25519 \S+ dropscale-dev-deploy$/);
    });

    it("is taken apart as the engine keeps it, without the last newline", () => {
        const printed = run("sh", "-c", keygenScript("x"));
        expect(splitKeyPair(printed.trimEnd())).toEqual(splitKeyPair(printed));
    });

    it.each(["", "Permission denied", "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n"])(
        "is not made of %j, and what was printed is not repeated",
        (text) => {
            expect(() => splitKeyPair(text)).toThrow(/^ssh-keygen printed something that is no key pair$/);
        },
    );
});
