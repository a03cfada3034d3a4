import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/settings";
import { renderHaproxyConfig } from "../../components/haproxy/render";
import { readAutoscale } from "../../lib/autoscale-settings";
import { AutoscalerMetrics, serveMetrics } from "../../tools/autoscale/metrics";
import type { FirewallPeers } from "../../tools/live/account";
import { doubtFirewall } from "../../tools/live/ownership";
import { parseReading } from "../../tools/live/reading";
import { buildPlan } from "../../tools/plan/build";
import { planAsText } from "../../tools/plan/text";
import { haproxySettings } from "../haproxy-settings";
import { runProgram } from "../mocks";
import { haproxy, haproxyRuns, resource, sources, step } from "../plan-fixtures";
import { stackConfig } from "../stack-config";

const servers = [{ name: "web-0", address: "10.0.0.10" }];
const config = {
    adminHost: true,
    adminCidrs: ["198.51.100.7/32"],
    metricsSources: ["admin-host", "monitoring", "10.114.0.9/32"],
};
const own = { adminHost: true, adminCidrs: config.adminCidrs };

describe.each([
    ["up", false],
    ["preview", true],
])("metricsSources in %s", (_mode, preview) => {
    const run = (more: object) =>
        runProgram({ preview, stack: "prod", tags: ["monitoring"], config: { ...own, ...more } });

    it("lets in those whom it names, on one port of the load balancer, and shows them", async () => {
        const { find } = await run(config);
        expect(find("Firewall", "network-load-balancer").inputs.inboundRules).toEqual([
            expect.objectContaining({ portRange: "80" }),
            expect.objectContaining({ portRange: "22" }),
            {
                ...{ protocol: "tcp", portRange: "8405", sourceAddresses: ["10.114.0.9/32"] },
                sourceTags: ["monitoring", "dropscale-prod-admin-host"],
            },
        ]);
        expect(find("dropscale:index:Network", "network").inputs.metricsSources).toEqual(
            config.metricsSources,
        );
        expect(find("dropscale:index:HaproxyConfig", "haproxy").inputs.metrics).toBe(true);
    });

    it("changes nothing at all where it is empty", async () => {
        const of = async (more: object) =>
            (await run(more)).registrations.map(({ type, name, inputs }) => ({ type, name, inputs }));
        const [none, empty] = [await of({}), await of({ metricsSources: [] })];
        expect(empty).toEqual(none);
        expect(JSON.stringify(none)).not.toContain("8405");
        expect(JSON.stringify(none)).not.toContain("metrics");
    });

    it("is refused where it names a tag that the account does not have", async () => {
        await expect(run({ metricsSources: ["monitorin"] })).rejects.toThrow(
            "'metricsSources' should name tags that the account has, got monitorin; give it to a host first: doctl",
        );
    });
});

describe("metricsSources", () => {
    const problems = (more: object) => parseSettings(stackConfig({ ...own, ...more }), "prod").problems;

    it.each([["admin-host"], ["monitoring"], ["10.114.0.0/20"], ["192.168.1.7/32"], ["10.0.0.0/8"]])(
        "may name %s",
        (source) => {
            expect(problems({ metricsSources: [source] })).toEqual([]);
        },
    );

    it.each<unknown>([
        "10.114.0.9",
        "203.0.113.7/32",
        "0.0.0.0/0",
        "10.0.0.1/8",
        "172.16.0.0/11",
        "",
        7,
        null,
        {},
    ])("may not name %j", (wrong) => {
        expect(problems({ metricsSources: ["monitoring", wrong] })).toEqual([
            `'metricsSources' should be a list of who may read the load balancer's metrics in the VPC: admin-host (the stack's own), an existing tag, or a private IPv4 range, such as ["monitoring", "10.114.0.9/32"] (wrong: ${JSON.stringify(wrong)}), got ["monitoring",${JSON.stringify(wrong)}]`,
        ]);
    });

    it("has no admin host where there is none, and no tag of the stack's own", () => {
        expect(problems({ metricsSources: ["admin-host"], adminHost: false })).toEqual([
            "'metricsSources' has admin-host, and there is none: pulumi config set adminHost true, or name another source",
        ]);
        for (const tag of ["dropscale-prod-backend", "dropscale-prod-admin-host"])
            expect(problems({ metricsSources: [tag] }).join()).toContain(
                `'metricsSources' should name no tag of the stack itself, got ${tag}: its admin host is admin-host`,
            );
    });

    it("makes a firewall that the doctor knows as the stack's own", () => {
        const anywhere = { addresses: ["0.0.0.0/0", "::/0"] };
        const rule = (ports: string, sources: FirewallPeers) => ({ protocol: "tcp", ports, sources });
        const doubt = (more: ReturnType<typeof rule>) =>
            doubtFirewall("dropscale-prod", {
                ...{ id: "f", name: "dropscale-prod-load-balancer", tags: ["dropscale-prod-load-balancer"] },
                ...{ droplet_ids: [], created_at: "2026-01-02T03:04:05Z" },
                inbound_rules: [rule("80", anywhere), rule("22", { addresses: ["198.51.100.7/32"] }), more],
                outbound_rules: ["icmp", "tcp", "udp"].map((protocol) => ({
                    ...{ protocol, destinations: anywhere },
                    ...(protocol !== "icmp" && { ports: "0" }),
                })),
            });
        expect(doubt(rule("8405", { tags: ["monitoring"] }))).toBeUndefined();
        expect(doubt(rule("8405", { addresses: ["10.114.0.9/32"], tags: ["a", "b"] }))).toBeUndefined();
        expect(doubt(rule("8406", { tags: ["monitoring"] }))).toBeDefined();
    });
});

describe("haproxy.cfg with metrics", () => {
    const render = (more: object) => renderHaproxyConfig({ ...haproxySettings, ...more, servers });
    const without = (text: string) => text.replace(/^ {4}description gen=.*\n/m, "");

    it("has one frontend more, for the VPC alone, and its connections beside the visitors'", () => {
        const lines = (text: string) => without(text).split("\n");
        const [plain, metrics] = [lines(render({})), lines(render({ metrics: true }))];
        expect(metrics.filter((line) => !plain.includes(line))).toEqual([
            "    maxconn 6010",
            "# For Prometheus. The firewall lets in those whom the config names, and nobody comes here from the Internet.",
            "frontend metrics",
            "    bind :8405 interface eth1",
            "    maxconn 10",
            "    timeout client 10s",
            "    http-request set-log-level silent",
            "    http-request deny deny_status 404 unless { method GET } { path /metrics }",
            "    http-request use-service prometheus-exporter",
        ]);
        expect(metrics[metrics.indexOf("    bind :80") + 1]).toBe("    maxconn 6000");
    });

    it("is what it was without them, byte for byte", () => {
        expect(render({ metrics: false })).toBe(render({}));
        const https = { redirect: true, hsts: 0 };
        expect(render({ https, metrics: true })).toContain("    maxconn 4010\n");
    });
});

describe("the plan of metrics", () => {
    it("names who is let in, and loses no request", () => {
        const network = (more: object, rules: object[]) => [
            resource("dropscale:index:Network", "network", { prefix: "dropscale-prod", ...more }),
            resource("digitalocean:index/firewall:Firewall", "network-load-balancer", {
                tags: ["dropscale-prod-load-balancer"],
                inboundRules: [
                    { protocol: "tcp", portRange: "80", sourceAddresses: ["0.0.0.0/0"] },
                    ...rules,
                ],
            }),
        ];
        const rule = { protocol: "tcp", portRange: "8405", sourceTags: ["monitoring"] };
        const [was, is] = [network({}, []), network({ metricsSources: ["monitoring"] }, [rule])];
        const steps = is.map((one, i) => step("update", one, was[i], i === 0 ? [] : ["inboundRules"]));
        const plan = buildPlan(
            sources([...steps, ...haproxyRuns(haproxy("unknown"))], {
                metricsSources: '["monitoring"]',
            }),
        );
        expect(plan.refusals).toEqual([]);
        expect(plan.lostRequests.which).toBe("none");
        const text = planAsText(plan, pc.createColors(false));
        expect(text).toContain("port 8405 from nobody → monitoring");
        expect(text).toContain("listens on port 8405, too");
        expect(text).toContain("metricsSources (none) → [monitoring]");
    });
});

describe("the autoscaler's metrics", () => {
    const header =
        "# pxname,svname,qcur,scur,status,lastchg,check_status,rate,rtime,hrsp_5xx,req_tot,econ,eresp,stot,addr,\n";
    const reading = parseReading(`Pid: 7
description: gen=92dfb8a09cbd2ce5

${header}pool,web-0,0,3,UP,9,L7OK,1,1,0,,0,0,9,10.0.0.2:80,
pool,web-1,0,0,DOWN,9,L4CON,0,1,0,,0,0,9,10.0.0.3:80,
pool,BACKEND,1,3,UP,9,,1,1,0,9,0,0,9,,

`);
    const settings = readAutoscale('{"min":2,"max":6,"slots":4}');
    const values = (metrics: AutoscalerMetrics) =>
        Object.fromEntries(
            [...metrics.text().matchAll(/^dropscale_autoscaler_(\S+) (\S+)$/gm)].map(
                ([, name = "", value = ""]) => [name, Number(value)],
            ),
        );

    it("say what it saw and decided, and nothing before", () => {
        const metrics = new AutoscalerMetrics();
        expect(Object.keys(values(metrics))).toEqual(
            ["out", "in", "none"].map((action) => `decisions_total{action="${action}"}`),
        );
        const decision = { action: "out", replicas: 3, alarming: true } as const;
        metrics.tell({ look: { atMs: 5000, reading }, decision, settings });
        expect(values(metrics)).toEqual({
            ...{ servers_wanted: 3, servers_up: 1, servers_min: 2, servers_max: 6 },
            ...{ busy_ratio: 1, target_ratio: 0.6, alarming: 1 },
            ...{ last_look_timestamp_seconds: 5, last_change_timestamp_seconds: 5 },
            ...{ 'last_decision{action="out"}': 1, 'last_decision{action="in"}': 0 },
            ...{ 'last_decision{action="none"}': 0, 'decisions_total{action="out"}': 1 },
            ...{ 'decisions_total{action="in"}': 0, 'decisions_total{action="none"}': 0 },
        });
    });

    it("keep the time of the last look that saw anything, and none of what was seen then", () => {
        const metrics = new AutoscalerMetrics();
        const decision = { action: "none", replicas: 2 } as const;
        metrics.tell({ look: { atMs: 5000, reading }, decision, settings });
        const secret = "ssh: dop_v1_0123456789abcdef";
        metrics.tell({
            look: { atMs: 9000, problem: secret },
            decision: { action: "none" },
            settings: undefined,
        });
        expect(values(metrics)).toMatchObject({ last_look_timestamp_seconds: 5, alarming: 0 });
        for (const gone of ["servers_up", "busy_ratio", "servers_max", "servers_wanted"])
            expect(values(metrics)).not.toHaveProperty(gone);
        expect(metrics.text()).not.toContain("dop_v1");
    });

    it("are served to this machine alone, on one path", async () => {
        const metrics = new AutoscalerMetrics();
        const server = await serveMetrics(metrics, 0);
        const { address, port } = server.address() as { address: string; port: number };
        expect(address).toBe("127.0.0.1");
        const asked = await fetch(`http://127.0.0.1:${port}/metrics`);
        expect([asked.status, await asked.text()]).toEqual([200, metrics.text()]);
        const others = [
            fetch(`http://127.0.0.1:${port}/`),
            fetch(`http://127.0.0.1:${port}/metrics`, { method: "POST" }),
        ];
        expect((await Promise.all(others)).map(({ status }) => status)).toEqual([404, 404]);
        await expect(serveMetrics(metrics, port)).rejects.toThrow(
            /^metrics can't be served on 127\.0\.0\.1:\d+ \(.*EADDRINUSE.*\): name another port with --metrics-port$/,
        );
        server.close();
        server.closeAllConnections();
    });
});
