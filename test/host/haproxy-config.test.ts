import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { RenderHaproxyOptions } from "../../components/haproxy/options";
import { healthHostForm, healthPathForm, renderHaproxyConfig } from "../../components/haproxy/render";
import { haproxySettings } from "../haproxy-settings";
import { Host, configFor, requireTools } from "./haproxy-host/host";
import { debians } from "./haproxy-host/next-haproxy.mts";

const pool = (count: number): RenderHaproxyOptions["servers"] =>
    Array.from({ length: count }, (_, slot) => ({
        name: `web-${slot}`,
        address: `10.10.${slot >> 8}.${slot & 255}`,
    }));

describe.each(debians)("haproxy -c of %s", (_, find) => {
    let folder: string;
    let haproxy: string | undefined;
    beforeAll(async () => {
        requireTools("haproxy");
        haproxy = await find();
        folder = mkdtempSync(join(tmpdir(), "haproxy-cfg-"));
    });
    afterAll(() => {
        rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(({ skip }) => {
        if (haproxy === undefined) skip("it can't be had");
    });

    const check = (text: string): { code: number | null; words: string } => {
        const path = join(folder, "haproxy.cfg");
        // As the apply script leaves it: HAProxy warns where there is none.
        writeFileSync(join(folder, "states"), "1\n");
        writeFileSync(path, text.replace(/(?<=server-state-file ).*/, join(folder, "states")));
        // -dW: a warning is an error
        const { status, stdout, stderr } = spawnSync(haproxy ?? "", ["-dW", "-c", "-f", path], {
            encoding: "utf8",
        });
        return { code: status, words: stdout + stderr };
    };

    test.each<[string, RenderHaproxyOptions]>([
        ["no server", { ...haproxySettings, servers: [] }],
        ["three servers", { ...haproxySettings, servers: pool(3) }],
        [
            "1,000 servers",
            {
                ...haproxySettings,
                ...{ appPort: 65_535, healthPath: "/", drainSeconds: 3600 },
                servers: pool(1000),
            },
        ],
        [
            "every character of a path",
            {
                ...haproxySettings,
                ...{ appPort: 1, healthPath: "/aZ09_.~!*+,;=:@%41/?q=1&b-", drainSeconds: 65 },
                servers: pool(1),
            },
        ],
    ])("accepts %s without a warning", (__, args) => {
        expect(check(renderHaproxyConfig(args))).toMatchObject({
            code: 0,
            words: expect.not.stringMatching(/WARNING|ALERT/) as string,
        });
    });

    test("accepts whatever the config may say", () => {
        const anything = fc.record({
            appPort: fc.integer({ min: 1, max: 65_535 }),
            healthPath: fc.stringMatching(healthPathForm.pattern),
            healthHost: fc.stringMatching(healthHostForm.pattern),
            drainSeconds: fc.integer({ min: 65, max: 3600 }),
            serverTimeoutSeconds: fc.integer({ min: 1, max: 3595 }),
            trustedProxies: fc
                .nat({ max: 300 })
                .map((count) => pool(count).map(({ address }) => `${address}/32`)),
            logOneIn: fc.nat({ max: 1_000_000 }),
            servers: fc.nat({ max: 30 }).map(pool),
        });
        fc.assert(
            fc.property(anything, (args) => {
                expect(check(renderHaproxyConfig(args))).toMatchObject({ code: 0 });
            }),
            { numRuns: 20 },
        );
    });

    test("would refuse a mistake, and a warning", () => {
        const text = renderHaproxyConfig({
            ...haproxySettings,
            healthPath: "/",
            servers: pool(1),
        });
        expect(check(text.replace("redispatch", "redespatch")).code).toBe(1);
        expect(check(text.replace(/^ *timeout client .*\n/m, ""))).toMatchObject({
            code: 1,
            words: expect.stringContaining("WARNING") as string,
        });
    });
});

describe("what clients and servers see", () => {
    const [a, b] = ["127.0.1.1", "127.0.1.2"];
    let host: Host;
    beforeAll(async () => {
        host = await Host.start();
        await host.call("serve", a);
        await host.keepJournal();
        expect(await host.apply(configFor({ 0: a, 1: b }), 5)).toMatchObject({ code: 0 });
        // What takes its time goes on beside the other tests. A byte a second is no sign of life.
        const first = "POST /dripping HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n";
        await host.call("startAttack", { connections: 1, first, drip: "x", once: true });
    });
    afterAll(() => host.stop());

    test("headers that a client invents about itself are dropped, ours are set, the rest passes", async () => {
        await host.call("request", "/headers", {
            headers: {
                "X-Forwarded-For": ["1.1.1.1", "2.2.2.2"],
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "evil.example",
                X_Forwarded_For: "3.3.3.3",
                "x-Forwarded_PROTO": "https",
                Connection: "close, X-Forwarded-For",
                Forwarded: "for=1.1.1.1",
                "X-Real-IP": "1.1.1.1",
                Proxy: "http://evil.example",
                "X-Forwarder": "kept",
                "Proxy-Authorization": "kept",
                Host: "shop.example",
            },
        });
        const seen = (await host.call("seen", a)).find(({ url }) => url === "/headers");
        expect(seen?.headers).toEqual({
            host: ["shop.example"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-proto": ["http"],
            "x-forwarder": ["kept"],
            "proxy-authorization": ["kept"],
        });
    });

    test("a request is one line in the journal, a health check none", async () => {
        await host.call("request", "/logged?once=1");
        const lines = (await host.file("/run/journal"))
            .split(/(?=<\d+>)/)
            .filter((line) => line.includes("logged"));
        expect(lines).toHaveLength(1);
        expect(lines[0]).toMatch(
            /haproxy\[\d+\]: 127\.0\.0\.1:\d+ .* web pool\/web-[01] .* 200 .* "GET \/logged\?once=1 HTTP\/1\.1"/,
        );
        expect(await host.file("/run/journal")).not.toContain("/healthz");
    });

    test("a server that answers nothing costs no request, and is left out", async () => {
        const answers = [];
        for (let count = 0; count < 30; count++) answers.push(await host.call("request", "/"));
        expect(answers.map(({ status, body }) => `${status} ${body}`)).toEqual(Array(30).fill(`200 ${a}`));
    });

    test("answers of the servers pass unchanged, 413 and 500 too, and name no HAProxy", async () => {
        for (const status of [404, 413, 500]) {
            const answer = await host.call(
                "request",
                `/?status=${status}`,
                { method: "POST" },
                "x".repeat(100_000),
            );
            expect(answer).toMatchObject({ status, body: a });
            expect(JSON.stringify(answer.headers)).not.toMatch(/haproxy/i);
        }
    });

    test("what a server answers is for the client, and asked for once", async () => {
        await host.call("request", "/post?status=503", { method: "POST" });
        await host.call("request", "/get?status=503");
        const urls = (await host.call("seen", a)).map(({ url }) => url);
        expect(urls.filter((url) => url === "/post?status=503")).toHaveLength(1);
        expect(urls.filter((url) => url === "/get?status=503")).toHaveLength(1);
    });

    test("the same for names in capitals, and when there are three of each", async () => {
        const lies = ["x-forwarded-for: 1.1.1.1", "X-FORWARDED-FOR: 1.1.1.1", "X-forwarded-proto: https"];
        const headers = [...lies, ...lies, ...lies, "Connection: close"].join("\r\n");
        await host.call("raw", `GET /capitals HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n`);
        const seen = (await host.call("seen", a)).find(({ url }) => url === "/capitals");
        expect(seen?.headers).toEqual({
            host: ["a"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-proto": ["http"],
        });
    });

    test("a WebSocket is a tunnel, and nothing else is", async () => {
        const upgrade = (to: string): string =>
            `GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: close, Upgrade\r\nUpgrade: ${to}\r\n` +
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nping";
        expect(await host.call("raw", upgrade("websocket"))).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\nping$/);
        expect(await host.call("raw", upgrade("h2c"))).toMatch(/^HTTP\/1\.1 200 /);
    });

    test("a body that the server is asked about first is asked for by HAProxy", async () => {
        const answer = await host.call(
            "request",
            "/expect",
            { method: "POST", headers: { Expect: "100-continue", "Content-Length": 5 } },
            "hello",
        );
        expect(answer).toMatchObject({ status: 200, body: a });
        const seen = (await host.call("seen", a)).find(({ url }) => url === "/expect");
        expect(seen).toMatchObject({ body: "hello" });
    });

    test.each([
        ["nonsense", "nonsense\r\n\r\n"],
        ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"],
        ["a header that fills the buffer", `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`],
    ])("%s is answered with 400", async (_, bytes) => {
        const answer = await host.call("raw", bytes);
        expect(answer).toMatch(/^HTTP\/1\.1 400 Bad request\r\n/);
        expect(answer).not.toMatch(/haproxy/i);
    });

    test("a request that never ends is answered with 408 after 5 s, a connection without one with nothing", async () => {
        const began = Date.now();
        const [slow, silent] = await Promise.all([
            host.call("raw", "GET / HTTP/1.1\r\nHost: a\r\n"),
            host.call("raw", ""),
        ]);
        expect(slow).toMatch(/^HTTP\/1\.1 408 Request Time-out\r\n/);
        expect(silent).toBe("");
        expect(Date.now() - began).toBeGreaterThan(4500);
    });

    test("a body that never comes is answered with 408 after 20 s, and no server hears of it", async () => {
        while ((await host.call("attackHolds")) > 0) await new Promise((resolve) => setTimeout(resolve, 200));
        expect(await host.call("endAttack")).toMatchObject({ answers: { 408: 1 } });
        const urls = (await host.call("seen", a)).map(({ url }) => url);
        expect(urls).not.toContain("/dripping");
    });

    test("a machine that vanishes with a request on it costs no GET: it is asked again at another", async () => {
        await host.call("serve", b);
        // Down until now: two good checks, and it gets requests.
        while ((await host.call("request", "/")).body !== b) await new Promise((r) => setTimeout(r, 100));
        const urls = Array.from({ length: 8 }, (_, n) => `/slow?ms=1500&n=${n}`);
        const answers = Promise.all(urls.map((url) => host.call("request", url)));
        await new Promise((resolve) => setTimeout(resolve, 500));
        const there = (await host.call("seen", b)).filter(({ url }) => urls.includes(url));
        expect(there.length).toBeGreaterThan(0);
        // Not refused, not reset: nothing comes from it any more, as when its hypervisor dies.
        await host.run(
            `nft 'table ip gone { chain out { type filter hook output priority 0; ip saddr ${b} drop; ip daddr ${b} drop; }; }'`,
        );
        const began = Date.now();
        for (const { status, body } of await answers) expect([status, body]).toEqual([200, a]);
        expect(Date.now() - began).toBeLessThan(15_000);
        await host.run("nft delete table ip gone");
        await host.call("destroy", b);
    });

    test("statistics are for root on the host alone", async () => {
        expect((await host.run("stat -c '%U %a' /run/haproxy/admin.sock")).stdout).toBe("root 600\n");
        const listening = (await host.run("ss -Hltnp | grep haproxy | awk '{ print $4 }'")).stdout;
        expect(listening).toBe("0.0.0.0:80\n");
        expect((await host.run("echo 'show stat' | socat - /run/haproxy/admin.sock")).stdout).toMatch(
            /^pool,web-0,/m,
        );
    });

    // The last ones: they take the servers away.
    const expectPage = async (): Promise<void> => {
        const answer = await host.call("request", "/anything");
        expect(answer.status).toBe(503);
        expect(answer.headers).toMatchObject({
            "content-type": "text/html; charset=utf-8",
            "retry-after": "10",
            "cache-control": "no-store",
        });
        expect(answer.body).toMatch(/^<!doctype html>.*Back in a moment.*<\/html>$/);
    };

    test("when every server is down, the 503 page of our own", async () => {
        await host.call("destroy", a);
        await expectPage();
    });

    test("for a pool of none, the same page", async () => {
        expect(await host.apply(configFor({}))).toMatchObject({ code: 0 });
        await expectPage();
    });
});
