/** The parts of the page that are text. Whatever comes from elsewhere is put in as text, never as HTML. */
import { capital, count } from "../../cli/words";
import { type PoolEvent, sayCheck, sickFirst } from "../../live/events";
import { describeHeartbeat } from "../../live/heartbeat";
import type { ServerReading, TimedReading } from "../../live/reading";
import type { Point } from "../points";
import type { View } from "../view";
import { clockAt, figure, percent, span, when } from "./words";

export const byId = (id: string): HTMLElement => {
    const found = document.getElementById(id);
    if (!found) throw new Error(`the page has no #${id}`);
    return found;
};

/** Only where it is another one: who selects a text, or has it read aloud, is not disturbed. */
export function setText(element: HTMLElement, text: string): void {
    if (element.textContent !== text) element.textContent = text;
}

/** The same; what stands between backticks is a command. */
export function setCode(element: HTMLElement, text: string): HTMLElement {
    if (element.textContent !== text.replaceAll("`", ""))
        element.replaceChildren(
            ...text.split("`").map((part, i) => (i % 2 === 0 ? part : make("code", part))),
        );
    return element;
}

export function make(tag: string, text: string, className = ""): HTMLElement {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
}

/** @param point The newest of the charts. */
export function showView(view: View, point: Point | undefined, nowMs: number): void {
    showHeader(view);
    showHeadline(view, nowMs);
    showFigures(view, point);
    showServers(view, nowMs);
}

function showHeader({ stack, url, monthlyCost, autoscale }: View): void {
    setText(byId("stack"), stack);
    const link = byId("url") as HTMLAnchorElement;
    setText(link, url);
    if (/^https?:\/\//.test(url)) link.href = url;
    const range = autoscale ? `scales itself from ${autoscale.min} to ${autoscale.max} servers` : "";
    setText(byId("facts"), [range, `$${monthlyCost} a month`].filter(Boolean).join(" · "));
}

/** The four questions: what happened, when, why, is it over? */
function showHeadline({ headline: { level, title, event, over, also } }: View, nowMs: number): void {
    byId("headline").className = level;
    setCode(byId("title"), capital(title));
    byId("answers").hidden = event === undefined;
    if (event) {
        setCode(byId("what"), capital(event.what));
        setText(byId("when"), when(event, nowMs));
        setCode(byId("why"), event.why || "not recorded");
        setCode(byId("over"), over);
    }
    const others = byId("also");
    if (others.textContent !== also.map(capital).join("").replaceAll("`", ""))
        others.replaceChildren(...also.map((text) => setCode(make("li", ""), capital(text))));
}

function showFigures({ wanted, newest, autoscale }: View, point: Point | undefined): void {
    const servers = newest?.reading.servers ?? [];
    const cpu = newest && 1 - newest.reading.idlePercent / 100;
    const up = servers.filter(({ isUp }) => isUp).length;
    const figures: [value: string, label: string, isBad: boolean][] = [
        [`${up} of ${servers.length}`, `servers UP, ${wanted} wanted`, up < servers.length || up < wanted],
        autoscale
            ? [percent(point?.busy), `busy, target ${percent(autoscale.target)}`, false]
            : [figure(point?.running), "requests under way", false],
        [figure(point?.requests), "requests a second", false],
        [figure(point?.failures), "of them fail (5xx)", (point?.failures ?? 0) > 0],
        [`${figure(point?.responseMs)} ms`, "response time", false],
        [percent(cpu), "of HAProxy's CPU", (cpu ?? 0) > 0.8],
    ];
    const list = byId("figures");
    figures.forEach(([value, label, isBad], i) => {
        let item = list.children[i];
        if (!item) {
            item = make("li", "");
            item.append(make("b", ""), make("span", ""));
            list.append(item);
        }
        item.className = isBad ? "bad" : "";
        setText(item.children[0] as HTMLElement, value);
        setText(item.children[1] as HTMLElement, label);
    });
}

function showServers({ newest, autoscale, historyProblem }: View, nowMs: number): void {
    const missing =
        historyProblem && `Pulumi's history can't be read, and its events may be missing: ${historyProblem}`;
    setText(byId("history-problem"), missing ?? "");
    const slots = autoscale ? ` of ${autoscale.slots}` : "";
    const rows = newest
        ? sickFirst(newest.reading.servers).map((server) => row(server, slots, nowMs - newest.atMs))
        : [];
    byId("servers").replaceChildren(...rows);
    if (newest) setText(byId("haproxy"), sayHaproxy(newest, nowMs));
    setText(byId("autoscaler"), capital(describeHeartbeat(newest?.reading.heartbeat)?.text ?? ""));
}

function sayHaproxy({ atMs, reading }: TimedReading, nowMs: number): string {
    const { generation, uptimeSeconds, connections, maxConnections, streams } = reading;
    const file = generation ? `haproxy.cfg ${generation}` : "a haproxy.cfg that is not ours";
    const parts = [
        `HAProxy runs ${file}, applied ${clockAt(atMs - 1000 * uptimeSeconds, nowMs)}`,
        `${connections.toLocaleString("en")} of ${maxConnections.toLocaleString("en")} connections`,
        count(streams, "WebSocket or event stream").replace(
            "WebSocket or event streams",
            "WebSockets and event streams",
        ),
    ];
    return `${parts.join(", ")}.`;
}

/** @param agoMs How long ago it was so. */
function row(server: ServerReading, slots: string, agoMs: number): HTMLElement {
    const { name, address, status, isUp, running, requestsPerSecond, responseMs, failures } = server;
    const cells = [
        ...[name, address, isUp ? status : `${status}: ${sayCheck(server)}`],
        ...[`${running}${slots}`, figure(requestsPerSecond)],
        // A mean of its last 1,024 requests, whenever those were.
        figure(requestsPerSecond > 0 ? responseMs : undefined),
        ...[figure(failures), span(agoMs + 1000 * server.statusSeconds)],
    ];
    const element = make("tr", "", isUp ? "" : "bad");
    element.append(...cells.map((text) => make("td", text)));
    return element;
}

/** @param numbers Of those that the charts show. @param onChoose Gets one that somebody wants to see there. */
export function showEvents(
    events: readonly PoolEvent[],
    numbers: ReadonlyMap<string, number>,
    nowMs: number,
    onChoose: (event: PoolEvent) => void,
): void {
    const items = events.map((event) => {
        const item = make("li", "");
        item.style.setProperty("--tone", `var(--${colourOf(event)})`);
        const button = make("button", "");
        button.setAttribute("type", "button");
        const what = setCode(make("span", "", "what"), capital(event.what));
        what.append(" ", make("span", stateOf(event, nowMs), "state"));
        const number = numbers.get(event.id);
        const details = (event.details ?? []).map(({ atMs, text }) => `${clockAt(atMs, nowMs)} ${text}`);
        button.append(
            make("span", number === undefined ? "" : String(number), number === undefined ? "" : "number"),
            make("time", clockAt(event.atMs, nowMs)),
            what,
            ...[event.why, ...details].filter(Boolean).map((text) => make("span", text, "more")),
        );
        button.addEventListener("click", () => {
            onChoose(event);
        });
        item.append(button);
        return item;
    });
    byId("events").replaceChildren(
        ...(items.length > 0 ? items : [make("li", "Nothing has been seen yet.")]),
    );
}

function stateOf({ atMs, endMs, hasFailed }: PoolEvent, nowMs: number): string {
    if (endMs === undefined) return `goes on, for ${span(nowMs - atMs)}`;
    if (endMs - atMs < 1000) return "";
    return hasFailed ? `after ${span(endMs - atMs)}` : `over after ${span(endMs - atMs)}`;
}

/** In the list and in the charts; the name of a colour in style.css. */
export function colourOf({ kind, hasFailed }: PoolEvent): string {
    if (hasFailed || kind === "down" || kind === "blind") return "red";
    return { run: "blue", apply: "quiet", autoscaler: "purple" }[kind];
}
