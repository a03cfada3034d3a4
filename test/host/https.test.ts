import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { certifiedFile, certificateFile } from "../../components/haproxy/https";
import { certificateScript } from "../../components/https/commands";
import { checkCertificate, inOneFile } from "../../lib/certificate";
import { issue, type Issued } from "../certificates";
import { configFor, generationOf, Host } from "./haproxy-host/host";
import { debianOfThisRun } from "./haproxy-host/next-haproxy.mts";

const address = "127.0.1.1";
const script = "/run/certificate";
const https = { redirect: true, hsts: 300 };
const fingerprintOf = ({ certificate, key }: Issued) =>
    checkCertificate(certificate, key, []).facts?.fingerprint;

describe.each(debianOfThisRun)("HTTPS with HAProxy of %s", (_, find) => {
    let made: Host | undefined;
    const [first, second] = [issue(["www.example.com"]), issue(["www.example.com", "example.com"])];
    beforeAll(async () => {
        const haproxy = await find();
        if (haproxy === undefined) return;
        made = await Host.start({ haproxy });
        await made.run(`cat >${script} && chmod 755 ${script}`, certificateScript.text);
        await made.call("serve", address);
        expect(await made.apply(configFor({ 0: address }))).toMatchObject({ code: 0 });
    });
    afterAll(() => made?.stop());
    beforeEach(({ skip }) => {
        if (!made) skip("it can't be had");
    });
    const host = (): Host => {
        if (!made) throw new Error("no host");
        return made;
    };
    const run = async (command: string, input = ""): Promise<string> =>
        (await host().run(command, input)).stdout;
    const stage = async (pem: string, ...names: string[]) =>
        (await run(`exec ${script} stage install ${names.join(" ")}`, pem)).trim();
    const apply = (word: string) => host().run(`exec ${script} apply ${word}`);
    const install = async ({ certificate, key }: Issued, ...names: string[]) =>
        apply(await stage(inOneFile(certificate, key), ...names));
    const shown = (): Promise<string> =>
        run(
            "openssl s_client -connect 127.0.0.1:443 -servername www.example.com </dev/null 2>/dev/null | " +
                "openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d '\\n'",
        );
    /** Status, HTTP version, Location and HSTS of an answer. */
    const ask = async (url: string, ...more: string[]): Promise<string> => {
        const form = "'%{http_code} %{http_version} %{redirect_url} %header{strict-transport-security}'";
        return (
            await run(
                `curl -sk --resolve '*:443:127.0.0.1' -o /dev/null -w ${form} ${more.join(" ")} '${url}'`,
            )
        ).trim();
    };
    const plain = (name: string, path = "/"): Promise<string> =>
        ask(`http://127.0.0.1${path}`, `-H 'Host: ${name}'`);

    test("is refused where the port is another's, and nothing changes", async () => {
        await install(first, "www.example.com");
        const holder =
            "socat TCP-LISTEN:443,reuseaddr - </dev/zero >/dev/null 2>&1 & echo $! >/run/holder; sleep 0.3";
        await host().run(holder);
        const before = await host().generation();
        const ended = await host().apply(configFor({ 0: address }, { https }));
        await host().run("kill $(cat /run/holder)");
        expect(ended.code).toBe(1);
        expect(ended.stderr).toMatch(
            /is to listen on :443, which another process has, nothing was changed:\n.*socat/,
        );
        expect(await host().generation()).toBe(before);
    });

    test("comes by a reload that loses nothing, with the certificate that was there before", async () => {
        const { code, stdout } = await install(first, "www.example.com");
        expect({ code, stdout }).toEqual({
            code: 0,
            stdout: expect.stringContaining("for www.example.com\n") as string,
        });
        expect(await run(`stat -c %a%U ${certificateFile}`)).toBe("600root\n");
        await host().call("startLoad", 10);
        const config = configFor({ 0: address }, { https });
        const ended = await host().apply(config);
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        expect(ended.stdout).toContain("will listen on :443, too\n");
        expect(await host().generation()).toBe(generationOf(config));
        // Its clients ask by address: nobody redirects them.
        expect((await host().call("endLoad"))?.failures).toEqual([]);
        expect(await shown()).toBe(fingerprintOf(first));
    });

    test("has HTTP/2 and HTTP/1.1, tells of HSTS with every answer, and servers of HTTPS", async () => {
        expect(await ask("https://www.example.com/")).toBe("200 2  max-age=300");
        expect(await ask("https://www.example.com/", "--http1.1")).toBe("200 1.1  max-age=300");
        expect(await ask("https://www.example.com/", "-X TRACE")).toBe("405 2  max-age=300");
        // Beside it the health check asks.
        const asked = await host().call("seen", address);
        const seen = asked.filter(({ headers }) => headers.host?.[0] === "www.example.com").at(-1);
        expect(seen?.headers).toMatchObject({ "x-forwarded-proto": ["https"] });
        expect(await ask("https://www.example.com/", "--tls-max 1.1")).toMatch(/^000/);
    });

    test("redirects the names of the certificate, and no others", async () => {
        expect(await plain("WWW.example.com:80", "/a?b=1")).toBe("308 1.1 https://www.example.com/a?b=1");
        for (const name of ["127.0.0.1", "example.com", "www.example.com.evil.example"])
            expect(await plain(name)).toBe("200 1.1");
    });

    test("takes another certificate and its names without a reload, and keeps them after one", async () => {
        const pid = () =>
            run("echo '@1 show info' | socat - UNIX-CONNECT:/run/haproxy-master.sock | grep ^Pid");
        const before = await pid();
        const ended = await install(second, "www.example.com", "example.com");
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        expect(ended.stdout).toContain(`a handshake shows it: SHA-256 ${fingerprintOf(second)}`);
        expect(await pid()).toBe(before);
        expect(await shown()).toBe(fingerprintOf(second));
        expect(await plain("example.com")).toBe("308 1.1 https://example.com/");
        await host().apply(configFor({ 0: address }, { https, drainSeconds: 21 }));
        expect(await shown()).toBe(fingerprintOf(second));
        expect(await plain("example.com")).toBe("308 1.1 https://example.com/");
        await install(first, "www.example.com");
        expect(await plain("example.com")).toBe("200 1.1");
        expect(await run(`cat ${certifiedFile}`)).toBe("www.example.com\n");
    });

    test.each([
        ["no key", first.certificate, "the text has no private key, nothing was changed.\n"],
        [
            "another's key",
            second.certificate + first.key,
            "the key is not that of the first certificate, nothing was changed.\n",
        ],
        ["nothing", "", "the text has no private key, nothing was changed.\n"],
        [
            "what HAProxy can't read",
            `${first.certificate}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n${first.key}`,
            "HAProxy refuses the certificate, the old one goes on:\n",
        ],
    ])("leaves the old certificate where the new one is wrong: %s", async (_what, text, message) => {
        const ended = await apply(await stage(text, "www.example.com"));
        expect(ended.code).toBe(1);
        expect(ended.stderr).toContain(message);
        expect(await shown()).toBe(fingerprintOf(first));
        expect(await run("ls /etc/haproxy/certs")).toBe("site.pem\n");
        // No transaction stays open.
        expect(await install(first, "www.example.com")).toMatchObject({ code: 0, stderr: "" });
    });

    test("is not replaced while HAProxy is silent, and is where it is stopped", async () => {
        const socket = "/run/haproxy/admin.sock";
        await run(`mv ${socket} ${socket}.away`);
        const silent = await install(second, "www.example.com");
        await run(`mv ${socket}.away ${socket}`);
        expect(silent.code).toBe(1);
        expect(silent.stderr).toContain(`the old one goes on:\n${socket} does not answer`);
        expect(await run(`openssl x509 -noout -fingerprint -sha256 -in ${certificateFile}`)).toContain(
            fingerprintOf(first),
        );
        await run("systemctl stop haproxy");
        expect(await install(second, "www.example.com")).toMatchObject({ code: 0, stderr: "" });
        await run("systemctl start haproxy");
        expect(await shown()).toBe(fingerprintOf(second));
        expect(await install(first, "www.example.com")).toMatchObject({ code: 0, stderr: "" });
    });

    test("ends what an authority is asked for only when it is good", async () => {
        const settings = "/etc/dropscale/acme/settings";
        await run(`mkdir -p ${settings.replace(/\/\w+$/, "")} && touch ${settings}`);
        expect((await apply(await stage(first.certificate, "www.example.com"))).code).toBe(1);
        expect(await run(`ls ${settings}`)).not.toBe("");
        expect(await install(first, "www.example.com")).toMatchObject({ code: 0 });
        expect(await run(`ls ${settings}`)).toBe("");
    });

    test("never applies what was staged before the newest that was applied, and keeps no other secret", async () => {
        const old = await stage(inOneFile(second.certificate, second.key), "www.example.com");
        const newer = await stage(inOneFile(first.certificate, first.key), "www.example.com");
        expect(newer).not.toBe(old);
        expect(await apply(newer)).toMatchObject({ code: 0, stderr: "" });
        const late = await apply(old);
        expect(late.code).toBe(1);
        expect(late.stderr).toContain(`what was staged as ${old} is older than what was applied here since`);
        expect(await shown()).toBe(fingerprintOf(first));
        // The same again: a run that was cut off after it does so.
        expect(await apply(newer)).toMatchObject({ code: 0, stderr: "" });
        expect(await run("ls /etc/haproxy/staged-certificates")).toBe(
            `${newer}.secret\n${newer}.step\nnewest\n`,
        );
        expect(await run("stat -c %a /etc/haproxy/staged-certificates/*.secret")).toBe("600\n");
        expect((await apply("999-0123")).stderr).toContain("nothing was staged as 999-0123");
    });

    test("answers an authority's challenge itself, however it comes, and nothing that only looks like one", async () => {
        const config = configFor({ 0: address }, { https: { ...https, thumbprint: "a-thumbprint" } });
        expect(await host().apply(config)).toMatchObject({ code: 0, stderr: "" });
        const body = (url: string, ...more: string[]) =>
            run(`curl -sk --connect-to '::127.0.0.1:' ${more.join(" ")} '${url}'`);
        const challenge = "www.example.com/.well-known/acme-challenge/to-ken_1";
        expect(await body(`http://${challenge}`)).toBe("to-ken_1.a-thumbprint");
        for (const version of ["--http1.1", "--http2"])
            expect(await body(`https://${challenge}`, version)).toBe("to-ken_1.a-thumbprint");
        for (const other of [`https://${challenge}/x`, "https://www.example.com/.well-known/security.txt"])
            expect(await body(other, "--http1.1")).not.toContain("a-thumbprint");
        expect(await host().apply(configFor({ 0: address }, { https }))).toMatchObject({ code: 0 });
    });

    test("counts each request of HTTP/2 against its client", async () => {
        const client = join(__dirname, "haproxy-host/h2.mjs");
        const result = JSON.parse(await run(`node ${client} greedy 15`)) as {
            maxConcurrentStreams: number;
            own: Record<string, number>;
            other: number;
            took: number;
        };
        expect(result).toMatchObject({ maxConcurrentStreams: 20, other: 200 });
        // Of 200 slots a tenth is left to others; what waits is refused in time.
        expect(result.own["429"]).toBeGreaterThan(80);
        expect(result.took).toBeLessThan(1000);
        expect(JSON.parse(await run(`node ${client} reset`))).toEqual({ other: 200 });
    });

    test("takes WebSockets over HTTP/2", async () => {
        const client = join(__dirname, "haproxy-host/h2.mjs");
        expect(JSON.parse(await run(`node ${client} websocket`))).toEqual({ status: 200, echo: "hello" });
    });

    test("goes by a reload that loses nothing of HTTP", async () => {
        await host().call("startLoad", 10);
        const ended = await host().apply(configFor({ 0: address }));
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        expect(ended.stdout).toContain("will no longer listen on :443\n");
        expect((await host().call("endLoad"))?.failures).toEqual([]);
        expect(await run("ss -Hltn 'sport = :443'")).toBe("");
        expect(await plain("www.example.com")).toBe("200 1.1");
    });
});

test("the script is installed by its content", () => {
    expect(certificateScript.path).toMatch(/\/certificate-[0-9a-f]{12}$/);
});
