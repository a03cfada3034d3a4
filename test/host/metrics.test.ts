import { execFileSync } from "node:child_process";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { readAutoscale } from "../../lib/autoscale-settings";
import { shellQuoted } from "../../lib/shell";
import { AutoscalerMetrics, serveMetrics } from "../../tools/autoscale/metrics";
import { parseReading, parseServers } from "../../tools/live/reading";
import {
    alertRules,
    alertsFile,
    alertTestsFile,
    bridge,
    configFile,
    dashboardQueries,
    metricsIn,
    Prometheus,
} from "../prometheus.mts";
import { configFor, Host, requireTools } from "./haproxy-host/host";
import { debianOfThisRun } from "./haproxy-host/next-haproxy.mts";

const [a, b] = ["127.0.1.1", "127.0.1.2"];

/** The interfaces of a droplet, and who is at their other ends: a monitoring host in the VPC, and the Internet. */
const networks = ["eth0 203.0.113.2 203.0.113.9 internet", "eth1 10.114.0.2 10.114.0.9 monitor"]
    .map((line) => line.split(" "))
    .map(
        ([device = "", own = "", others = "", name = ""]) => `ip netns add ${name}
ip link add ${device} type veth peer name far netns ${name}
ip address add ${own}/24 dev ${device}
ip link set ${device} up
ip -n ${name} address add ${others}/24 dev far
ip -n ${name} link set far up
ip -n ${name} link set lo up
`,
    )
    .join("");

describe("monitoring/", () => {
    const promtool = (...args: string[]) => execFileSync("promtool", args, { encoding: "utf8" });
    beforeAll(() => {
        requireTools("prometheus", "promtool");
    });

    test("has what Prometheus takes, and rules that fire when they should and only then", () => {
        expect(promtool("check", "config", configFile)).toContain("SUCCESS");
        expect(promtool("test", "rules", alertTestsFile)).toContain("SUCCESS");
        const tested = execFileSync("grep", ["-oE", "Dropscale[A-Za-z]+", alertTestsFile], {
            encoding: "utf8",
        });
        expect([...new Set(tested.trim().split("\n"))].sort()).toEqual(
            alertRules()
                .map(({ name }) => name)
                .sort(),
        );
    });
});

describe.each(debianOfThisRun)("metrics of HAProxy of %s", (_debian, find) => {
    let there: Host | undefined;
    let host: Host;
    let prometheus: Prometheus | undefined;
    let endBridge: (() => Promise<void>) | undefined;
    let served: Server | undefined;
    /** Of HAProxy, as the autoscaler reads it. */
    let answer = "";

    beforeAll(async () => {
        requireTools("prometheus", "socat", "curl", "ip");
        const haproxy = await find();
        if (haproxy === undefined) return;
        host = there = await Host.start({ haproxy });
        for (const address of [a, b]) await host.call("serve", address);
        await host.keepJournal();
        expect(await host.run(`set -e\n${networks}`)).toMatchObject({ code: 0, stderr: "" });
    });
    afterAll(async () => {
        await host.call("endLoad").catch(() => undefined);
        await prometheus?.stop();
        await endBridge?.();
        served?.close();
        served?.closeAllConnections();
        await there?.stop();
    });
    beforeEach(({ skip }) => {
        if (!there) skip("it can't be had");
    });

    const apply = async (metrics: boolean) => {
        const ended = await host.apply(configFor({ 0: a, 1: b }, { metrics }), 10);
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        return ended.stdout;
    };
    const monitor = async (command: string) => {
        const { code, stdout, stderr } = await host.run(
            `ip netns exec monitor sh -c ${shellQuoted(command)}`,
        );
        if (code !== 0) throw new Error(`${command}: ${stderr || stdout}`);
        return stdout;
    };
    /** Status by who asks where; 000: refused. */
    const asked = async (from: string, address: string, path = "/metrics", more = "") =>
        (
            await host.run(
                `${from} curl -s -m 3 -o /dev/null -w '%{http_code}' ${more} 'http://${address}:8405${path}'`,
            )
        ).stdout;
    const inVpc = "ip netns exec monitor";
    const outside = "ip netns exec internet";

    test("come and go with a reload that loses nothing", async () => {
        await apply(false);
        expect(await asked(inVpc, "10.114.0.2")).toBe("000");
        await host.call("startLoad", 10);
        expect(await apply(true)).toContain("will listen on :8405, too");
        expect(await asked(inVpc, "10.114.0.2")).toBe("200");
        expect(await apply(false)).toContain("will no longer listen on :8405");
        expect(await asked(inVpc, "10.114.0.2")).toBe("000");
        await apply(true);
        const load = await host.call("endLoad");
        expect(load?.failures).toEqual([]);
        expect(load?.answers[a]).toBeGreaterThan(0);
    });

    test("are told to the VPC alone, on one path, by GET", async () => {
        expect(await asked(inVpc, "10.114.0.2")).toBe("200");
        expect(await asked(inVpc, "10.114.0.2", "/metrics?scope=server")).toBe("200");
        for (const other of ["/", "/metrics/", "/stats", "/haproxy?stats"])
            expect(await asked(inVpc, "10.114.0.2", other)).toBe("404");
        for (const method of ["-X POST", "-X PUT", "-I"])
            expect(await asked(inVpc, "10.114.0.2", "/metrics", method)).toBe("404");
        // By eth0 nobody comes, whatever a firewall lets in.
        for (const address of ["203.0.113.2", "10.114.0.2"]) {
            await host.run("ip -n internet route replace 10.114.0.0/24 via 203.0.113.2");
            expect(await asked(outside, address), address).toBe("000");
        }
        expect(await asked("", "127.0.0.1")).toBe("000");
    });

    test("have no secret in them, and are in no log and no figure of visitors", async () => {
        const before = await monitor("curl -s http://10.114.0.2:8405/metrics");
        const requests = (text: string) =>
            /^haproxy_frontend_http_requests_total\{proxy="web"\} (\d+)$/m.exec(text)?.[1];
        for (let i = 0; i < 5; i++) await monitor("curl -s http://10.114.0.2:8405/metrics >/dev/null");
        expect(requests(await monitor("curl -s http://10.114.0.2:8405/metrics"))).toBe(requests(before));
        const log = await host.file("/run/journal");
        // As many as there were visitors, and none of the scrapes.
        expect(log).toContain(" web ");
        expect(log.split("\n").filter((line) => line.includes("] metrics"))).toEqual([]);
        const labels = [...before.matchAll(/(\w+)="/g)].map(([, name = ""]) => name);
        const harmless = [
            "code",
            "name",
            "nameserver",
            "proxy",
            "resolver",
            "server",
            "state",
            "type",
            "version",
        ];
        expect(labels.filter((name) => !harmless.includes(name))).toEqual([]);
    });

    test("are read alike by every command: over the master's socket, and over the worker's", async () => {
        const { stdout: master } = await host.run(
            "echo '@1 show stat -1 4 -1' | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock",
        );
        const { stdout: worker } = await host.run(
            "echo 'show info;show stat pool 6 -1;show stat uploads 6 -1;show stat streams 6 -1' | socat -t 5 - UNIX-CONNECT:/run/haproxy/admin.sock",
        );
        const without = (servers: ReturnType<typeof parseServers>) =>
            servers.map((server) => ({ ...server, statusSeconds: 0, requestsPerSecond: 0 }));
        const reading = parseReading(worker);
        expect(without(parseServers(master))).toEqual(without(reading.servers));
        expect(reading.servers.map(({ name, address, isUp }) => [name, address, isUp])).toEqual([
            ["web-0", a, true],
            ["web-1", b, true],
        ]);
        answer = worker;
    });

    test("have every name of the dashboard and of the alerts, with data", async () => {
        const metrics = new AutoscalerMetrics();
        const reading = parseReading(answer);
        metrics.tell({
            look: { atMs: Date.now(), reading },
            decision: { action: "out", replicas: 3 },
            settings: readAutoscale('{"min":2,"max":6,"slots":4}'),
        });
        const checked = execFileSync("promtool", ["check", "metrics"], {
            input: metrics.text(),
            encoding: "utf8",
        });
        expect(checked).toBe("");
        served = await serveMetrics(metrics, 0);
        endBridge = await bridge(monitor, (served.address() as AddressInfo).port, 9405);
        await host.call("startLoad", 5);
        prometheus = await Prometheus.start(monitor, {
            scrapeSeconds: 1,
            haproxy: "10.114.0.2",
            rules: [alertsFile],
        });
        // Two scrapes, of which a rate is made.
        await prometheus.until('count_over_time(up{job="dropscale-haproxy"}[20s]) > 4', 30);
        await prometheus.until("count(max_over_time(up[20s]) == 1) == 2", 30);
        const panels = dashboardQueries();
        const names = new Set([...panels, ...alertRules()].flatMap(({ expr }) => metricsIn(expr)));
        expect(names.size).toBeGreaterThan(20);
        const known = await prometheus.query('count by (__name__) (last_over_time({stack="prod"}[1m]))');
        const data = known.map(({ metric }) => metric.__name__);
        expect([...names].filter((name) => !data.includes(name))).toEqual([]);
        // A busy machine may miss a scrape.
        const empty = async () => {
            const shown = await Promise.all(
                panels.map(async (panel) => ({
                    ...panel,
                    values: (await prometheus?.query(panel.expr)) ?? [],
                })),
            );
            return shown.filter(({ values }) => !values.some(({ value }) => Number.isFinite(value)));
        };
        await expect.poll(empty, { timeout: 60_000, interval: 1000 }).toEqual([]);
        const rate = panels.find(({ title }) => title === "Requests a second");
        expect((await prometheus.query(rate?.expr ?? ""))[0]?.value).toBeGreaterThan(10);
        expect(await prometheus.firing()).toEqual([]);
        expect((await host.call("endLoad"))?.failures).toEqual([]);
    });
});
