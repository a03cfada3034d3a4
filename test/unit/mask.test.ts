import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { learnSecret, mask, maskAll, maskingWriter, maskSecrets, secretsOf } from "../../tools/cli/mask";

describe("the secrets of an environment", () => {
    it.each([
        "DIGITALOCEAN_TOKEN",
        "DIGITALOCEAN_ACCESS_TOKEN",
        "SPACES_ACCESS_KEY_ID",
        "SPACES_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "PULUMI_ACCESS_TOKEN",
        "PULUMI_CONFIG_PASSPHRASE",
        "GITHUB_TOKEN",
        "CI_JOB_TOKEN",
        "DB_PASSWORD",
        "npm_config__auth",
        "VENDOR_THAT_IS_NOT_THERE_YET_API_KEY",
    ])("are known by the name %s", (name) => {
        expect(secretsOf({ [name]: "0123456789abcdef" })).toContain("0123456789abcdef");
    });

    it.each([
        ["GIT_AUTHOR_NAME", "Ann Other-Person"],
        ["SSH_AUTH_SOCK", tmpdir()],
        ["DIGITALOCEAN_API_URL", "http://127.0.0.1:8080"],
        // A word: it would be found everywhere.
        ["PULUMI_CONFIG_PASSPHRASE", "dropscale"],
    ])("are not %s=%s", (name, value) => {
        expect(secretsOf({ [name]: value })).toEqual([]);
    });

    it("are in files that it names, line by line, and in URLs", () => {
        const folder = mkdtempSync(path.join(tmpdir(), "dropscale-mask-"));
        const file = path.join(folder, "credentials");
        writeFileSync(file, "[default]\naws_secret_access_key = 0123456789abcdef\n");
        const env = { AWS_SHARED_CREDENTIALS_FILE: file, STATE: "postgres://me:hunter2hunter2@db/state" };
        expect(secretsOf(env)).toEqual(expect.arrayContaining(["0123456789abcdef", "hunter2hunter2"]));
        expect(secretsOf(env)).not.toContain(file);
        rmSync(folder, { recursive: true });
        expect(secretsOf({ PULUMI_CONFIG_PASSPHRASE_FILE: file })).toContain(file);
    });
});

describe("masking", () => {
    afterEach(() => {
        vi.unstubAllEnvs();
    });

    it("takes out what a URL and JSON make of a secret, and the longer of two first", () => {
        const secret = 'a"b/c d+0123';
        const text = `${secret} ${encodeURIComponent(secret)} ${JSON.stringify({ secret })}`;
        expect(maskSecrets(text, [secret])).toBe('[secret] [secret] {"secret":"[secret]"}');
        expect(maskSecrets("0123456789ab-and-more", ["0123456789ab", "0123456789ab-and-more"])).toBe(
            "[secret]",
        );
    });

    it("reaches every text of a report, before it is escaped", () => {
        vi.stubEnv("SOME_TOKEN", "dop_v1_0123456789");
        const report = { why: ["got dop_v1_0123456789"], deep: { a: { b: "dop_v1_0123456789!" } }, n: 1 };
        expect(maskAll(report)).toEqual({ why: ["got [secret]"], deep: { a: { b: "[secret]!" } }, n: 1 });
    });

    it("knows what was learnt, each line of it", () => {
        learnSecret("-----BEGIN KEY-----\nbG9uZyBlbm91Z2g=\n");
        expect(mask("  bG9uZyBlbm91Z2g=")).toBe("  [secret]");
    });

    it("of what comes in pieces sees whole lines", () => {
        vi.stubEnv("SOME_TOKEN", "dop_v1_0123456789");
        const written: string[] = [];
        const writer = maskingWriter((text) => written.push(text));
        for (const piece of ["one\ntwo dop_v1_", "0123456789\nthr", "ee"]) writer.write(piece);
        writer.end();
        expect(written.join("")).toBe("one\ntwo [secret]\nthree");
    });
});
