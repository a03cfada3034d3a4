import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import pc from "picocolors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emailAdvice, goneAdvice } from "../../account/advice";
import { parseSettings } from "../../config/settings";
import { readAlerts } from "../../lib/alert-settings";
import { Mistakes } from "../../lib/config-rules";
import { names, types } from "../../lib/identity";
import { readableSecrets } from "../../lib/stack-file";
import type { Inventory } from "../../tools/live/account";
import { type Case, findOrphans } from "../../tools/live/orphans";
import { buildPlan } from "../../tools/plan/build";
import { planAsText } from "../../tools/plan/text";
import { httpsConfig } from "../certificates";
import { type Run, runProgram } from "../mocks";
import { deployed, resource, sources, step } from "../plan-fixtures";
import { stackConfig } from "../stack-config";

const email = "ops@example.com";
const url = "https://hooks.slack.com/services/T0123456/B0123456/s3cr3ts3cr3t";
const slack = { channel: "#ops", url };

describe("the config's alerts", () => {
    it("are off without any, and have defaults", () => {
        for (const none of ["", "{}"]) expect(readAlerts(none)).toBeUndefined();
        const thresholds = { cpuPercent: 85, loadBalancerCpuPercent: 70, memoryPercent: 90, diskPercent: 85 };
        expect(readAlerts(JSON.stringify({ email }))).toEqual({ ...thresholds, email });
        // As `pulumi config set --path` and a pipeline write them.
        expect(readAlerts(JSON.stringify({ slack, email: "", diskPercent: "95" }))).toEqual({
            ...{ ...thresholds, slack, diskPercent: 95 },
        });
    });

    const problems = (value: unknown): string[] => {
        try {
            readAlerts(typeof value === "string" ? value : JSON.stringify(value));
        } catch (error) {
            return [...(error as Mistakes).problems];
        }
        return [];
    };

    it("are refused with all that is wrong at once, each with the command that fixes it", () => {
        const wrong = {
            ...{ emial: email, email: "ops", cpuPercent: 0, memoryPercent: "much", diskPercent: 100 },
            slack: { chanel: "#ops", channel: " ", url: "http://hooks.slack.com/services/T/B/x" },
        };
        expect(problems(wrong)).toEqual([
            "'alerts.emial' is no key of this program; did you mean 'alerts.email'? pulumi config rm --path 'alerts.emial'",
            "'alerts.cpuPercent' should be a whole number from 1 to 99, got 0; pulumi config set --path 'alerts.cpuPercent' 85",
            `'alerts.memoryPercent' should be a whole number from 1 to 99, got "much"; pulumi config set --path 'alerts.memoryPercent' 90`,
            "'alerts.diskPercent' should be a whole number from 1 to 99, got 100; pulumi config set --path 'alerts.diskPercent' 85",
            `'alerts.email' should be an e-mail address, got "ops"; pulumi config set --path alerts.email you@example.com`,
            "'alerts.slack.chanel' is no key of this program; did you mean 'alerts.slack.channel'? pulumi config rm --path 'alerts.slack.chanel'",
            `'alerts.slack.channel' should be a channel of Slack such as #ops, got " "; pulumi config set --path alerts.slack.channel '#ops'`,
            "'alerts.slack.url' should be the URL of a webhook, https://hooks.slack.com/…, got something else, not shown since it may be a secret; pulumi config set --secret --path alerts.slack.url",
        ]);
    });

    it.each([
        ["neither", { cpuPercent: 80 }, "'alerts' should have 'email' or 'slack', or both, got neither; "],
        ["no URL", { slack: { channel: "#ops" } }, "'alerts.slack.url' should be the URL of a webhook, "],
        ["a list", "[1]", "'alerts' should be settings such as "],
        ["a number as an address", { email: 7 }, "'alerts.email' should be an e-mail address, got 7; "],
        [
            "another host",
            { slack: { ...slack, url: "https://hooks.slack.com.evil.example/x" } },
            "'alerts.slack.url'",
        ],
    ])("are refused with %s", (_what, value, words) => {
        expect(problems(value)).toEqual([expect.stringContaining(words) as string]);
    });

    it.each([
        ["as all there is", url],
        ["as JSON that is no object", JSON.stringify(url)],
        ["as the address", { email: url }],
        ["as slack", { slack: url }],
        ["as the channel", { slack: { channel: url, url } }],
        ["with a space in it", { slack: { ...slack, url: `${url} ` } }],
        ["in capitals", { email: url.toUpperCase() }],
    ])("never show a webhook's URL %s", (_where, value) => {
        const { problems: said } = parseSettings(
            { ...stackConfig(), alerts: typeof value === "string" ? value : JSON.stringify(value) },
            "dev",
        );
        expect(said.filter((text) => text.startsWith("'alerts"))).not.toEqual([]);
        expect(said.join().toLowerCase()).not.toContain("s3cr3t");
    });
});

describe("a webhook's URL in the stack's file", () => {
    let folder: string;
    beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), "alerts-"))));
    afterAll(() => {
        rmSync(folder, { recursive: true });
    });
    const found = (yaml: string) => {
        writeFileSync(path.join(folder, "Pulumi.dev.yaml"), `config:\n  dropscale:alerts:${yaml}\n`);
        return readableSecrets(folder, "dropscale", "dev");
    };

    it.each([
        ["in its place", `\n    slack:\n      url: ${url}`],
        ["in JSON", ` '${JSON.stringify({ slack })}'`],
        ["in JSON within", `\n    slack: '${JSON.stringify(slack)}'`],
    ])("is refused where everybody can read it: %s", (_where, yaml) => {
        expect(found(yaml)).toEqual([
            "'alerts.slack.url' should be a secret, got a text that everybody can read in Pulumi.dev.yaml; if others have " +
                "seen it, get another; then pulumi config set --secret --path alerts.slack.url",
        ]);
    });

    it.each([
        ["as a part", "\n    slack:\n      channel: '#ops'\n      url:\n        secure: v1:abc"],
        ["as a whole", "\n    secure: v1:abc"],
        ["not at all", "\n    email: ops@example.com"],
    ])("is right where it is encrypted: %s", (_how, yaml) => {
        expect(found(yaml)).toEqual([]);
    });
});

const config = (alerts: object, more: object = {}) => ({
    ...{ adminCidrs: ["198.51.100.7/32"], alerts },
    ...more,
});
/** https://github.com/pulumi/pulumi/blob/v3.248.0/sdk/nodejs/runtime/rpc.ts */
const secretMark = { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270" };
const madeOf = ({ registrations }: Run, type: string) => registrations.filter((one) => one.type === type);

describe.each([
    ["up", false],
    ["preview", true],
])("alerts in %s", (_mode, preview) => {
    it("are nothing without the config", async () => {
        const { registrations, outputs } = await runProgram({ preview });
        const kinds = [types.alerts, types.monitorAlert, types.uptimeCheck, types.uptimeAlert] as string[];
        expect(registrations.filter(({ type }) => kinds.includes(type))).toEqual([]);
        expect(outputs.monthlyCost).toBe(24);
    });

    it("are for machines by tag, so that each that comes later is watched", async () => {
        const run = await runProgram({ preview, config: config({ email }), stack: "prod" });
        const [server, balancer] = ["dropscale-prod-backend", "dropscale-prod-load-balancer"];
        const made = madeOf(run, types.monitorAlert).map(({ name, inputs }) => [name, inputs]);
        const alert = (type: string, value: number, tags: string[], what: string) => ({
            ...{ type: `v1/insights/droplet/${type}`, compare: "GreaterThan", value, window: "5m", tags },
            description: `dropscale-prod: ${what} over ${value} % for 5 minutes`,
            alerts: { emails: [email] },
        });
        const both = [server, balancer];
        const each = "a server or the load balancer";
        expect(Object.fromEntries(made)).toEqual({
            "alerts-cpu": alert("cpu", 85, [server], "CPU of a server"),
            "alerts-load-balancer-cpu": alert("cpu", 70, [balancer], "CPU of the load balancer"),
            "alerts-memory": alert("memory_utilization_percent", 90, both, `memory of ${each}`),
            "alerts-disk": alert("disk_utilization_percent", 85, both, `disk of ${each}`),
        });
    });

    it("ask the site from outside, once its address leads to what serves", async () => {
        const run = await runProgram({ preview, config: config({ email }) });
        const { inputs, dependsOn } = run.find(types.uptimeCheck, "alerts-site");
        expect(inputs).toMatchObject({
            ...{ name: "dropscale-dev: the site, from outside", type: "http" },
            regions: ["eu_west", "se_asia", "us_east", "us_west"],
            ...(!preview && { target: "http://127.64.1.1" }),
        });
        expect(dependsOn).toContain("address");
        expect(madeOf(run, types.uptimeAlert).map(({ name }) => name)).toEqual(["alerts-down"]);
        expect(run.find(types.uptimeAlert, "alerts-down").inputs).toMatchObject({
            ...{ type: "down_global", period: "2m", threshold: 1, comparison: "less_than" },
            notifications: [{ emails: [email] }],
            ...(!preview && { checkId: "alerts-site-id" }),
        });
        expect(run.outputs.monthlyCost).toBe(25);
    });

    it("watch the certificate where there is one", async () => {
        const run = await runProgram({ preview, config: config({ email }, httpsConfig()) });
        const { inputs } = run.find(types.uptimeCheck, "alerts-site");
        expect(inputs).toMatchObject({ target: "https://www.example.com", type: "https" });
        expect(run.find(types.uptimeAlert, "alerts-certificate").inputs).toMatchObject({
            ...{ type: "ssl_expiry", threshold: 14, comparison: "less_than" },
            name: "dropscale-dev: the site's certificate runs out in less than 14 days",
        });
    });

    it("show whom they tell, and never the URL of the webhook", async () => {
        const run = await runProgram({ preview, config: config({ email, slack, cpuPercent: 95 }) });
        const { inputs } = run.find(types.alerts, names.alerts);
        expect(inputs).toEqual({
            alerts: {
                ...{ email, slack: "#ops", cpuPercent: 95, loadBalancerCpuPercent: 70 },
                ...{ memoryPercent: 90, diskPercent: 85 },
            },
        });
        // Mocks take a secret out of what it is in, and wrap all of that.
        const told = { emails: [email], slacks: [slack] };
        for (const { options, inputs: given } of madeOf(run, types.monitorAlert)) {
            expect(options.additionalSecretOutputs).toEqual(["alerts"]);
            expect(given.alerts).toEqual({ ...secretMark, value: told });
        }
        const [down] = madeOf(run, types.uptimeAlert);
        expect(down?.options.additionalSecretOutputs).toEqual(["notifications"]);
        expect(down?.inputs.notifications).toEqual({ ...secretMark, value: [told] });
        expect(JSON.stringify(run.outputs)).not.toContain("s3cr3t");
    });
});

describe("a plan", () => {
    const called = (words: string) => `dropscale-prod: ${words}`;
    const shown = (cpuPercent: number) => ({
        alerts: { email, cpuPercent, loadBalancerCpuPercent: 70, memoryPercent: 90, diskPercent: 85 },
    });
    const component = (cpuPercent = 85) => resource(types.alerts, "alerts", shown(cpuPercent));
    const cpu = (percent = 85, told: object = { emails: [email] }) => {
        const words = called(`CPU of a server over ${percent} % for 5 minutes`);
        const made = resource(types.monitorAlert, "alerts-cpu", {
            description: words,
            value: percent,
            alerts: told,
        });
        return {
            ...made,
            urn: made.urn.replace(types.monitorAlert, `${types.alerts}$${types.monitorAlert}`),
        };
    };
    const site = () => {
        const inputs = { name: called("the site, from outside"), target: "http://203.0.113.9" };
        const made = resource(types.uptimeCheck, "alerts-site", inputs);
        return { ...made, urn: made.urn.replace(types.uptimeCheck, `${types.alerts}$${types.uptimeCheck}`) };
    };
    const withAlerts = {
        state: { ...deployed, resources: [...deployed.resources, component(), cpu(), site()] },
    };
    const alertsKey = { alerts: JSON.stringify({ email }) };
    const text = (of: ReturnType<typeof sources>) => planAsText(buildPlan(of), pc.createColors(false));

    it("says what comes, whom it tells, and what it costs", () => {
        const plan = text(
            sources([step("create", component()), step("create", cpu()), step("create", site())], alertsKey),
        );
        expect(plan).toContain("prod: 3 servers, $24 → $25 a month, no request lost");
        expect(plan).toMatch(/^ {2}\+ alerts-cpu {15}alert, new: CPU of a server over 85 % for 5 minutes$/m);
        expect(plan).toMatch(
            /^ {2}\+ alerts-site {14}uptime check, new: the site, from outside, http:\/\/203\.0\.113\.9, \$1 a month$/m,
        );
        expect(plan).toContain("  config    alerts (none) → on\n");
        expect(plan).not.toContain("x ");
    });

    it("says what changes in them", () => {
        const plan = text(
            sources(
                [
                    step("update", component(95), component(), ["alerts"]),
                    step("update", cpu(95, { emails: ["b@example.com"] }), cpu(), [
                        "alerts",
                        "description",
                        "value",
                    ]),
                ],
                alertsKey,
                withAlerts,
            ),
        );
        expect(plan).toMatch(
            /^ {2}~ alerts-cpu {15}alert, changed: CPU of a server over 95 % for 5 minutes, other receivers$/m,
        );
        expect(plan).toContain("  config    alerts.cpuPercent 85 → 95\n");
        expect(plan).toContain("prod: 3 servers, $25 a month, no request lost");
    });

    it("lets them go, at no request's cost", () => {
        const steps = [component(), cpu(), site()].map((one) => step("delete", one));
        const of = sources(steps, { alerts: "{}" }, withAlerts);
        expect(buildPlan(of)).toMatchObject({
            ...{ refusals: [], applicable: true, lostRequests: { which: "none" } },
            monthlyCost: { before: 25, after: 24, difference: -1 },
        });
        expect(text(of)).toMatch(
            /^ {2}- alerts-site {14}uptime check, deleted: the site, from outside, \$1 a month$/m,
        );
        expect(text(of)).toContain("  config    alerts on → (none)\n");
    });

    it("refuses one that the program does not make", () => {
        const stranger = resource(types.monitorAlert, "planted");
        const { refusals } = buildPlan(sources([step("delete", stranger)]));
        expect(refusals.join()).toContain("planted, which this program does not make");
    });
});

describe("alerts that the state does not know", () => {
    const tag = "dropscale-prod-backend";
    const inventory: Inventory = {
        ...{ droplets: [], firewalls: [], keys: [], vpcs: [], reservedIps: [], tags: [] },
        alerts: [
            {
                uuid: "a",
                description: "dropscale-prod: CPU of a server over 85 % for 5 minutes",
                tags: [tag],
            },
            { uuid: "b", description: "dropscale-prod: mine", tags: [tag, "others"] },
            { uuid: "c", description: "dropscale-prod: mine", tags: null },
            { uuid: "d", description: "dropscale-prod-2: CPU", tags: ["dropscale-prod-2-backend"] },
            { uuid: "e", description: "CPU", tags: [tag] },
        ],
        uptimeChecks: [
            { id: "f", name: "dropscale-prod: the site, from outside" },
            { id: "g", name: "dropscale-prod: the shop" },
        ],
        uptimeAlerts: [
            { id: "h", name: "dropscale-prod: the site is down", check: "f" },
            { id: "i", name: "dropscale-prod: the site is down", check: "g" },
        ],
    };
    const orphans = (known: string[], noRunLives: boolean) => {
        const none = new Set<string>();
        const facts = {
            loadBalancerIds: none,
            neverServed: none,
            answers: new Map(),
            giveUp: false,
            vpcId: "",
        };
        const of: Case = { prefix: "dropscale-prod", inventory, known: new Set(known), noRunLives, ...facts };
        return Object.fromEntries(
            findOrphans(of).map(({ id, kind, verdict, check }) => [
                id,
                [kind, verdict, check ?? ""].join(" ").trim(),
            ]),
        );
    };

    it("are deleted where they can only be the stack's, once no run lives; others are told", () => {
        const told = { b: "alert tell", c: "alert tell", g: "uptime check tell" };
        expect(orphans([], true)).toEqual({ ...told, a: "alert delete", f: "uptime check delete" });
        expect(orphans([], false)).toEqual({ ...told, a: "alert wait", f: "uptime check wait" });
    });

    it("are found at a check that the state knows, too", () => {
        expect(orphans(["alert a", "uptime check f"], true)).toMatchObject({ h: "uptime alert delete f" });
        expect(orphans(["alert a", "uptime check f", "uptime alert h"], true)).toEqual({
            ...{ b: "alert tell", c: "alert tell", g: "uptime check tell" },
        });
    });
});

describe("advice on errors of the provider", () => {
    const api = "https://api.digitalocean.com/v2";
    it.each([
        `Error creating Alert Policy: POST ${api}/monitoring/alerts: 422 (request "1") alerts.email[0]: invalid email 'bob@example.com'`,
        `Error creating Uptime Alert: POST ${api}/uptime/checks/1/alerts: 400 (request "1") invalid value for field 'notifications.email[0]': invalid email 'bob@example.com'`,
    ])("names the address that has to be verified: %s", (message) => {
        expect(emailAdvice(message)).toContain("`alerts.email`");
        expect(goneAdvice(message)).toBeUndefined();
    });

    it.each([
        `Error deleting monitor alert: DELETE ${api}/monitoring/alerts/a-b: 404 (request "1") not found`,
        `Error updating uptime check: PUT ${api}/uptime/checks/a-b: 404 (request "1") not found`,
        `Error deleting uptime alerts: DELETE ${api}/uptime/checks/a/alerts/b: 404 (request "1") not found`,
    ])("tells how to forget what is gone: %s", (message) => {
        expect(goneAdvice(message)).toContain("`pulumi up --refresh`");
        expect(emailAdvice(message)).toBeUndefined();
    });

    it("is none for others", () => {
        const other = `POST ${api}/droplets: 422 (request "1") email`;
        expect([emailAdvice(other), goneAdvice(other)]).toEqual([undefined, undefined]);
    });
});
