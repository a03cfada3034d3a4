import { execFileSync, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";
import { SecretSearch } from "../secrets.mts";

const token = "dop_v1_5f1c0e2a9b";
const pem = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey.export({
    type: "pkcs1",
    format: "pem",
}) as string;
const line = pem.split("\n")[3] ?? "";

describe("the search for secrets", () => {
    const search = new SecretSearch([
        { name: "token", value: token },
        { name: "key", value: pem },
    ]);
    const found = (text: string | Buffer) => search.inText("a canary", text);
    const leak = (secret: string) => [{ secret, where: "a canary" }];

    it.each([
        ["plain", `Authorization: Bearer ${token}\n`],
        ["in JSON", JSON.stringify({ a: { token: `"${token}"` } })],
        ["URL-encoded", new URLSearchParams({ token }).toString()],
        ["in hexadecimal", Buffer.from(`x${token}y`).toString("hex")],
        ["in base64, alone", Buffer.from(token).toString("base64")],
        ["in base64, one byte after something", Buffer.from(`x${token}yz`).toString("base64")],
        ["in base64, two bytes after something", Buffer.from(`xy${token}z`).toString("base64")],
        ["among bytes that are no text", Buffer.concat([Buffer.from([0, 255]), Buffer.from(token)])],
    ])("finds a token %s", (_how, text) => {
        expect(found(text)).toEqual(leak("token"));
    });

    it.each([
        ["whole", pem],
        ["in JSON", JSON.stringify({ pem })],
        ["one line of it", `  ${line}`],
        ["indented, as in YAML", pem.replace(/^/gm, "      ")],
        ["one line, URL-encoded", encodeURIComponent(line)],
        ["in base64", Buffer.from(`#cloud-config\nssh_keys:\n${pem}`).toString("base64")],
    ])("finds a private key: %s", (_how, text) => {
        expect(found(text)).toEqual(leak("key"));
    });

    it.each([
        ["other text", "Authorization: Bearer dop_v1_0000000000"],
        ["what all keys have", "-----BEGIN RSA PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----\n"],
    ])("does not take %s for one", (_what, text) => {
        expect(found(text)).toEqual([]);
    });

    it("tells one OpenSSH key from another, and from its public half", () => {
        const [one, other] = ["a", "b"].map((comment) =>
            splitKeyPair(execFileSync("sh", ["-c", keygenScript(comment)], { encoding: "utf8" })),
        ) as [ReturnType<typeof splitKeyPair>, ReturnType<typeof splitKeyPair>];
        const forOne = new SecretSearch([{ name: "one", value: one.privateKey }]);
        expect(forOne.inText("", other.privateKey)).toEqual([]);
        expect(forOne.inText("", one.publicKey)).toEqual([]);
        expect(forOne.inText("", one.privateKey)).toHaveLength(1);
    });

    describe("in a folder", () => {
        let folder: string;
        beforeEach(() => {
            folder = mkdtempSync(path.join(tmpdir(), "dropscale-secrets-"));
            mkdirSync(path.join(folder, "logs"));
        });
        afterEach(() => {
            rmSync(folder, { recursive: true });
        });

        it("finds them in files, names and link targets, and leaves out what it is told to", () => {
            writeFileSync(path.join(folder, "logs", "engine.log"), `token=${token}\n`);
            writeFileSync(path.join(folder, "logs", token), "");
            symlinkSync(`/nowhere/${token}`, path.join(folder, "link"));
            writeFileSync(path.join(folder, "allowed"), token);
            const leaks = search.inFolder(folder, (file) => file.endsWith("/allowed"));
            const where = ["link", "logs/engine.log", `logs/${token}`];
            expect(leaks.map((one) => path.relative(folder, one.where)).sort()).toEqual(where.sort());
        });
    });

    // Where there is no /proc, no droplet boots either.
    it.runIf(existsSync("/proc/self/cmdline"))(
        "finds one in another process's command line, and says which",
        async () => {
            const child = spawn(process.execPath, ["-e", "setTimeout(() => 0, 60_000)", token]);
            try {
                await new Promise((resolve) => child.once("spawn", resolve));
                const leaks = search.inProcesses();
                expect(leaks).toContainEqual({ secret: "token", where: `process ${child.pid ?? 0} (node)` });
            } finally {
                child.kill();
            }
        },
    );
});
