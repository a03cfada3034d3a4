/** Debian's Prometheus, with what monitoring/ has for it. Needs `prometheus` and `curl`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { shellQuoted } from "../lib/shell.ts";

const folder = path.resolve(import.meta.dirname, "../monitoring");
export const alertsFile = path.join(folder, "alerts.yml");
export const alertTestsFile = path.join(import.meta.dirname, "alert-rules.yml");
export const configFile = path.join(folder, "prometheus.yml");

/** Runs a shell command on a network of its own, and on this machine's files. */
export type Shell = (command: string) => Promise<string>;

/** A value as Prometheus has it. */
export interface Sample {
    metric: Record<string, string>;
    value: number;
}

export interface Alert {
    name: string;
    expr: string;
}

export const alertRules = (): Alert[] =>
    (
        parse(readFileSync(alertsFile, "utf8")) as { groups: { rules: { alert: string; expr: string }[] }[] }
    ).groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ name: alert, expr })));

/** Expressions of the dashboard's panels and annotations, as Grafana asks them for stack prod. */
export function dashboardQueries(): { title: string; expr: string }[] {
    const { panels, annotations } = JSON.parse(
        readFileSync(path.join(folder, "grafana-dashboard.json"), "utf8"),
    ) as {
        panels: { title: string; targets: { expr: string }[] }[];
        annotations: { list: { name: string; expr: string }[] };
    };
    return [
        ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr }))),
        ...annotations.list.map(({ name, expr }) => ({ title: name, expr })),
    ].map(({ title, expr }) => ({
        title,
        expr: expr.replaceAll("$stack", "prod").replaceAll("$__rate_interval", "10s"),
    }));
}

/** Names of metrics in an expression. */
export const metricsIn = (expr: string): string[] => expr.match(/\b(haproxy|dropscale)_\w+/g) ?? [];

/** The example of monitoring/, with other intervals and targets. */
function configOf({ scrapeSeconds, haproxy, rules }: PrometheusOptions): string {
    return readFileSync(configFile, "utf8")
        .replaceAll("interval: 15s", `interval: ${scrapeSeconds}s`)
        .replace("10.114.0.2", haproxy)
        .replace("alerts.yml", rules.join("\n  - "));
}

interface PrometheusOptions {
    /** Between two scrapes, and two looks at the rules. */
    scrapeSeconds: number;
    /** The load balancer's private address. */
    haproxy: string;
    /** Paths of files with rules. */
    rules: readonly string[];
}

export class Prometheus {
    private readonly ended: Promise<unknown>;

    private constructor(
        private readonly shell: Shell,
        private readonly home: string,
        command: string,
    ) {
        this.ended = shell(command).catch((error: unknown) => error);
    }

    static async start(shell: Shell, options: PrometheusOptions): Promise<Prometheus> {
        const home = mkdtempSync(path.join(tmpdir(), "dropscale-prometheus-"));
        writeFileSync(path.join(home, "prometheus.yml"), configOf(options));
        const flags = [
            ...["--web.listen-address=127.0.0.1:9090", "--web.enable-lifecycle", "--log.level=error"],
            ...[`--config.file=${home}/prometheus.yml`, `--storage.tsdb.path=${home}/data`],
        ];
        const own = new Prometheus(shell, home, `exec prometheus ${flags.join(" ")} 2>&1`);
        const ready = `curl -sf --retry 60 --retry-delay 1 --retry-all-errors http://127.0.0.1:9090/-/ready`;
        await Promise.race([
            shell(ready),
            own.ended.then((said) => {
                throw new Error(`Prometheus ended: ${String(said)}`);
            }),
        ]);
        return own;
    }

    /** @throws Error for an expression that it does not take. */
    async query(expr: string): Promise<Sample[]> {
        const asked = `curl -s 'http://127.0.0.1:9090/api/v1/query' --data-urlencode ${shellQuoted(`query=${expr}`)}`;
        const answer = JSON.parse(await this.shell(asked)) as {
            error?: string;
            data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
        };
        if (!answer.data) throw new Error(`${expr}: ${answer.error ?? "no answer"}`);
        return answer.data.result.map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
    }

    /** Names of the alerts that fire, each once. */
    async firing(): Promise<string[]> {
        const samples = await this.query('ALERTS{alertstate="firing"}');
        return [...new Set(samples.map(({ metric }) => metric.alertname ?? ""))].sort();
    }

    /** Waits for an answer that is not empty. @throws Error if there is none within so many seconds */
    async until(expr: string, seconds: number): Promise<Sample[]> {
        const deadline = Date.now() + seconds * 1000;
        for (;;) {
            const found = await this.query(expr);
            if (found.length > 0) return found;
            if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${expr}`);
            await sleep(500);
        }
    }

    async stop(): Promise<void> {
        await this.shell("curl -sf -X POST http://127.0.0.1:9090/-/quit").catch(() => undefined);
        await this.ended;
        rmSync(this.home, { recursive: true, force: true });
    }
}

/**
 * Leads a port of this machine's loopback into another network's, through a socket in the file system.
 *
 * @returns Ends it.
 */
export async function bridge(shell: Shell, from: number, to: number): Promise<() => Promise<void>> {
    const home = mkdtempSync(path.join(tmpdir(), "dropscale-bridge-"));
    const socket = path.join(home, "socket");
    const server: Server = createServer((client) => {
        const target = connect(from, "127.0.0.1");
        for (const [one, other] of [
            [client, target],
            [target, client],
        ] as const) {
            one.pipe(other);
            one.on("error", () => other.destroy());
        }
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const pidFile = path.join(home, "pid");
    const there = shell(
        `echo $$ >${pidFile}; exec socat TCP-LISTEN:${to},bind=127.0.0.1,reuseaddr,fork UNIX-CONNECT:${socket}`,
    ).catch(() => undefined);
    return async () => {
        await shell(`kill $(cat ${pidFile})`).catch(() => undefined);
        await there;
        server.close();
        rmSync(home, { recursive: true, force: true });
    };
}
