import type { Colors } from "picocolors/types";
import { count, duration, plain } from "../cli/words";
import { sayUp, sickFirst } from "../live/events";
import { busyShare, headline, sayHeadline, type Situation } from "../live/headline";
import { describeHeartbeat } from "../live/heartbeat";
import { type PoolReading, ratePerSecond, type ServerReading } from "../live/reading";

/** What a frame shows. */
export interface Scene extends Situation {
    url: string;
    /** In USD. */
    monthlyCost: number;
    /** Why the newest look shows nothing new; `undefined`: it does. */
    problem: string | undefined;
}

/** DigitalOcean charges by the hour, at most so many of them a month. https://docs.digitalocean.com/platform/billing/ */
const hoursOfMonth = 672;

/** A screenful: lines that fit a terminal of so many columns and rows. */
export function frame(scene: Scene, colours: Colors, columns: number, rows: number): string[] {
    const now = scene.looks.at(-1);
    const [first = "", ...more] = now ? summary(scene, now.reading) : [`${scene.stack}   ${scene.url}`];
    const heard = describeHeartbeat(now?.reading.heartbeat);
    const lines: Line[] = [{ text: first }, newsLine(scene, colours), ...more.map((text) => ({ text }))];
    if (heard) lines.push({ text: heard.text, ...(heard.isAlarming && { paint: colours.yellow }) });
    if (now) {
        const room = Math.max(1, rows - lines.length - 3);
        lines.push(
            { text: "" },
            { text: titles, paint: colours.dim },
            ...table(now.reading, scene, colours, room),
        );
    }
    return lines.map(({ text, paint = String }) => paint(cut(text, columns)));
}

interface Line {
    text: string;
    /** @default as it is */
    paint?: (text: string) => string;
}

/** What happened, when and why. */
function newsLine(scene: Scene, colours: Colors): Line {
    const news = headline(scene);
    const paint = { ok: colours.green, note: colours.yellow, bad: colours.red }[news.level];
    const mark = news.level === "ok" ? "" : "! ";
    return { text: plain(`${mark}${sayHeadline(news, scene.nowMs)}`), paint };
}

function table(reading: PoolReading, scene: Scene, { red, dim }: Colors, room: number): Line[] {
    const sorted = sickFirst(reading.servers);
    const shown = sorted.length > room ? sorted.slice(0, room - 1) : sorted;
    const rest = sorted.length - shown.length;
    return [
        ...shown.map((server) => ({
            text: serverLine(server, scene),
            ...(!server.isUp && { paint: red }),
        })),
        ...(rest > 0 ? [{ text: `… and ${count(rest, "server")} more`, paint: dim }] : []),
    ];
}

/** One line for a log: it is printed when something in it but the figures changes. */
export function logLine(scene: Scene): { text: string; key: string } {
    const reading = scene.looks.at(-1)?.reading;
    if (scene.problem !== undefined || !reading)
        return { text: scene.problem ?? "", key: scene.problem ?? "" };
    const states = reading.servers.map(({ name, status }) => `${name} ${status}`).join(", ");
    const heard = describeHeartbeat(reading.heartbeat)?.text ?? "";
    return {
        text: `${sayUp(reading.servers)}, ${busyOf(scene, reading)}, ${rateOf(scene).toFixed(0)} requests/s; ${states}${heard && `; ${heard}`}`,
        key: `${sayUp(reading.servers)} ${states} ${reading.generation} ${heard.replace(/[\d.]+/g, "")}`,
    };
}

function summary(scene: Scene, reading: PoolReading): string[] {
    const { stack, url, monthlyCost, wanted, autoscale } = scene;
    const range = autoscale ? `, ${autoscale.min} to ${autoscale.max}` : "";
    const hourly = (monthlyCost / hoursOfMonth).toFixed(3);
    const ago = duration(reading.uptimeSeconds);
    const applied = reading.isApplying ? "being applied just now" : `applied ${ago} ago`;
    return [
        `${stack}   ${url}   ${sayUp(reading.servers)}, ${wanted} wanted${range}   $${monthlyCost} a month, $${hourly} an hour`,
        `${busyOf(scene, reading)}   ${reading.running} running, ${reading.queued} queued, ${reading.streams} streams`,
        `requests/s ${rateOf(scene).toFixed(0).padStart(6)}   5xx/s ${failureRateOf(scene).toFixed(1)}   ${spark(ratesOf(scene))}`,
        `HAProxy ${reading.idlePercent} % idle, ${reading.connections} of ${reading.maxConnections} connections, haproxy.cfg ${reading.generation || "not ours"}, ${applied}`,
    ];
}

function busyOf({ autoscale }: Scene, reading: PoolReading): string {
    const busy = busyShare(reading, autoscale);
    if (!autoscale || busy === undefined) return "busy ?";
    return `busy ${busy.toFixed(2)} (target ${autoscale.target.toFixed(2)}) ${bar(busy)}`;
}

/** Ten cells; what is over 1 does not show. */
const bar = (share: number): string => {
    const full = Math.min(10, Math.round(10 * share));
    return "█".repeat(full) + "░".repeat(10 - full);
};

/** From each look to the next, oldest first. */
function ratesOf(
    { looks }: Scene,
    counter: (reading: PoolReading) => number = ({ requests }) => requests,
): number[] {
    return looks.flatMap((look, i) => ratePerSecond(look, looks[i - 1], counter) ?? []);
}

const rateOf = (scene: Scene): number => ratesOf(scene).at(-1) ?? 0;
const failureRateOf = (scene: Scene): number => ratesOf(scene, ({ failures }) => failures).at(-1) ?? 0;

/** The highest of them is a full block. */
export function spark(numbers: readonly number[]): string {
    const most = Math.max(...numbers, 1);
    return numbers.map((number) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.floor((8 * number) / most))]).join("");
}

const titles = row(["server", "address", "state", "running", "req/s", "ms", "failed", "for"]);

function serverLine(server: ServerReading, scene: Scene): string {
    const { name, address, status, isUp, check, running, requestsPerSecond, responseMs, failures } = server;
    const slots = scene.autoscale ? `/${scene.autoscale.slots}` : "";
    const state = isUp ? status : `${status} ${check}`;
    // A mean of its last 1,024 requests, whenever those were.
    const milliseconds = requestsPerSecond > 0 ? String(responseMs) : "-";
    const figures = [`${running}${slots}`, String(requestsPerSecond), milliseconds, String(failures)];
    return row([name, address, state, ...figures, duration(server.statusSeconds)]);
}

function row([name = "", address = "", state = "", ...figures]: string[]): string {
    const widths = [10, 8, 7, 9];
    const cells = figures.map((figure, i) => figure.padStart(widths[i] ?? 14));
    return plain(`${name.padEnd(12)}${address.padEnd(16)}${state.padEnd(16)}${cells.join("")}`);
}

const cut = (line: string, columns: number): string =>
    line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line;
