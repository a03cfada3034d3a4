import { execFileSync } from "node:child_process";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { checkZone } from "../../account/names";
import { parseSettings } from "../../config/settings";
import { certificateIn } from "../../components/https/commands";
import { accountKeyScript, acmeServer, thumbprint } from "../../lib/acme";
import { names, types } from "../../lib/identity";
import { recordName } from "../../lib/zone";
import { readableSecrets } from "../../lib/stack-file";
import { domainNames } from "../../lib/https-settings";
import { buildPlan } from "../../tools/plan/build";
import { planRows } from "../../tools/plan/rows";
import { doubtFirewall } from "../../tools/live/ownership";
import { httpsConfig, issue } from "../certificates";
import { runProgram, type RunOptions } from "../mocks";
import { deployed, pool, resource, sources, step, haproxy, haproxyRuns } from "../plan-fixtures";
import { stackConfig } from "../stack-config";

const config = httpsConfig(["www.example.com", "example.com"]);
const keyLine = config.tlsKey.split("\n")[1] ?? "";

describe("the config of HTTPS", () => {
    const check = (changes: Record<string, unknown>) => parseSettings(stackConfig(changes), "dev");

    it("takes a certificate that is for all names", () => {
        const { settings, problems, warnings } = check(config);
        expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
        expect(settings.https).toMatchObject({ domains: config.domains, redirect: true, hsts: 0 });
    });

    it.each(["", "[1]", '["localhost"]', '["*.example.com"]', '["WWW.example.com"]', '["a_b.example.com"]'])(
        "refuses %s as names",
        (raw) => {
            expect(() => domainNames(raw)).toThrow("a list of at most 100 host names in lower case");
        },
    );
    it.each(['["10.0.0.1"]', '["a.de", "a.de"]', '["-a.example.com"]', '["a..example.com"]', '["a.b c.de"]'])(
        "refuses %s, too",
        (raw) => {
            expect(() => domainNames(raw)).toThrow("host names");
        },
    );

    it("says all that is wrong at once, and nothing of a key", () => {
        const wrong = {
            ...config,
            tlsKey: issue(["a.example.com"]).key,
            domains: ["other.example"],
            hsts: -1,
        };
        const { problems } = check(wrong);
        expect(problems).toHaveLength(3);
        expect(problems.join()).toMatch(/'hsts' should be.*'tlsKey' should be.*'domains', got one for/s);
        expect(problems.join()).not.toContain(wrong.tlsKey.split("\n")[1]);
    });

    it("asks for what is missing, and warns of what has no effect", () => {
        expect(check({ domains: config.domains, tlsKey: config.tlsKey }).problems.join()).toContain(
            "or one of your own with its key: 'tlsCertificate' got nothing; pulumi config set acmeEmail YOU@example.com, or pulumi config set --secret tlsCertificate <",
        );
        const { problems, warnings } = check({ tlsKey: config.tlsKey, hsts: 300 });
        expect(problems).toEqual([]);
        expect(warnings.join("\n")).toMatch(
            /^'tlsKey' has no effect without 'domains'.*\n'hsts' has no effect/,
        );
    });
});

it("refuses a key that everybody can read in the stack's file", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "stack-file-"));
    const write = (text: string) => {
        writeFileSync(path.join(folder, "Pulumi.dev.yaml"), text);
    };
    const found = () => readableSecrets(folder, "dropscale", "dev");
    expect(found()).toEqual([]);
    write(`config:\n  dropscale:tlsKey:\n    secure: v1:AAAA\n`);
    expect(found()).toEqual([]);
    write(`config:\n  dropscale:tlsKey: |\n    ${keyLine}\n`);
    expect(found().join()).toContain(
        "'tlsKey' should be a secret, got a text that everybody can read in Pulumi.dev.yaml",
    );
    expect(found().join()).not.toContain(keyLine);
    rmSync(folder, { recursive: true });
});

describe.each([
    ["up", false],
    ["preview", true],
])("the program with HTTPS in %s", (_mode, preview) => {
    it("installs the certificate before haproxy.cfg names it, on each new load balancer", async () => {
        const { find } = await runProgram({ preview, config });
        const { inputs, dependsOn } = find(types.remoteCommand, "https-certificate");
        expect(find(types.remoteCommand, "haproxy").dependsOn).toContain("https-certificate");
        expect(find(types.remoteCommand, "haproxy-staged").dependsOn).not.toContain("https-certificate");
        expect(dependsOn).toContain("https-staged");
        const staged = find(types.remoteCommand, "https-staged");
        expect(staged.dependsOn).toContain("https-script");
        if (preview) return;
        expect(String(inputs.create)).toMatch(/^timeout .*\/certificate-\w+ apply \S+$/);
        expect(String(staged.inputs.create)).toMatch(
            /^timeout .*\/certificate-\w+ stage install www\.example\.com example\.com # load balancer \d+$/,
        );
        expect(find(types.remoteCommand, "haproxy-staged").inputs.stdin).toContain("bind :443 ssl crt");
    });

    it("shows names, issuer, end and fingerprint, and never the key", async () => {
        const { registrations, outputs, secrets, find } = await runProgram({ preview, config });
        const certificate = {
            names: config.domains,
            issuer: "Authority (Test)",
            notAfter: expect.stringMatching(/^2\d{3}-\d\d-\d\dT/) as string,
            fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/) as string,
        };
        expect(find(types.https, names.https).inputs).toEqual({
            ...{ domains: config.domains, httpsRedirect: true, hsts: 0 },
            certificate,
        });
        expect(outputs).toMatchObject({ url: "https://www.example.com", certificate });
        expect(secrets).not.toContain("certificate");
        // Only as a secret: the mocks see what the engine would encrypt.
        for (const { name, inputs } of registrations) {
            const stdin = inputs.stdin;
            const shown = JSON.stringify({
                ...inputs,
                stdin: name === "https-staged" ? undefined : stdin,
            });
            expect(shown, name).not.toContain(keyLine);
        }
    });

    it("opens 443 beside 80, and only with names", async () => {
        const ports = async (changes: object) => {
            const { find } = await runProgram({ preview, config: { ...changes } });
            const rules = find(types.firewall, "network-load-balancer").inputs.inboundRules;
            return (rules as { portRange: string }[]).map(({ portRange }) => portRange);
        };
        expect(await ports(config)).toEqual(["80", "443", "22"]);
        expect(await ports({})).toEqual(["80", "22"]);
    });
});

describe.each([
    ["up", false],
    ["preview", true],
])("the program with a certificate of an authority in %s", (_mode, preview) => {
    const acme = {
        domains: ["www.example.com", "example.com"],
        acmeEmail: "me@example.com",
        acmeServer: "staging",
    };

    it("orders it before the address moves, and waits for it after", async () => {
        const { find, registrations } = await runProgram({ preview, config: acme });
        expect(find(types.remoteCommand, "haproxy").dependsOn).toContain("https-certificate");
        expect(find(types.remoteCommand, "https-before").dependsOn).toContain("haproxy");
        expect(find(types.reservedIpAssignment, names.address).dependsOn).toContain("https-before");
        expect(find(types.remoteCommand, "https-after").dependsOn).toContain(names.address);
        expect(find(types.https, names.https).inputs).toEqual({
            ...{ domains: acme.domains, httpsRedirect: true, hsts: 0, acmeEmail: acme.acmeEmail },
            acmeServer: "https://acme-staging-v02.api.letsencrypt.org/directory",
        });
        const account = find(types.localCommand, "https-account");
        expect(account.inputs.logging).toBe("none");
        expect(account.options).toMatchObject({ ignoreChanges: ["*"], additionalSecretOutputs: ["stdout"] });
        if (preview) return;
        const command = (name: string) => String(find(types.remoteCommand, name).inputs.create);
        expect(command("https-staged")).toMatch(
            / stage order me@example\.com https:\S+ [\w-]{43} www\.example\.com example\.com # load balancer \d+$/,
        );
        expect(command("https-before")).toMatch(
            / before 127\.64\.1\.1 # load balancer \d+ https:\S+ www\.example\.com example\.com$/,
        );
        expect(command("https-after")).toMatch(/ after 120 # load balancer \d+ /);
        const [, print] = / ([\w-]{43}) /.exec(command("https-staged")) ?? [];
        const text = String(find(types.remoteCommand, "haproxy-staged").inputs.stdin);
        expect(text).toContain(`lf-string "%[path,field(-1,/)].${print}" if { path_reg`);
        expect(text.indexOf("acme-challenge")).toBeLessThan(text.search("http-request (deny|redirect)"));
        // HAProxy warns of another order.
        expect(text.lastIndexOf("    tcp-request")).toBeLessThan(text.indexOf("    http-request"));
        // The account key is the one command's stdin, and nowhere else.
        const holders = registrations.filter(({ inputs }) =>
            JSON.stringify(inputs.stdin ?? "").includes("BEGIN PRIVATE KEY"),
        );
        expect(holders.map(({ name }) => name)).toEqual(["https-staged"]);
        // As the SDK marks a secret for the engine.
        expect(JSON.stringify(holders[0]?.inputs.stdin)).toMatch(/^\{"4dabf18193072939515e22adb298388d":/);
    });
});

describe.each([
    ["up", false],
    ["preview", true],
])("the program with a zone in %s", (_mode, preview) => {
    const named = {
        domains: ["www.example.com", "example.com", "example.org"],
        acmeEmail: "me@example.com",
        dnsZone: "example.com",
    };
    const mail = { type: "MX", name: "@", value: "mail.example.com" };
    const run = (records = [mail], more: Partial<RunOptions> = {}) =>
        runProgram({ preview, config: named, zones: { "example.com": records }, ...more });

    it("makes an A record for each name in it, once the address leads here, and nothing of the zone", async () => {
        const { registrations, find } = await run();
        const records = registrations.filter(({ type }) => type === types.dnsRecord);
        expect(
            records.map(({ inputs }) => [inputs.name, inputs.domain, inputs.type, inputs.ttl]).sort(),
        ).toEqual([
            ["@", "example.com", "A", 300],
            ["www", "example.com", "A", 300],
        ]);
        for (const { dependsOn, options } of records) {
            expect(dependsOn).toContain(names.address);
            expect(options).toMatchObject({ importId: "", retainOnDelete: false });
        }
        if (!preview) expect(records[0]?.inputs.value).toBe("127.64.1.1");
        expect(registrations.filter(({ type }) => type.endsWith(":Domain"))).toEqual([]);
        expect(find(types.remoteCommand, "https-after").dependsOn).toContain("dns-www.example.com");
        expect(find(types.dns, names.dns).inputs).toEqual({
            ...{ dnsZone: "example.com", dnsTtl: 300, records: ["www.example.com", "example.com"] },
        });
    });

    it("is refused where the account has no such zone", async () => {
        await expect(run([], { zones: {} })).rejects.toThrow(
            /'dnsZone' should be a domain that the account has, got example\.com; add it: doctl compute domain create example\.com/,
        );
    });

    describe("looks at its records", () => {
        const a = (name: string, value: string) => ({ type: "A", name, value });
        const check = async (records: (typeof mail)[]) => {
            let found = { problems: [""], warnings: [""] };
            const program = async () => {
                const droplets = [
                    { id: 7, tags: ["dropscale-dev-load-balancer"] },
                    { id: 8, tags: [] },
                ];
                const wanted = { prefix: "dropscale-dev", dnsZone: "example.com", domains: named.domains };
                found = await checkZone(wanted, droplets);
                return {};
            };
            await run(records, { program, reservedIps: { "192.0.2.7": 7, "192.0.2.8": 8 } });
            return found;
        };

        it("and warns of one that is in the way, and of none that is ours", async () => {
            const { problems, warnings } = await check([
                ...[a("www", "192.0.2.7"), a("@", "192.0.2.8"), a("@", "203.0.113.9")],
                ...[a("api", "203.0.113.9"), mail],
            ]);
            expect(problems).toEqual([]);
            expect(warnings).toHaveLength(2);
            expect(warnings.join("\n")).toMatch(
                /^example\.com has a record .* 192\.0\.2\.8, .*\nexample\.com has .* 203\.0\.113\.9/,
            );
        });

        it("and warns of IPv6, which the load balancer does not have", async () => {
            const aaaa = (name: string) => ({ type: "AAAA", name, value: "2001:db8::1" });
            const { problems, warnings } = await check([aaaa("www"), aaaa("api"), a("www", "192.0.2.7")]);
            expect(problems).toEqual([]);
            expect(warnings).toEqual([
                expect.stringMatching(
                    /^www\.example\.com has an AAAA record in example\.com, 2001:db8::1, .* visitors with IPv6 go there.*delete it/,
                ),
            ]);
        });

        it("and refuses a CNAME, beside which the API takes no A record", async () => {
            const cname = (name: string) => ({ type: "CNAME", name, value: "elsewhere.example" });
            const { problems, warnings } = await check([cname("www"), cname("api")]);
            expect(warnings).toEqual([]);
            expect(problems).toEqual([
                expect.stringMatching(
                    /^'domains' should have no name with a CNAME record in 'dnsZone', got www\.example\.com, which is one for elsewhere\.example: .*delete it/,
                ),
            ]);
        });
    });
});

it("warns of names outside the zone, and of a zone without names", () => {
    const found = (changes: object) =>
        parseSettings(stackConfig({ ...changes, dnsZone: "example.com" }), "dev");
    expect(found({ domains: ["www.example.org"], acmeEmail: "me@example.com" }).warnings).toEqual([
        "www.example.org is not in 'dnsZone' example.com: its A record is not made here",
    ]);
    expect(found({}).warnings.join()).toContain("'dnsZone' has no effect without 'domains'");
    expect(found({ dnsZone: "" }).problems).toEqual([]);
    expect(parseSettings(stackConfig({ dnsZone: "example" }), "dev").problems.join()).toContain(
        "a domain of the account",
    );
});

it.each([
    ["example.com", "@"],
    ["www.example.com", "www"],
    ["a.b.example.com", "a.b"],
    ["badexample.com", undefined],
    ["example.org", undefined],
])("%s is %s in the zone example.com", (domain, record) => {
    expect(recordName(domain, "example.com")).toBe(record);
});

describe("what the load balancer says of its certificate", () => {
    it.each([
        ["", undefined],
        ["warning: no certificate yet for a.example: why\n", undefined],
        [
            'installed: x\n{"names":["a.example"],"issuer":"CA"}\nwarning: b\n',
            { names: ["a.example"], issuer: "CA" },
        ],
    ])("%j", (printed, facts) => {
        expect(certificateIn(printed)).toEqual(facts);
    });
});

describe("an account with an authority", () => {
    it("has the thumbprint of RFC 7638, section 3.1", () => {
        const n =
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" +
            "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" +
            "SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        const key = createPublicKey({ key: { kty: "RSA", n, e: "AQAB" }, format: "jwk" });
        expect(thumbprint(key.export({ type: "spki", format: "pem" }).toString())).toBe(
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        );
    });

    it("has a key that is made on this machine, another one each time", () => {
        const make = () => execFileSync("bash", ["-c", accountKeyScript], { encoding: "utf8" });
        const [one, other] = [make(), make()];
        expect(thumbprint(one)).toMatch(/^[\w-]{43}$/);
        expect(thumbprint(one)).not.toBe(thumbprint(other));
    });

    it.each([
        ["letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"],
        ["https://127.0.0.1:14000/dir", "https://127.0.0.1:14000/dir"],
    ])("is with %s", (word, url) => {
        expect(acmeServer(word)).toBe(url);
    });

    it.each(["", "http://ca.example/dir", "zerossl", "https://ca.example/dir?a'b"])(
        "is not with %j",
        (word) => {
            expect(() => acmeServer(word)).toThrow(
                "letsencrypt, staging, or the URL of an authority's directory",
            );
        },
    );

    it("is not beside a certificate of one's own", () => {
        const { problems } = parseSettings(stackConfig({ ...config, acmeEmail: "me@example.com" }), "dev");
        expect(problems.join()).toContain("'domains' need one certificate, got both");
        expect(parseSettings(stackConfig({ acmeEmail: "me" }), "dev").problems.join()).toContain(
            "an e-mail address",
        );
    });
});

it("registers nothing of HTTPS, and outputs nothing of it, without names", async () => {
    const { registrations, outputs } = await runProgram();
    expect(registrations.filter(({ name }) => name.startsWith("https"))).toEqual([]);
    expect(outputs.certificate).toBeUndefined();
    expect(outputs.url).toBe("http://127.64.1.1");
});

describe("the plan of HTTPS", () => {
    const servers = [0, 1, 2].map((slot) => ({ name: `web-${slot}`, address: `10.0.0.${slot + 10}` }));
    const [plain, secure] = [undefined, { redirect: true, hsts: 0 }].map((https) =>
        haproxy(servers, { https }),
    );
    const component = resource(types.https, names.https, { domains: ["www.example.com"] });

    it("says that the load balancer listens on another port, with the names", () => {
        const plan = buildPlan(
            sources([
                step("update", pool([0, 1, 2])),
                step("create", component),
                ...haproxyRuns(secure ?? [], plain),
            ]),
        );
        const row = planRows(plan).find(({ names: [name] }) => name === names.loadBalancer);
        expect(row?.why).toEqual(["new haproxy.cfg, reload", "listens on port 443, too"]);
        expect(plan.lostRequests.which).toBe("none");
    });

    it("warns where HTTPS ends", () => {
        const plan = buildPlan(
            sources(
                [step("delete", component), ...haproxyRuns(plain ?? [], secure)],
                {},
                {
                    state: {
                        ...deployed,
                        resources: [...deployed.resources.slice(0, -2), component, ...(secure ?? [])],
                    },
                },
            ),
        );
        expect(plan.warnings.join()).toContain("HTTPS ends: whoever has been redirected");
        const row = planRows(plan).find(({ names: [name] }) => name === names.loadBalancer);
        expect(row?.why).toContain("listens on port 443 no longer");
    });

    it("renders the text with HTTPS where an address is not known yet", () => {
        const plan = buildPlan(
            sources([...haproxyRuns(haproxy("unknown"), secure)], {
                ...{ domains: '["www.example.com"]', httpsRedirect: "true", hsts: "0" },
            }),
        );
        expect(plan.haproxyDiff).not.toContain("443");
    });

    it("does not show another thumbprint where it is not known", () => {
        const thumbprint = "a".repeat(43);
        const before = haproxy(servers, { https: { redirect: true, hsts: 0, thumbprint } });
        const plan = buildPlan(
            sources([...haproxyRuns(haproxy("unknown"), before)], {
                ...{
                    domains: '["www.example.com"]',
                    httpsRedirect: "true",
                    hsts: "0",
                    acmeEmail: "me@example.com",
                },
            }),
        );
        expect(plan.haproxyDiff).not.toContain("acme-challenge");
    });
});

it("is a firewall's port that the doctor knows as ours, like 80", () => {
    const everywhere = { addresses: ["0.0.0.0/0", "::/0"] };
    const name = "dropscale-prod-load-balancer";
    const rules = (ports: string[]) =>
        ports.map((port) => ({ protocol: "tcp", ports: port, sources: everywhere }));
    const firewall = (ports: string[]) => ({
        ...{ id: "fw", created_at: "", name, tags: [name], droplet_ids: null },
        inbound_rules: rules(ports),
        outbound_rules: ["icmp", "tcp", "udp"].map((protocol) => ({ protocol, destinations: everywhere })),
    });
    expect(doubtFirewall("dropscale-prod", firewall(["80", "443", "22"]) as never)).toBeUndefined();
    expect(doubtFirewall("dropscale-prod", firewall(["80", "8080", "22"]) as never)).toBeDefined();
});
