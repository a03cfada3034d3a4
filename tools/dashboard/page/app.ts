/** The page: listens to the server, and shows what comes. */
import type { PoolEvent } from "../../live/events";
import { type Point, Points, thinned } from "../points";
import { type Messages, streamPath, type View } from "../view";
import { Chart, type ChartSpec } from "./chart";
import { byId, colourOf, setCode, setText, showEvents, showView } from "./parts";
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

const dashed = [6, 4];
const dotted = [2, 3];

const load: ChartSpec = {
    title: "Requests under way",
    least: 4,
    lines: [
        { label: "running", colour: "blue", of: ({ running }) => running },
        { label: "waiting", colour: "red", dash: dashed, of: ({ queued }) => queued },
    ],
};

const busy = (target: number): ChartSpec => ({
    title: "Busy",
    least: 1,
    show: percent,
    lines: [
        { label: "busy", colour: "blue", of: ({ busy }) => busy },
        { label: "target", colour: "orange", dash: dashed, of: () => target },
    ],
});

const specs = (target: number | undefined): ChartSpec[] => [
    {
        title: "Servers",
        least: 2,
        isStepped: true,
        lines: [
            { label: "UP", colour: "blue", of: ({ up }) => up },
            { label: "wanted", colour: "orange", dash: dashed, of: ({ wanted }) => wanted },
        ],
    },
    target === undefined ? load : busy(target),
    { title: "Requests a second", least: 5, lines: [{ colour: "blue", of: ({ requests }) => requests }] },
    {
        title: "Failures a second",
        least: 1,
        lines: [
            { label: "5xx", colour: "red", of: ({ failures }) => failures },
            { label: "errors", colour: "purple", dash: dashed, of: ({ errors }) => errors },
            { label: "retries", colour: "orange", dash: dotted, of: ({ retries }) => retries },
        ],
    },
    {
        title: "Response time (first byte), ms",
        least: 10,
        lines: [{ colour: "blue", of: ({ responseMs }) => responseMs }],
    },
    { title: "Waiting for a server", least: 4, lines: [{ colour: "red", of: ({ queued }) => queued }] },
];

/** Made when it is known whether there is a target, and again where that changes. */
let madeFor: string | undefined;

function makeCharts({ autoscale }: View): void {
    const key = String(autoscale?.target);
    if (madeFor === key) return;
    madeFor = key;
    const onMove = (point: Point | undefined) => {
        setText(byId("moment"), point ? `at ${clockAt(point.atMs, nowMs())}` : "");
    };
    charts = specs(autoscale?.target).map((spec) => new Chart(spec, onMove));
    byId("charts").replaceChildren(...charts.map(({ element }) => element));
    for (const chart of charts) chart.draw();
}

function shownMs(): number {
    const chosen = document.querySelector<HTMLInputElement>("#window input:checked");
    return Number(chosen?.value ?? 15) * 60_000;
}

let eventsShown = "";

function show(): void {
    if (!view) return;
    makeCharts(view);
    const now = nowMs();
    const since = now - shownMs();
    const all = points.all();
    const kept = all.slice(Math.max(0, all.findIndex(({ atMs }) => atMs >= since) - 1));
    const drawn = thinned(kept, shownMs() / 1000 / mostDrawn);
    // Of the time that the charts show; the oldest is 1.
    const shown = events.filter(({ endMs = Infinity }) => endMs >= since).reverse();
    const numbers = new Map(shown.map(({ id }, i) => [id, i + 1]));
    const marks = shown.map((event) => ({
        atMs: event.atMs,
        endMs: event.endMs ?? now,
        colour: colourOf(event),
    }));
    for (const chart of charts) chart.update(drawn, marks, [since, now]);
    showView(view, all.at(-1), now);
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

function showLive({ newest, stack, headline }: View, now: number): void {
    const live = byId("live");
    const lookedMs = newest?.atMs ?? now;
    const isStale = now - lookedMs > staleMs;
    live.className = isStale || silentSinceMs !== undefined ? "lost" : "";
    if (silentSinceMs !== undefined) {
        const ago = span(Date.now() - silentSinceMs);
        setCode(live, `▲ the dashboard has ended, ${ago} ago: \`make dashboard\` again, and this goes on`);
    } else if (isStale)
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
