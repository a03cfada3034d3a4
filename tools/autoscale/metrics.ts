/** What Prometheus may know of the autoscaler. No words of its own: those have figures, names and errors in them. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { LiveLook } from "./looker";
import type { Decision } from "./model";

/** One round of the autoscaler. */
export interface Round {
    look: LiveLook;
    decision: Pick<Decision, "action" | "alarming"> & Partial<Pick<Decision, "replicas">>;
    /** `undefined`: the config can't be read just now. */
    settings: AutoscaleSettings | undefined;
}

const actions = ["out", "in", "none"] as const;

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
        const { look, decision, settings } = this.last ?? {};
        const { servers, running = 0, queued = 0 } = look && "reading" in look ? look.reading : {};
        const up = servers?.filter(({ isUp }) => isUp).length;
        const busy = up && settings ? (running + queued) / (up * settings.slots) : undefined;
        const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);
        return [
            metric("servers_wanted", "What replicas is to be, by the last decision.", decision?.replicas),
            metric("servers_up", "Servers that HAProxy calls UP.", up),
            metric("servers_min", "autoscale.min of the config.", settings?.min),
            metric("servers_max", "autoscale.max of the config.", settings?.max),
            metric("busy_ratio", "Requests that run and wait, over all slots of servers that are UP.", busy),
            metric("target_ratio", "autoscale.target of the config.", settings?.target),
            metric(
                "alarming",
                "1: something is wrong that a person should know; its log says what.",
                decision && Number(decision.alarming === true),
            ),
            metric("last_look_timestamp_seconds", "When HAProxy answered it last.", seconds(this.seenAtMs)),
            metric(
                "last_change_timestamp_seconds",
                "When it last decided that the pool should have another size.",
                seconds(this.changedAtMs),
            ),
            metric(
                "last_decision",
                "1 for what it decided last.",
                (action) => decision && Number(decision.action === action),
            ),
            metric(
                "decisions_total",
                "Decisions since it was started, one for each look.",
                (action) => this.decisions[action],
                "counter",
            ),
        ].join("");
    }
}

/** @param value One figure, or one for each action; what is not known is left out. */
function metric(
    name: string,
    help: string,
    value: number | undefined | ((action: Decision["action"]) => number | undefined),
    type: "gauge" | "counter" = "gauge",
): string {
    const full = `dropscale_autoscaler_${name}`;
    const line = (labels: string, figure: number | undefined) =>
        figure === undefined ? "" : `${full}${labels} ${figure}\n`;
    const lines =
        typeof value === "function"
            ? actions.map((action) => line(`{action="${action}"}`, value(action))).join("")
            : line("", value);
    return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines}`;
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
