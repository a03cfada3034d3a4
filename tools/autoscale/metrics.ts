/** What Prometheus may know of the autoscaler. No words of its own: those have figures, names and errors in them. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { TimedReading } from "../live/reading";
import type { Blind, Decision } from "./model";

/** One round of the autoscaler. */
export interface Round {
    look: TimedReading | Blind;
    decision: Pick<Decision, "action" | "alarming"> & Partial<Pick<Decision, "replicas">>;
    /** `undefined`: the config can't be read just now. */
    settings: AutoscaleSettings | undefined;
}

const actions = ["out", "in", "none"] as const;

interface Metric {
    name: string;
    help: string;
    type: "gauge" | "counter";
    /** By label, as it is written; what is not known is left out. */
    values: [labels: string, value: number | undefined][];
}

/** What happened so far, as a text for Prometheus. */
export class AutoscalerMetrics {
    private last: Round | undefined;
    private seenAtMs: number | undefined;
    private changedAtMs: number | undefined;
    private readonly decisions = { out: 0, in: 0, none: 0 };

    tell(round: Round): void {
        const { look, decision } = round;
        this.last = round;
        if ("reading" in look) this.seenAtMs = look.atMs;
        if (decision.action !== "none") this.changedAtMs = look.atMs;
        this.decisions[decision.action]++;
    }

    /** https://github.com/prometheus/docs/blob/main/docs/instrumenting/exposition_formats.md */
    text(): string {
        return this.metrics()
            .map(({ name, help, type, values }) => {
                const full = `dropscale_autoscaler_${name}`;
                const lines = values.flatMap(([labels, value]) =>
                    value === undefined ? [] : [`${full}${labels} ${value}\n`],
                );
                return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join("")}`;
            })
            .join("");
    }

    private metrics(): Metric[] {
        const { look, decision, settings } = this.last ?? {};
        const { servers, running, queued } = look && "reading" in look ? look.reading : {};
        const up = servers?.filter(({ isUp }) => isUp).length;
        const busy = up && settings ? ((running ?? 0) + (queued ?? 0)) / (up * settings.slots) : undefined;
        const gauge = (name: string, help: string, value: number | undefined): Metric => ({
            ...{ name, help, type: "gauge", values: [["", value]] },
        });
        const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
        return [
            gauge("servers_wanted", "What replicas is to be, by the last decision.", decision?.replicas),
            gauge("servers_up", "Servers that HAProxy calls UP.", up),
            gauge("servers_min", "autoscale.min of the config.", settings?.min),
            gauge("servers_max", "autoscale.max of the config.", settings?.max),
            gauge("busy_ratio", "Requests that run and wait, over all slots of servers that are UP.", busy),
            gauge("target_ratio", "autoscale.target of the config.", settings?.target),
            gauge(
                "alarming",
                "1: something is wrong that a person should know; its log says what.",
                decision && Number(decision.alarming === true),
            ),
            gauge("last_look_timestamp_seconds", "When HAProxy answered it last.", seconds(this.seenAtMs)),
            gauge(
                "last_change_timestamp_seconds",
                "When it last decided that the pool should have another size.",
                seconds(this.changedAtMs),
            ),
            {
                name: "last_decision",
                help: "1 for what it decided last.",
                type: "gauge",
                values: actions.map((action) => [
                    `{action="${action}"}`,
                    decision && Number(decision.action === action),
                ]),
            },
            {
                name: "decisions_total",
                help: "Decisions since it was started, one for each look.",
                type: "counter",
                values: actions.map((action) => [`{action="${action}"}`, this.decisions[action]]),
            },
        ];
    }
}

/**
 * Serves them to this machine alone, on /metrics.
 *
 * @param port On 127.0.0.1; 0: any that is free.
 * @throws Error where the port can't be had.
 */
export async function serveMetrics(metrics: AutoscalerMetrics, port: number): Promise<Server> {
    const server = createServer((request, response) => {
        const isAsked = request.method === "GET" && request.url?.split("?")[0] === "/metrics";
        response.writeHead(isAsked ? 200 : 404, { "content-type": "text/plain; version=0.0.4" });
        response.end(isAsked ? metrics.text() : "only GET /metrics\n");
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening").catch((error: unknown) => {
        throw new Error(
            `metrics can't be served on 127.0.0.1:${port} (${(error as Error).message}): name another port with --metrics-port`,
        );
    });
    return server;
}
