import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { instance } from "../../instance.ts";
import { rootsFile } from "../../region/authority.ts";
import { answersOutside } from "../../region/outside.ts";

/** Of the loopback kind's public range; another one of this machine is not of the region. */
const [ours, another] = ["127.64.0.9", "127.0.0.1"];

describe("a site as visitors from outside see it", () => {
    const stateDir = mkdtempSync(path.join(tmpdir(), "outside-"));
    const sandbox = instance({ name: "test", index: 249, stateDir, kind: "loopback" });
    const pem = (name: string) => path.join(stateDir, `${name}.pem`);
    const asked: string[] = [];
    const site: http.RequestListener = ({ url = "/", headers }, response) => {
        asked.push(`${headers.host ?? ""} ${url}`);
        const status = Number(url.slice(1)) || 200;
        response.writeHead(status, status === 301 ? { location: "http://192.0.2.1/" } : {}).end();
    };
    let [plain, secure]: (http.Server | undefined)[] = [];
    const port = (server?: http.Server) => (server?.address() as AddressInfo | undefined)?.port;
    const listen = async (server: http.Server, host: string) => {
        await new Promise<void>((resolve) => server.listen(0, host, resolve));
        return server;
    };
    beforeAll(async () => {
        const self = [
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "1",
        ];
        const files = ["-keyout", pem("key"), "-out", pem("certificate")];
        const name = ["-subj", "/CN=site", "-addext", `subjectAltName=IP:${ours}`];
        execFileSync("openssl", ["req", ...self, ...name, ...files], { stdio: "ignore" });
        plain = await listen(http.createServer(site), ours);
        const [key, cert] = [readFileSync(pem("key")), readFileSync(pem("certificate"))];
        secure = await listen(https.createServer({ key, cert }, site), ours);
    });
    afterAll(() => {
        for (const server of [plain, secure]) server?.close();
        rmSync(stateDir, { recursive: true });
    });

    it.each([
        ["200", "", true],
        ["a redirect, which is not followed", "301", true],
        ["404", "404", false],
        ["503", "503", false],
    ])("answers with %s", async (_what, where, isUp) => {
        expect(await answersOutside(sandbox, `http://${ours}:${port(plain)}/${where}`)).toBe(isUp);
        expect(asked.at(-1)).toBe(`${ours}:${port(plain)} /${where}`);
    });

    it("is down where nothing listens, and where it is no site of the region's", async () => {
        const other = await listen(http.createServer(site), another);
        const before = asked.length;
        for (const target of [`http://${ours}:1/`, `http://${another}:${port(other)}/`, "nonsense"])
            expect(await answersOutside(sandbox, target), target).toBe(false);
        other.close();
        expect(asked.length).toBe(before);
    });

    it("is down over HTTPS until its certificate is one of the region's authority, for its own name", async () => {
        const target = `https://${ours}:${port(secure)}/`;
        expect(await answersOutside(sandbox, target)).toBe(false);
        mkdirSync(path.dirname(rootsFile(sandbox)), { recursive: true });
        writeFileSync(rootsFile(sandbox), readFileSync(pem("certificate")));
        expect(await answersOutside(sandbox, target)).toBe(true);
        const elsewhere = `https://127.64.0.10:${port(secure)}/`;
        expect(await answersOutside(sandbox, elsewhere)).toBe(false);
    });
});
