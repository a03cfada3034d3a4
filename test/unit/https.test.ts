import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config";
import { names, types } from "../../lib/identity";
import { readableSecrets } from "../../lib/stack-file";
import { domainNames } from "../../lib/https-settings";
import { buildPlan } from "../../tools/plan/build";
import { planRows } from "../../tools/plan/rows";
import { doubtFirewall } from "../../tools/live/ownership";
import { httpsConfig, issue } from "../certificates";
import { runProgram } from "../mocks";
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
            "'domains' needs a certificate, and its key: 'tlsCertificate' got nothing; pulumi config set --secret tlsCertificate <",
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
    const found = () => readableSecrets(folder, "dropscale", "dev", ["tlsKey"]);
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
        expect(dependsOn).toContain("https-script");
        expect(find(types.remoteCommand, "haproxy").dependsOn).toContain("https-certificate");
        expect(find(types.remoteCommand, "haproxy-staged").dependsOn).not.toContain("https-certificate");
        expect(inputs.logging).toBe("none");
        if (preview) return;
        expect(String(inputs.create)).toMatch(
            /^timeout .*\/certificate-\w+ install www\.example\.com example\.com # load balancer \d+$/,
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
                stdin: name === "https-certificate" ? undefined : stdin,
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
