import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { applyCommand, haproxyScript, stageCommand } from "../../components/haproxy/apply";
import type { RenderHaproxyOptions } from "../../components/haproxy/options";
import { markGeneration, renderHaproxyConfig } from "../../components/haproxy/render";
import { haproxySettings } from "../haproxy-settings";

const args: RenderHaproxyOptions = {
    ...haproxySettings,
    appPort: 8080,
    servers: [
        { name: "web-10", address: "10.10.0.13" },
        { name: "web-2", address: "10.10.0.12" },
        { name: "web-0", address: "10.10.0.11" },
    ],
};

const render = (change: Partial<RenderHaproxyOptions> = {}): string =>
    renderHaproxyConfig({ ...args, ...change });
const serverLines = (text: string): string[] =>
    text.split("\n").filter((line) => line.startsWith("    server "));
const generation = (text: string): string =>
    /^ {4}description gen=([0-9a-f]{16})$/m.exec(text)?.[1] ?? "none";

/** Pools of any size and order, each name and each address once. */
const pools = fc
    .uniqueArray(fc.nat({ max: 9999 }), { maxLength: 50 })
    .map((slots) =>
        slots.map((slot) => ({ name: `web-${slot}`, address: `10.0.${slot >> 8}.${slot & 255}` })),
    );

describe("renderHaproxyConfig", () => {
    test("the whole file", async () => {
        await expect(render()).toMatchFileSnapshot("haproxy.cfg.snap");
    });

    test("the whole file with HTTPS", async () => {
        const https = { redirect: true, hsts: 300 };
        await expect(render({ https, trustedProxies: ["192.0.2.0/24"] })).toMatchFileSnapshot(
            "haproxy-https.cfg.snap",
        );
    });

    test("redirects and tells browsers of HTTPS only where it is to", () => {
        const text = render({ https: { redirect: false, hsts: 0 } });
        expect(text).toContain(
            "    bind :80\n    bind :443 ssl crt /etc/haproxy/certs/site.pem alpn h2,http/1.1\n",
        );
        expect(text).not.toMatch(/http-request redirect|Strict-Transport-Security/);
        expect(text).toContain("X-Forwarded-Proto %[ssl_fc,iif(https,http)]\n");
    });

    test.each([
        "    hard-stop-after 75s",
        "    option idle-close-on-response",
        "    timeout server 60s",
        "    http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host health-check",
        "    http-check expect status 200-299",
        "    http-request add-header X-Forwarded-For %[var(sess.client)]",
        "    http-request disable-l7-retry unless { nbsrv gt 1 }",
        "    http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
        "    bind :80",
    ])("has the line %s", (line) => {
        expect(render().split("\n")).toContain(line);
    });

    test("asks nothing twice where there is no other server", () => {
        const line = "    http-request disable-l7-retry\n";
        expect(render()).not.toContain(line);
        expect(render({ servers: args.servers.slice(0, 1) }).split(line)).toHaveLength(4);
    });

    test("sorts servers by slot number, each once in a backend, checked once", () => {
        const lines = ["web-0 10.10.0.11", "web-2 10.10.0.12", "web-10 10.10.0.13"];
        const tracking = lines.map((line) => `    server ${line}:8080 track pool/${line.split(" ")[0]}`);
        expect(serverLines(render())).toEqual([
            ...lines.map((line) => `    server ${line}:8080 tcp-ut 3s`),
            ...tracking,
            ...tracking,
        ]);
    });

    test("ends with one newline, and drops what a client says of itself before it adds its own", () => {
        const text = render();
        expect(text).toMatch(/[^\n]\n$/);
        expect(text.indexOf("del-header ^(proxy|")).toBeLessThan(
            text.indexOf("add-header X-Forwarded-Proto"),
        );
    });

    describe("the requests that skip the rules", () => {
        const text = render();
        /** Of PCRE's; JavaScript can't ignore the case in a part alone. */
        const regex = (pcre = ""): RegExp => new RegExp(pcre.replace("(?i:", "(?:"));
        const usual = regex(/acl usual req\.hdrs -m reg '(.*)'/.exec(text)?.[1]);
        const controls = regex(/deny_status 400 if \{ req\.hdrs -m reg '(.*)' \}/.exec(text)?.[1]);
        const dropped = regex(/del-header (\S+) -m reg/.exec(text)?.[1]);
        const usualNames = (/\(\?:(host\|[a-z|-]+)\)/.exec(text)?.[1] ?? "").split("|").concat("accept");
        /** As HAProxy's req.hdrs has them. */
        const headers = (some: readonly (readonly [string, string])[]): string =>
            some.map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n";

        test("are those of browsers", () => {
            const browser: [string, string][] = usualNames.map((name) => [name, "a, b;q=0.9, \t\xe9"]);
            expect(usual.test(headers(browser))).toBe(true);
            expect(usual.test(headers([["host", ""]]))).toBe(true);
            expect(usual.test("")).toBe(false);
        });

        test("have no header that a rule looks at", () => {
            const looked = ["content-length", "transfer-encoding", "upgrade", "connection", "expect"];
            expect(usualNames.length).toBeGreaterThan(20);
            for (const name of usualNames) {
                expect(dropped.test(name), name).toBe(false);
                expect(looked).not.toContain(name);
            }
            for (const accept of [
                "text/event-stream",
                "a/b, text/event-stream",
                "*/*;q=1,text/event-stream;a=b",
            ])
                expect(usual.test(headers([["accept", accept]]))).toBe(false);
        });

        test("have nothing that a rule refuses or drops, whatever their headers", () => {
            const names = fc.oneof(
                fc.constantFrom(...usualNames),
                fc.stringMatching(/^[a-z0-9_.-]{1,20}$/),
                fc.constantFrom(
                    "x-forwarded-for",
                    "x-real-ip",
                    "content-length",
                    "accept_",
                    "hosts",
                    "x-host",
                ),
            );
            // What HAProxy's parser lets through.
            const values = fc.oneof(
                fc.string().map((value) => value.replace(/[\r\n]/g, "")),
                fc
                    .array(fc.constantFrom(0, 1, 8, 9, 11, 31, 32, 33, 126, 127, 128, 255), { maxLength: 3 })
                    .map((codes) => String.fromCharCode(...codes)),
            );
            fc.assert(
                fc.property(fc.array(fc.tuple(names, values), { minLength: 1 }), (some) => {
                    const skips = usual.test(headers(some));
                    const harmless =
                        !controls.test(headers(some)) && some.every(([name]) => !dropped.test(name));
                    if (skips) expect(harmless).toBe(true);
                    if (
                        harmless &&
                        some.every(([name, value]) => usualNames.includes(name) && !value.includes("/"))
                    )
                        expect(skips).toBe(true);
                }),
                { numRuns: 2000 },
            );
        });
    });

    test("leaves a tenth of the slots of the servers that are UP to those who have few connections", () => {
        const text = render();
        for (const [backend, slots] of [
            ["pool", 200],
            ["uploads", 200],
            ["streams", 1000],
        ] as const) {
            expect(text).toContain(`nbsrv(${backend}),mul(${slots / 10})`);
            expect(text).toContain(`be_conn_free(${backend}),sub(txn.reserve) lt 0`);
        }
        expect(text).toContain(
            "check inter 2s fastinter 500ms downinter 1s fall 2 rise 2 maxconn 200 pool-low-conn 16\n",
        );
    });

    test("names at most 20 proxies a line, and none where none is trusted", () => {
        const ranges = Array.from({ length: 45 }, (_, n) => `192.0.2.${n}/32`);
        const lines = render({ trustedProxies: ranges }).match(/^ {4}acl from_proxy src .*$/gm) ?? [];
        expect(lines).toHaveLength(3);
        expect(lines.join(" ").match(/[\d.]+\/32/g)).toEqual(ranges);
        expect(render()).not.toContain("from_proxy");
    });

    test.each([
        [1, "info", false, undefined],
        [0, "notice", true, undefined],
        [50, "notice", false, "if { status 400:499 } || { rand(50) eq 0 } { status lt 500 }"],
    ])("logs one success in %d at level %s", (logOneIn, level, onlyFailures, condition) => {
        const text = render({ logOneIn });
        expect(text).toContain(`    log /dev/log local0 ${level}\n`);
        expect(text.includes("    option dontlog-normal\n")).toBe(onlyFailures);
        expect(/set-log-level notice (.*)/.exec(text)?.[1]).toBe(condition);
    });

    test("is the same for any order of servers, with each of them once", () => {
        fc.assert(
            fc.property(
                pools.chain((pool) =>
                    fc.tuple(fc.constant(pool), fc.shuffledSubarray(pool, { minLength: pool.length })),
                ),
                ([pool, shuffled]) => {
                    const text = render({ servers: pool });
                    expect(render({ servers: shuffled })).toBe(text);
                    expect(
                        serverLines(text)
                            .filter((line) => !line.includes(" track "))
                            .toSorted(),
                    ).toEqual(
                        pool
                            .map(({ name, address }) => `    server ${name} ${address}:8080 tcp-ut 3s`)
                            .toSorted(),
                    );
                },
            ),
        );
    });

    test("names another generation exactly when the rest is another", () => {
        const settings = fc.record({
            appPort: fc.constantFrom(80, 8080),
            healthPath: fc.constantFrom("/", "/healthz"),
            healthHost: fc.constantFrom("health-check", "www.example.com:8000"),
            drainSeconds: fc.integer({ min: 65, max: 67 }),
            serverTimeoutSeconds: fc.constantFrom(30, 60),
            trustedProxies: fc.subarray(["10.0.0.0/8", "192.0.2.0/24"]),
            logOneIn: fc.constantFrom(0, 1, 100),
            servers: fc.subarray([...args.servers]),
        });
        const rest = (text: string): string => text.replace(/^ {4}description gen=.*\n/m, "");
        fc.assert(
            fc.property(settings, settings, (one, other) => {
                const [a, b] = [renderHaproxyConfig(one), renderHaproxyConfig(other)];
                expect(generation(a) === generation(b)).toBe(rest(a) === rest(b));
            }),
        );
    });

    test("asks for the health path under the name that the app answers", () => {
        expect(render({ healthHost: "www.example.com:8000" })).toContain(
            "http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host www.example.com:8000\n",
        );
    });

    test("the generation is the SHA-256 of the other lines, as the apply script computes it", () => {
        const others = render().replace(/^ {4}description gen=.*\n/m, "");
        expect(generation(render())).toBe(createHash("sha256").update(others).digest("hex").slice(0, 16));
        expect(markGeneration(others)).toBe(render());
    });

    test.each<[Partial<RenderHaproxyOptions>, string]>([
        [{ healthPath: "/a\nserver x 1.2.3.4:80" }, "healthPath should be a path"],
        [{ healthPath: "healthz" }, "healthPath should be a path"],
        [{ healthPath: "/$HOME" }, "healthPath should be a path"],
        [{ healthHost: "a\nserver x 1.2.3.4:80" }, "healthHost should be a host name"],
        [{ appPort: 65_536 }, "appPort should be a port from 1 to 65535, got 65536"],
        [{ serverTimeoutSeconds: 0 }, "serverTimeoutSeconds should be a whole number from 1, got 0"],
        [{ logOneIn: -1 }, "logOneIn should be a whole number from 0, got -1"],
        [{ trustedProxies: ["10.0.0.1/8"] }, `trustedProxies should be IPv4 ranges, got ["10.0.0.1/8"]`],
        [{ drainSeconds: 7.5 }, "drainSeconds should be a whole number from 1, got 7.5"],
        [
            { servers: [{ name: "web", address: "10.0.0.1" }] },
            "a server's name should be a word, a dash and a number",
        ],
        [
            { servers: [{ name: "web-0", address: "" }] },
            'the address of web-0 should be an IPv4 address, got ""',
        ],
        [
            { servers: ["web-0", "web-1"].map((name) => ({ name, address: "10.0.0.1" })) },
            `each server's address should be used once, got "10.0.0.1"`,
        ],
        [
            { servers: ["10.0.0.1", "10.0.0.2"].map((address) => ({ name: "web-0", address })) },
            `each server's name should be used once, got "web-0"`,
        ],
    ])("refuses %j", (change, message) => {
        expect(() => render(change)).toThrow(message);
    });
});

describe("what runs on the load balancer", () => {
    const installed = /\/usr\/local\/lib\/dropscale\/haproxy-[0-9a-f]{12}/;

    test("is installed whole, and named by its content", () => {
        expect(haproxyScript.text).toMatch(/^#!\/usr\/bin\/env bash\n/);
        const [path = ""] = installed.exec(haproxyScript.install("12345")) ?? [];
        expect(haproxyScript.install("12345")).toBe(
            `mkdir -p /usr/local/lib/dropscale && cat >${path}.$$ && chmod 755 ${path}.$$ && mv ${path}.$$ ${path} # load balancer 12345`,
        );
        expect(stageCommand("12345")).toBe(`${path} stage # load balancer 12345`);
    });

    test("gets the word of the staged text, and is bounded by more than its parts", () => {
        expect(applyCommand("7-0a1b2c3d\n", 300)).toMatch(
            new RegExp(`^timeout --kill-after=10 8100 ${installed.source} apply 7-0a1b2c3d 300$`),
        );
    });

    test.each(["", "1\nrm -rf /", "a b"])("refuses %j as a droplet's id or a word", (text) => {
        for (const command of [haproxyScript.install, stageCommand, (word: string) => applyCommand(word, 1)])
            expect(() => command(text)).toThrow("should be one word");
    });

    test("refuses half seconds", () => {
        expect(() => applyCommand("1-a", 1.5)).toThrow("readySeconds should be a whole number, got 1.5");
    });
});
