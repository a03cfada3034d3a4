import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Host, configFor, requireTools } from "./haproxy-host/host";
import { debianOfThisRun } from "./haproxy-host/next-haproxy.mts";
import type { Seen } from "./haproxy-host/town";

const [a, b, c] = ["127.0.1.1", "127.0.1.2", "127.0.1.3"];
/** Addresses of clients: nobody of 127.0.0.0/8 counts as a private network's proxy. */
const [client, cdn, ownProxy] = ["127.0.2.1", "127.0.3.1", "127.0.3.2"];

const upgrade =
    "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const events = (milliseconds: number): string =>
    `GET /?events=${milliseconds} HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n`;

describe.each(debianOfThisRun)("real traffic through HAProxy of %s", (_debian, find) => {
    let there: Host | undefined;
    let host: Host;

    beforeAll(async () => {
        requireTools("wrk");
        const haproxy = await find();
        if (haproxy === undefined) return;
        host = there = await Host.start({ haproxy });
        for (const address of [a, b]) await host.call("serve", address);
        await host.keepJournal();
    });
    afterAll(() => there?.stop());
    beforeEach(({ skip }) => {
        if (!there) skip("it can't be had");
    });

    const apply = async (
        servers: Record<number, string>,
        settings?: Parameters<typeof configFor>[1],
    ): Promise<void> => {
        expect(await host.apply(configFor(servers, settings), 10)).toMatchObject({ code: 0, stderr: "" });
    };
    const seenBy = async (address: string, url: string): Promise<Seen[]> =>
        (await host.call("seen", address)).filter((seen) => seen.url === url);
    /** A column of HAProxy's statistics, of one line. */
    const statistic = async (line: string, column: number): Promise<string> => {
        const { stdout } = await host.run(
            `echo 'show stat' | socat - /run/haproxy/admin.sock | awk -F, '($1 "/" $2) == "${line}" { print $${column} }'`,
        );
        return stdout.trim();
    };
    const status = (server: string): Promise<string> => statistic(`pool/${server}`, 18);
    const until = async (condition: () => Promise<boolean>, milliseconds: number): Promise<void> => {
        const deadline = Date.now() + milliseconds;
        while (!(await condition())) {
            if (Date.now() > deadline) throw new Error(`not within ${milliseconds} ms`);
            await sleep(100);
        }
    };

    test("a long body arrives at a server that pauses before it reads", async () => {
        await apply({ 0: a, 1: b });
        const body = "x".repeat(1_000_000);
        const lengths = [{ "Content-Length": body.length }, { "Transfer-Encoding": "chunked" }];
        const answers = await Promise.all(
            lengths.map((headers) => host.call("request", "/?pause=6000", { method: "POST", headers }, body)),
        );
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
        const seen = [...(await seenBy(a, "/?pause=6000")), ...(await seenBy(b, "/?pause=6000"))];
        expect(seen.map((each) => each.body.length)).toEqual([1_000_000, 1_000_000]);
    });

    test("what is long belongs to a backend of its own, what is short to the pool", async () => {
        const count = async (): Promise<number[]> =>
            Promise.all(
                ["pool", "uploads", "streams"].map(async (each) =>
                    Number(await statistic(`${each}/BACKEND`, 8)),
                ),
            );
        const before = await count();
        await host.call("request", "/", { method: "POST" }, "x".repeat(16_384));
        await host.call("request", "/", { method: "POST" }, "x".repeat(16_385));
        await host.call("hold", events(0), 1);
        await host.call("leave");
        expect((await count()).map((now, index) => now - (before[index] ?? 0))).toEqual([1, 1, 1]);
    });

    test("an answer of a server that has too much to do is passed on, and asked for once", async () => {
        for (const said of [429, 502, 503]) {
            const url = `/?status=${said}`;
            const answers = await Promise.all(Array.from({ length: 10 }, () => host.call("request", url)));
            expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(said));
            expect((await seenBy(a, url)).length + (await seenBy(b, url)).length).toBe(10);
        }
    });

    test("a GET without an answer is asked again once, at another server; where there is none, not", async () => {
        await Promise.all(Array.from({ length: 10 }, () => host.call("request", "/?close=two")));
        const [atA, atB] = [await seenBy(a, "/?close=two"), await seenBy(b, "/?close=two")];
        expect([atA.length, atB.length]).toEqual([10, 10]);
        await apply({ 0: a });
        await Promise.all(Array.from({ length: 10 }, () => host.call("request", "/?close=one")));
        expect(await seenBy(a, "/?close=one")).toHaveLength(10);
        await apply({ 0: a, 1: b });
    });

    test("a server that dies under load costs no GET", async () => {
        const { length } = await seenBy(b, "/");
        await host.call("startLoad", 30);
        await until(async () => (await seenBy(b, "/")).length > length + 50, 30_000);
        await host.call("destroy", b);
        await sleep(2500);
        const load = await host.call("endLoad");
        expect(load?.failures).toEqual([]);
        expect(load?.answers[b]).toBeGreaterThan(0);
        await host.call("serve", b);
        await until(async () => (await status("web-1")) === "UP", 10_000);
    });

    test("a server that is DOWN stays so over a reload, until its checks pass; a new one is UP at once", async () => {
        await host.call("setHealth", b, 500);
        await until(async () => (await status("web-1")) === "DOWN", 10_000);
        await host.call("startLoad", 20);
        for (const drainSeconds of [21, 22, 23]) {
            await apply({ 0: a, 1: b }, { drainSeconds });
            expect(await status("web-1")).toMatch(/^DOWN/);
        }
        const load = await host.call("endLoad");
        expect(load?.failures).toEqual([]);
        expect(Object.keys(load?.answers ?? {})).toEqual([a]);

        // Another machine under the same name, and the same machine under another.
        await host.call("serve", c);
        await apply({ 0: a, 1: c, 2: b });
        expect(await status("web-1")).toMatch(/^UP/);
        expect((await host.file("/run/dropscale-servers.state")).trim()).toBe("1");
        await until(async () => (await status("web-2")) === "DOWN", 10_000);

        // What was DOWN for another question.
        await apply({ 0: a, 1: c }, { healthPath: "/" });
        await apply({ 0: a, 1: b }, { healthPath: "/" });
        expect(await status("web-1")).toMatch(/^UP/);

        await host.call("setHealth", b, 200);
        await apply({ 0: a, 1: b });
        await host.call("setHealth", b, 500);
        await until(async () => (await status("web-1")) === "DOWN", 10_000);
        // A start is no reload.
        await host.run("systemctl restart haproxy");
        expect(await status("web-1")).toMatch(/^UP/);
        await until(async () => (await status("web-1")) === "DOWN", 10_000);
        await host.call("setHealth", b, 200);
        await apply({ 0: a, 1: b }, { drainSeconds: 24 });
        await until(async () => (await status("web-1")) === "UP", 10_000);
        await host.call("destroy", c);
    });

    test.each([
        ["WebSockets", upgrade, 101],
        ["event streams of a silent server", events(0), 200],
    ])("250 %s take no request's place, and go when their clients do", async (_kind, bytes, expected) => {
        await apply({ 0: a });
        expect(await host.call("hold", bytes, 250)).toEqual(Array(250).fill(expected));
        expect(await statistic("streams/web-0", 5)).toBe("250");
        const began = Date.now();
        const answers = await Promise.all(Array.from({ length: 20 }, () => host.call("request", "/")));
        expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200));
        expect(Date.now() - began).toBeLessThan(2000);
        await host.call("leave");
        await until(async () => (await statistic("streams/web-0", 5)) === "0", 5000);
    });

    test("a client that has closed its side gets its answer", async () => {
        await apply({ 0: a });
        const long = `POST /?ms=3000 HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n${"x".repeat(40_000)}`;
        for (const request of ["GET /?ms=3000 HTTP/1.1\r\nHost: a\r\n\r\n", long])
            expect(await host.call("askAndClose", request)).toMatch(/^HTTP\/1\.1 200 /);
    });

    test("one source with many connections is served while the servers that are UP have room", async () => {
        const many = Object.fromEntries(
            Array.from({ length: 12 }, (__, slot) => [slot, `127.0.4.${slot + 1}`]),
        );
        // From nothing: one server that answers is enough.
        await apply({});
        await host.run("systemctl stop haproxy");
        expect(await host.apply(configFor({ ...many, 0: a }), 5)).toMatchObject({ code: 0 });
        await until(async () => (await status("web-11")) === "DOWN", 15_000);
        const { stdout } = await host.run("wrk -t1 -c100 -d2s http://127.0.0.1/");
        expect(stdout).toMatch(/\d+ requests in/);
        expect(stdout).not.toMatch(/Non-2xx/);
    });

    test("an answer may begin as late as serverTimeoutSeconds says", async () => {
        await apply({ 0: a }, { serverTimeoutSeconds: 2 });
        expect((await host.call("request", "/?ms=3000")).status).toBe(504);
        await apply({ 0: a }, { serverTimeoutSeconds: 4 });
        expect((await host.call("request", "/?ms=3000")).status).toBe(200);
    });

    test("headers of 32 KB pass in both directions, in one and in a hundred", async () => {
        const one = { Cookie: "x".repeat(32_000) };
        const hundred = Object.fromEntries(
            Array.from({ length: 95 }, (__, n) => [`X-Part-${n}`, "x".repeat(325)]),
        );
        for (const headers of [one, hundred])
            expect((await host.call("request", "/", { headers })).status).toBe(200);
        // Node.js takes no longer headers by default.
        const answer = await host.call("request", "/?header=32000", { maxHeaderSize: 65_536 });
        expect(answer.headers["x-long"]).toHaveLength(32_000);
    });

    test("a request like most others skips the rules; with anything that they look at it doesn't", async () => {
        await apply({ 0: a });
        const usual =
            "User-Agent: wrk\r\nAccept-Language: de\r\nConnection: keep-alive\r\nSec-Fetch-Mode: navigate\r\n";
        const ask = (path: string, more: string): Promise<string> =>
            host.call("raw", `GET ${path} HTTP/1.1\r\nHost: a\r\n${usual}${more}\r\n\r\n`);
        const answer = ask("/usual", "Accept: */*\r\nCookie: \t\xe9");
        const streams = Number(await statistic("streams/BACKEND", 8));
        for (const value of ["\x01", "a\x7f", `${"x".repeat(20_000)}\x1f`])
            expect(await ask("/", `Cookie: ${value}`)).toMatch(/^HTTP\/1\.1 400 /);
        expect(await ask("/", "Content-Length: 18446744073709551619")).toMatch(/^HTTP\/1\.1 400 /);
        for (const accept of ["TEXT/Event-Stream", "application/json, text/event-stream"])
            await ask("/", `Accept: ${accept}\r\nConnection: close`);
        expect(Number(await statistic("streams/BACKEND", 8)) - streams).toBe(2);
        const evil = ["X-Real-IP", "x_usual", "X.Usual", "PROXY", "Forwarded"];
        await ask("/unusual", `${evil.map((name) => `${name}: 1.1.1.1`).join("\r\n")}\r\nDNT: 1`);
        await answer;
        const common = {
            host: ["a"],
            "user-agent": ["wrk"],
            "accept-language": ["de"],
            "sec-fetch-mode": ["navigate"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-proto": ["http"],
        };
        expect((await seenBy(a, "/usual"))[0]?.headers).toMatchObject({ ...common, accept: ["*/*"] });
        expect((await seenBy(a, "/unusual"))[0]?.headers).toEqual({ ...common, dnt: ["1"] });
    });

    describe("with a proxy that is trusted", () => {
        const from = (address: string, headers: Record<string, string | string[]>) => ({
            localAddress: address,
            headers,
        });
        const seenHeaders = async (path: string, options: object): Promise<Seen["headers"]> => {
            await host.call("request", path, options);
            const seen = Object.entries((await seenBy(a, path))[0]?.headers ?? {});
            return Object.fromEntries(seen.filter(([name]) => name !== "host" && name !== "connection"));
        };
        beforeAll(async () => {
            if (there) await apply({ 0: a }, { trustedProxies: [`${cdn}/32`, "127.0.3.2/31"] });
        });

        test("its word is passed on, with its own address after it", async () => {
            const said = {
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "shop.example",
                "True-Client-IP": client,
            };
            expect(
                await seenHeaders(
                    "/1",
                    from(cdn, { ...said, "X-Forwarded-For": `6.6.6.6, ${client}`, Proxy: "x" }),
                ),
            ).toEqual({
                "x-forwarded-for": [`6.6.6.6, ${client}, ${cdn}`],
                "x-forwarded-proto": ["https"],
                "x-forwarded-host": ["shop.example"],
                "true-client-ip": [client],
            });
            expect(await seenHeaders("/2", from(cdn, {}))).toEqual({
                "x-forwarded-for": [cdn],
                "x-forwarded-proto": ["http"],
            });
            const lines = await seenHeaders("/3", from(cdn, { "X-Forwarded-For": ["6.6.6.6", client] }));
            expect(lines["x-forwarded-for"]?.join(", ")).toBe(`6.6.6.6, ${client}, ${cdn}`);
        });

        test("anybody else's goes, every name of the kind", async () => {
            const names =
                "Forwarded X-Forwarded X-Forwarded-For X-Forwarded-Proto X-Forwarded-Host X-Forwarded-Port " +
                "X-Forwarded-Server X-Forwarded-Ssl X-Forwarded-Prefix X-Real-IP True-Client-IP X-True-Client-IP " +
                "X-Client-IP Client-IP X-ClientIP X-Cluster-Client-IP CF-Connecting-IP CF-Connecting-IPv6 CF-Visitor " +
                "CF-IPCountry Fastly-Client-IP Fly-Client-IP X-Original-URL X-Original-Host X-Rewrite-URL " +
                "X-Originating-IP X-Remote-IP X-Remote-Addr Remote-Addr X-Remote-User X-ProxyUser-Ip " +
                "X-Envoy-External-Address X-Azure-ClientIP X-Azure-SocketIP X-Appengine-User-IP Ali-CDN-Real-IP " +
                "Cdn-Src-Ip WL-Proxy-Client-IP Proxy-Client-IP DO-Connecting-IP CloudFront-Viewer-Address " +
                "CloudFront-Forwarded-Proto X-Vercel-Forwarded-For X-NF-Client-Connection-IP Front-End-Https X-Scheme " +
                "X-Url-Scheme X-Host X-HTTP-Host X-Forwarded-Client-Cert X-SSL-Client-Cert SSL-Client-Verify Proxy " +
                "X-Peer-IP X-Source-IP X-Edge-IP X-Sendfile-Type X-Accel-Mapping";
            const lies = Object.fromEntries(names.split(" ").map((name) => [name, "6.6.6.6"]));
            const kept = {
                "X-Forwarder": "kept",
                "X-Requested-With": "kept",
                "X-Client-Version": "kept",
                "X-HTTP-Method-Override": "kept",
                "X-Request-ID": "kept",
                "User-Agent": "kept",
                Via: "kept",
                Origin: "kept",
                Authorization: "kept",
                "Upgrade-Insecure-Requests": "kept",
            };
            expect(await seenHeaders("/4", from(client, { ...lies, ...kept }))).toEqual({
                "x-forwarded-for": [client],
                "x-forwarded-proto": ["http"],
                ...Object.fromEntries(Object.keys(kept).map((name) => [name.toLowerCase(), ["kept"]])),
            });
        });

        test("log and limits are of its clients: the last address that is no trusted proxy's", async () => {
            const requests = [
                from(cdn, { "X-Forwarded-For": `6.6.6.6, ${client}` }),
                from(ownProxy, { "X-Forwarded-For": `7.7.7.7, 2001:db8::7, ${cdn}` }),
                from(cdn, { "X-Forwarded-For": `${cdn}, ${ownProxy}` }),
                from("127.0.2.2", { "X-Forwarded-For": "8.8.8.8" }),
                from(cdn, { "X-Forwarded-For": "unknown" }),
            ];
            const answers = Promise.all(
                requests.map((options, index) => host.call("request", `/logged-${index}?ms=1500`, options)),
            );
            await sleep(800);
            const { stdout } = await host.run("echo 'show table web' | socat - /run/haproxy/admin.sock");
            expect([...stdout.matchAll(/key=(\S+) .*conn_cur=1/g)].map(([, key]) => key).sort()).toEqual(
                [`::ffff:${client}`, "2001:db8::7", "::ffff:127.0.2.2"].sort(),
            );
            await answers;
            const log = await host.file("/run/journal");
            const logged = (index: number) =>
                new RegExp(`: (\\S+):\\d+ \\[[^\\n]*/logged-${index}\\?`).exec(log)?.[1];
            expect([0, 1, 3].map(logged)).toEqual([client, "2001:db8::7", "127.0.2.2"]);
        });

        test("each request of a connection has its own client", async () => {
            const ask = (who: string, more: string) =>
                `GET /kept-${who} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: ${who}\r\n${more}\r\n`;
            await apply({ 0: a }, { trustedProxies: ["127.0.0.1/32"] });
            await host.call(
                "raw",
                ask("9.9.9.1", "") + ask("9.9.9.2", "") + ask("10.9.9.3", "Connection: close\r\n"),
            );
            for (const who of ["9.9.9.1", "9.9.9.2", "10.9.9.3"]) {
                expect((await seenBy(a, `/kept-${who}`))[0]?.headers["x-forwarded-for"]).toEqual([
                    `${who}, 127.0.0.1`,
                ]);
                expect(await host.file("/run/journal")).toMatch(
                    new RegExp(`: ${who}:\\d+ \\[[^\\n]*/kept-${who} `),
                );
            }
        });
    });

    test.each([
        ["and of the rest one in so many, an answer of 4xx among what fails", 10],
        ["and of the rest nothing, where one in 0 is logged", 0],
    ])("the log has all that fails, %s", async (_what, logOneIn) => {
        await apply({ 0: a }, { logOneIn });
        const before = (await host.file("/run/journal")).length;
        const ask = (path: string, options = {}) => host.call("request", path, options);
        await ask("/?cut=1");
        await ask("/?status=404");
        await ask("/?status=503", { method: "POST" });
        await ask("/?close=3");
        await ask("/traced", { method: "TRACE" });
        for (let n = 0; n < 300; n++) await ask("/fine");
        await sleep(300);
        const log = (await host.file("/run/journal")).slice(before);
        const count = (what: string): number => log.split(what).length - 1;
        const failed = ["GET /?cut=1", "POST /?status=503", "GET /?close=3", "TRACE /traced"];
        expect(failed.map(count)).toEqual(failed.map(() => 1));
        expect(count("GET /?status=404")).toBe(logOneIn === 0 ? 0 : 1);
        expect(count("GET /fine")).toBeGreaterThanOrEqual(logOneIn === 0 ? 0 : 5);
        expect(count("GET /fine")).toBeLessThan(logOneIn === 0 ? 1 : 80);
    });
});
