import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAutoscaler, stopAutoscaler, untilSaid } from "../autoscalers.mts";
import { slowPath, Visitors } from "../e2e/client";
import { serveSlowly } from "../e2e/site";
import { dropletNamed, inDroplet } from "../faults.mts";
import { alertRules, alertsFile, bridge, dashboardQueries, Prometheus } from "../prometheus.mts";
import { type Host, hostsOf, inside } from "../scan.mts";
import { makeWorld, type Running, upEndsWell, type World } from "../world.mts";

/** How long nothing may fire; `SILENT_MINUTES=2` for a short try. */
const silentMinutes = Number(process.env.SILENT_MINUTES ?? 10);
/** So many times faster do rules fire where their cases are made to happen. */
const haste = 6;

/** The rules with all of their times divided. */
function hastyRules(): string {
    const seconds = (number: string, unit: string) => Number(number) * (unit === "m" ? 60 : 1);
    return readFileSync(alertsFile, "utf8")
        .replace(
            /(?<=for: |\[)(\d+)([sm])/g,
            (_, number: string, unit: string) => `${Math.ceil(seconds(number, unit) / haste)}s`,
        )
        .replace("> 120", `> ${120 / haste}`);
}

/**
 * A stack as docs/monitoring.md has it: Prometheus on the admin host, which scrapes the load balancer in the VPC and the
 * autoscaler beside it.
 */
describe("monitoring of a stack", () => {
    let world: World;
    let made: World | undefined;
    let hosts: Record<string, Host>;
    let scaler: Running | undefined;
    let visitors: Visitors | undefined;
    let prometheus: Prometheus | undefined;
    let endBridge: (() => Promise<void>) | undefined;
    let folder: string;

    const autoscale = { min: 2, max: 2, slots: 20, inSeconds: 7200 };
    const host = (name: string): Host => {
        const found = hosts[name];
        if (!found) throw new Error(`there is no droplet ${name}`);
        return found;
    };
    /** On the admin host's network, and this machine's files. */
    const shell = async (command: string) => {
        const { netns = "" } = inside(world, "admin-host", host("admin-host"));
        const args = [`--net=/run/netns/${netns}`, "sh", "-c", command];
        return (await promisify(execFile)("nsenter", args, { maxBuffer: 2 ** 26 })).stdout;
    };
    const on = async (name: string, command: string) =>
        inDroplet(world, (await dropletNamed(world, name)).id, command);
    /** From within the VPC, which no limit for one address counts. */
    const load = (options: string, where: string) =>
        shell(`ulimit -n 20000; wrk ${options} http://${host("load-balancer").privateIp}${where}`);

    beforeAll(async () => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-rules-"));
        world = made = await makeWorld("nspawn", {
            ...{ replicas: 2, autoscale, adminHost: true, adminHostImage: "debian-12-x64" },
            metricsSources: ["admin-host"],
        });
        serveSlowly(world.folder);
        await upEndsWell(world);
        hosts = await hostsOf(world);
        visitors = new Visitors((await world.outputs()).url);
        const port = 20_000 + (process.pid % 10_000);
        scaler = startAutoscaler(world, ["--apply", "up", "--metrics-port", String(port)]);
        endBridge = await bridge(shell, port, 9405);
        await untilSaid(scaler, /busy 0\.\d\d/, { seconds: 60 });
    });
    afterAll(async () => {
        await visitors?.stop();
        await prometheus?.stop();
        await endBridge?.();
        await stopAutoscaler(scaler);
        await made?.close();
        rmSync(folder, { recursive: true, force: true });
    });

    const watch = async (scrapeSeconds: number, rules: string) => {
        await prometheus?.stop();
        const options = { scrapeSeconds, haproxy: host("load-balancer").privateIp, rules: [rules] };
        prometheus = await Prometheus.start(shell, options);
        await prometheus.until("count(up == 1) == 2", 60);
    };
    const firing = async () => (await prometheus?.firing()) ?? ["Prometheus does not run"];
    const untilFiring = (...names: string[]) =>
        expect.poll(firing, { timeout: 120_000, interval: 2000 }).toEqual(expect.arrayContaining(names));
    const untilSilent = () => expect.poll(firing, { timeout: 240_000, interval: 2000 }).toEqual([]);

    it(`is silent in ${silentMinutes} min of ordinary load with a roll-out in it, and shows all of it`, async () => {
        await watch(15, alertsFile);
        const until = Date.now() + silentMinutes * 60_000;
        await sleep(Math.min(60_000, (silentMinutes * 60_000) / 4));
        await world.configure({ generation: "second" });
        const rollout = await world.tool("rollout", ["--stack", "test", "--batch", "1", "--quiet"]);
        expect(rollout.code, rollout.text).toBe(0);
        while (Date.now() < until) {
            expect(await firing()).toEqual([]);
            await sleep(5000);
        }
        expect(await prometheus?.query('max_over_time(ALERTS{alertstate="firing"}[1h])')).toEqual([]);
        expect(visitors?.failures).toEqual([]);
        // Reloads are there to see, and every server that served.
        const reloads = await prometheus?.query("changes(haproxy_process_start_time_seconds[1h])");
        expect(reloads?.[0]?.value).toBeGreaterThanOrEqual(2);
        const panels = dashboardQueries().filter(({ expr }) => !expr.includes("last_change"));
        for (const { title, expr } of panels) {
            const wide = expr.replaceAll("[10s]", "[1m]");
            expect(await prometheus?.query(wide), `${title}: ${wide}`).not.toEqual([]);
        }
    }, 1_800_000);

    it(`is watched ${haste} times as fast from here on`, async () => {
        const hasty = path.join(folder, "alerts.yml");
        writeFileSync(hasty, hastyRules());
        await watch(2, hasty);
        expect(await firing()).toEqual([]);
    });

    it("fires for a server that is DOWN, and stays so", async () => {
        await on("web-1", "systemctl stop nginx");
        await untilFiring("DropscaleServerDown");
        expect(await firing()).toEqual(["DropscaleServerDown"]);
        await expect
            .poll(firing, { timeout: 300_000, interval: 2000 })
            .toEqual(["DropscaleFewerServersThanWanted", "DropscaleServerDown"]);
        await on("web-1", "systemctl start nginx");
        await untilSilent();
    });

    it("fires where no server is UP, and visitors get errors", async () => {
        for (const name of ["web-0", "web-1"]) await on(name, "systemctl stop nginx");
        await untilFiring("DropscaleNoServer", "DropscaleErrors");
        for (const name of ["web-0", "web-1"]) await on(name, "systemctl start nginx");
        await untilSilent();
    });

    it("fires where requests wait, and the pool may not grow", async () => {
        const running = load("-c 700 -t 1 -d 75s --timeout 30s", slowPath);
        await untilFiring("DropscaleQueue", "DropscaleAutoscalerAlarm");
        await running;
        await untilSilent();
    });

    it("fires where connections run short", async () => {
        const running = load("-c 4700 -t 2 -d 60s --timeout 30s", slowPath);
        await untilFiring("DropscaleConnections");
        await running;
        await untilSilent();
    });

    it("fires where the load balancer has no time left", async () => {
        // A droplet of this size has one processor; here HAProxy sees all of the machine's, and begins as many threads.
        await on(
            "load-balancer",
            "mkdir -p /run/systemd/system/haproxy.service.d && cd /run/systemd/system/haproxy.service.d && " +
                "printf '[Service]\\nCPUAffinity=0\\n' >one.conf && systemctl daemon-reload && systemctl restart haproxy",
        );
        // Names of headers are what takes HAProxy longest.
        const script = path.join(folder, "headers.lua");
        const name = `"x-client-" .. i .. "-" .. string.rep("remote-client-source-", 10)`;
        writeFileSync(script, `wrk.method = "DELETE"\nfor i = 1, 90 do wrk.headers[${name}] = "a" end\n`);
        const running = load(`-c 200 -t 1 -d 110s -s ${script}`, "/");
        await untilFiring("DropscaleLoadBalancerBusy");
        await running;
        await untilSilent();
    });

    it("fires where the autoscaler is gone", async () => {
        await stopAutoscaler(scaler);
        await untilFiring("DropscaleAutoscalerSilent");
    });

    it("fires where the load balancer is silent", async () => {
        await on("load-balancer", "systemctl stop haproxy");
        await untilFiring("DropscaleLoadBalancerSilent");
        await on("load-balancer", "systemctl start haproxy");
    });

    it("has fired by each of its rules", async () => {
        const fired = await prometheus?.query(
            'count by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))',
        );
        expect(fired?.map(({ metric }) => metric.alertname).sort()).toEqual(
            alertRules()
                .map(({ name }) => name)
                .sort(),
        );
    });
});
