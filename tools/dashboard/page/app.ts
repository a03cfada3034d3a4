/** The page: listens to the server, and shows what comes. */
import type { PoolEvent } from "../../live/events";
import { type Point, Points, thinned } from "../points";
import { streamPath } from "../paths";
import type { Messages, View } from "../view";
import { Chart, type ChartSpec, type Mark } from "./chart";
import {
    byId,
    setCode,
    setText,
    showEvents,
    showFigures,
    showHeader,
    showHeadline,
    showServers,
} from "./parts";
import { clockAt, percent, span } from "./words";

let points = new Points();
let events: Messages["events"] = [];
let view: View | undefined;
/** The server's clock, which may be another one's than this, minus ours. */
let aheadMs = 0;
/** Since when the server is silent, by our clock; `undefined`: it is not. */
let silentSinceMs: number | undefined;
let charts: Chart[] = [];

const nowMs = (): number => Date.now() + aheadMs;

/** Of more points the means are drawn: of a line that jumps up and down each second nobody can read anything. */
const mostDrawn = 300;

/** A look that is older than this is told, in milliseconds. */
const staleMs = 6000;

function specs(target: number | undefined): ChartSpec[] {
    const load: ChartSpec =
        target === undefined
            ? {
                  title: "Requests under way",
                  lines: [
                      { label: "running", colour: "blue", isFilled: true, of: ({ running }) => running },
                      { label: "waiting", colour: "red", dash: [6, 4], of: ({ queued }) => queued },
                  ],
                  least: 4,
              }
            : {
                  title: "Busy",
                  lines: [
                      {
                          label: "busy",
                          colour: "blue",
                          isFilled: true,
                          of: ({ busy }) => busy,
                          show: percent,
                      },
                      { label: "target", colour: "orange", dash: [6, 4], of: () => target, show: percent },
                  ],
                  least: 1,
                  axis: percent,
              };
    return [
        {
            title: "Servers",
            lines: [
                { label: "UP", colour: "blue", isStepped: true, isFilled: true, of: ({ up }) => up },
                {
                    label: "wanted",
                    colour: "orange",
                    dash: [6, 4],
                    isStepped: true,
                    of: ({ wanted }) => wanted,
                },
            ],
            least: 2,
        },
        load,
        {
            title: "Requests a second",
            lines: [{ label: "", colour: "blue", isFilled: true, of: ({ requests }) => requests }],
            least: 5,
        },
        {
            title: "Failures a second",
            lines: [
                { label: "5xx", colour: "red", isFilled: true, of: ({ failures }) => failures },
                { label: "errors", colour: "purple", dash: [6, 4], of: ({ errors }) => errors },
                { label: "retries", colour: "orange", dash: [2, 3], of: ({ retries }) => retries },
            ],
            least: 1,
        },
        {
            title: "Response time (first byte), ms",
            lines: [{ label: "", colour: "blue", isFilled: true, of: ({ responseMs }) => responseMs }],
            least: 10,
        },
        {
            title: "Waiting for a server",
            lines: [{ label: "", colour: "red", isFilled: true, of: ({ queued }) => queued }],
            least: 4,
        },
    ];
}

/** Made when it is known whether there is a target, and again where that changes. */
let madeFor: string | undefined;

function makeCharts({ autoscale }: View): void {
    const key = String(autoscale?.target);
    if (madeFor === key) return;
    madeFor = key;
    charts = specs(autoscale?.target).map((spec) => new Chart(spec, sayMoment));
    byId("charts").replaceChildren(...charts.map(({ element }) => element));
    for (const chart of charts) chart.draw();
}

function sayMoment(point: Point | undefined): void {
    setText(byId("moment"), point ? `at ${clockAt(point.atMs, nowMs())}` : "");
}

function shownMs(): number {
    const chosen = document.querySelector<HTMLInputElement>("#window input:checked");
    return Number(chosen?.value ?? 15) * 60_000;
}

/** Those of the time that the charts show, the oldest is 1. */
function numbered(sinceMs: number): { marks: Mark[]; numbers: Map<string, number> } {
    const shown = events.filter(({ atMs, endMs = Infinity }) => Math.max(atMs, endMs) >= sinceMs).reverse();
    const marks = shown.map((event, i) => ({
        ...{ atMs: event.atMs, number: i + 1, colour: colourOf(event) },
        endMs:
            event.endMs === undefined ? nowMs() : event.endMs - event.atMs > 1000 ? event.endMs : undefined,
    }));
    return { marks, numbers: new Map(shown.map(({ id }, i) => [id, i + 1])) };
}

function colourOf({ kind, hasFailed }: PoolEvent): string {
    if (hasFailed || kind === "down" || kind === "blind") return "red";
    return { run: "blue", apply: "quiet", autoscaler: "purple" }[kind];
}

let eventsShown = "";

function show(): void {
    if (!view) return;
    makeCharts(view);
    const now = nowMs();
    const since = now - shownMs();
    const all = points.all();
    const { marks, numbers } = numbered(since);
    const kept = all.slice(Math.max(0, all.findIndex(({ atMs }) => atMs >= since) - 1));
    const shown = thinned(kept, shownMs() / 1000 / mostDrawn);
    for (const chart of charts) chart.update(shown, marks, [since, now]);
    showHeader(view);
    showHeadline(view, now);
    showFigures(view, all.at(-1));
    showServers(view, now);
    showLive(view, now);
    // A list that is made anew loses the keyboard's place in it.
    const isOpen =
        events.some(({ endMs }) => endMs === undefined) && !byId("events").contains(document.activeElement);
    const key = JSON.stringify([events, [...numbers], isOpen && Math.floor(now / 5000)]);
    if (key === eventsShown) return;
    eventsShown = key;
    showEvents(events, numbers, now, choose);
}

/** Shows when it was: a longer time if need be, and the cursor there. */
function choose({ atMs }: PoolEvent): void {
    const inputs = [...document.querySelectorAll<HTMLInputElement>("#window input")];
    const wide = inputs.find(({ value }) => atMs >= nowMs() - Number(value) * 60_000);
    if (atMs < nowMs() - shownMs() && wide) wide.checked = true;
    show();
    charts[0]?.pointAt(atMs);
    byId("charts").scrollIntoView({ block: "nearest" });
}

function showLive({ haproxy, stack, headline }: View, now: number): void {
    const live = byId("live");
    const lookedMs = haproxy?.atMs ?? now;
    const isSilent = silentSinceMs !== undefined;
    live.className = isSilent || now - lookedMs > staleMs ? "lost" : "";
    if (isSilent)
        setCode(
            live,
            `▲ the dashboard has ended, ${span(Date.now() - (silentSinceMs ?? 0))} ago: \`make dashboard\` again, and this goes on`,
        );
    else if (now - lookedMs > staleMs)
        setText(live, `▲ last look ${span(now - lookedMs)} ago, at ${clockAt(lookedMs, now)}`);
    else setText(live, `● live, ${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
    document.title = `${{ ok: "✓", note: "●", bad: "▲" }[headline.level]} ${stack}: ${headline.title.replaceAll("`", "")}`;
}

function listen(): void {
    const stream = new EventSource(streamPath);
    const on = <Name extends keyof Messages>(name: Name, take: (message: Messages[Name]) => void) => {
        stream.addEventListener(name, (event: MessageEvent<string>) => {
            silentSinceMs = undefined;
            take(JSON.parse(event.data) as Messages[Name]);
        });
    };
    on("points", (all) => {
        points = new Points(all);
    });
    on("point", (point) => {
        points.add(point);
    });
    on("events", (all) => {
        events = all;
    });
    on("view", (next) => {
        aheadMs = next.nowMs - Date.now();
        view = next;
        show();
    });
    // It begins anew by itself, but not after every kind of failure.
    stream.addEventListener("error", () => {
        silentSinceMs ??= Date.now();
        if (stream.readyState !== EventSource.CLOSED) return;
        stream.close();
        setTimeout(listen, 2000);
    });
}

byId("window").addEventListener("change", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const chart of charts) chart.draw();
});
setInterval(show, 1000);
listen();
