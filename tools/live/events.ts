/**
 * What happened to a pool, as far as looking at it tells: pure functions, which fold one look after the other into a list
 * of events.
 */
import { compareTexts, count, some } from "../cli/words";
import { describeHeartbeat } from "./heartbeat";
import type { PoolReading, ServerReading, TimedReading } from "./reading";

/** Something that happened to a pool, or goes on. */
export interface PoolEvent {
    /** Tells it from the others. */
    id: string;
    /**
     * `run`: a `pulumi up` or `destroy`, `apply`: another haproxy.cfg, `down`: a server gets no requests, `autoscaler`: it
     * decided, is alarmed or silent, `blind`: the load balancer could not be asked.
     */
    kind: "run" | "apply" | "down" | "autoscaler" | "blind";
    atMs: number;
    /** `undefined`: it goes on. */
    endMs?: number;
    /** It did not end well. */
    hasFailed?: boolean;
    /** What happened, as the beginning of a sentence. */
    what: string;
    /** Who and why; may be empty. */
    why: string;
    /** What happened in its course, oldest first. */
    details?: { atMs: number; text: string }[];
}

/** The oldest ones beyond so many are forgotten. */
export const mostEvents = 200;

/** HAProxy's words for how a health check ended. https://docs.haproxy.org/2.6/management.html#9.1 (check_status) */
const checks: Readonly<Record<string, string>> = {
    ...{ INI: "not checked yet", SOCKERR: "no socket for the check", HANA: "too many requests failed" },
    ...{ L4TOUT: "it does not answer connections", L4CON: "connection refused, or no way there" },
    ...{ L6TOUT: "no TLS handshake in time", L6RSP: "no TLS handshake" },
    ...{ L7TOUT: "no answer to the health check in time", L7RSP: "the answer is no HTTP" },
    ...{ L7STS: "the health check gets a status other than 2xx", L7OK: "the health check passes" },
};

/** Why a server gets no requests: `connection refused, or no way there (L4CON)`. */
export function sayCheck({ status, check }: Pick<ServerReading, "status" | "check">): string {
    if (status.startsWith("MAINT")) return "taken out by hand (MAINT)";
    const words = checks[check];
    return words ? `${words} (${check})` : check || status;
}

/**
 * Adds to what is known what one look tells.
 *
 * @param events Newest first.
 * @param before The look before; `undefined`: this is the first, and what has lasted for a while began before it.
 * @returns Newest first, at most {@link mostEvents}.
 */
export function withLook(
    events: readonly PoolEvent[],
    now: TimedReading,
    before: TimedReading | undefined,
): PoolEvent[] {
    const all = ended(events, now);
    return newestFirst([...applied(now, before), ...wentDown(all, now), ...autoscaler(now, before), ...all]);
}

/** Adds that the load balancer can't be asked, or goes on not to be. @param problem Why. */
export function withBlindness(events: readonly PoolEvent[], atMs: number, problem: string): PoolEvent[] {
    const open = events.find(({ kind, endMs }) => kind === "blind" && endMs === undefined);
    if (open) return events.map((event) => (event === open ? { ...event, why: problem } : event));
    const what = "the load balancer could not be asked";
    return newestFirst([{ id: `blind ${atMs}`, kind: "blind", atMs, what, why: problem }, ...events]);
}

export const newestFirst = (events: readonly PoolEvent[]): PoolEvent[] =>
    events.toSorted((a, b) => b.atMs - a.atMs).slice(0, mostEvents);

/** With an end for what is over: a server that is UP or has left, the load balancer that answers. */
function ended(events: readonly PoolEvent[], { atMs, reading }: TimedReading): PoolEvent[] {
    return events.map((event) => {
        if (event.endMs !== undefined) return event;
        if (event.kind === "blind") return { ...event, endMs: atMs };
        if (event.kind !== "down") return event;
        const server = reading.servers.find(({ name }) => event.id.startsWith(`down ${name} `));
        if (server && !server.isUp) return event;
        if (!server) return { ...event, endMs: atMs, why: `${event.why}; it has left` };
        return { ...event, endMs: atMs - 1000 * Math.min(server.statusSeconds, (atMs - event.atMs) / 1000) };
    });
}

function wentDown(events: readonly PoolEvent[], { atMs, reading }: TimedReading): PoolEvent[] {
    const open = events.filter(({ kind, endMs }) => kind === "down" && endMs === undefined);
    return reading.servers
        .filter(({ isUp, name }) => !isUp && !open.some(({ id }) => id.startsWith(`down ${name} `)))
        .map((server) => {
            const at = atMs - 1000 * server.statusSeconds;
            const id = `down ${server.name} ${at}`;
            const what = `${server.name} went ${server.status.split(" ")[0] ?? ""}`;
            return { id, kind: "down", atMs: at, what, why: sayCheck(server) };
        });
}

function applied({ atMs, reading }: TimedReading, before: TimedReading | undefined): PoolEvent[] {
    if (before?.reading.pid === reading.pid) return [];
    const at = Math.round(atMs - 1000 * reading.uptimeSeconds);
    const event = { id: `apply ${reading.pid} ${at}`, kind: "apply", atMs: at, endMs: at } as const;
    const file = reading.generation ? `haproxy.cfg ${reading.generation}` : "a haproxy.cfg that is not ours";
    if (before === undefined) return [{ ...event, what: `${file} applied`, why: "" }];
    if (before.reading.generation === reading.generation)
        return [{ ...event, what: "HAProxy was started again or reloaded", why: `with ${file}, as before` }];
    return [{ ...event, what: `${file} applied`, why: membersChange(before.reading, reading) }];
}

/** `web-3 joined, web-1 left`; one of the same name at another address did both. */
function membersChange(before: PoolReading, now: PoolReading): string {
    const absent = (from: PoolReading, to: PoolReading) =>
        from.servers
            .filter(({ name, address }) => !to.servers.some((s) => s.name === name && s.address === address))
            .map(({ name }) => name)
            .sort(compareTexts);
    const [joined, left] = [absent(now, before), absent(before, now)];
    const replaced = joined.filter((name) => left.includes(name));
    const others = (names: readonly string[]) => names.filter((name) => !replaced.includes(name));
    const say = (names: readonly string[], one: string, more = one) =>
        names.length === 0 ? "" : `${some(names, 6, ", ")} ${names.length > 1 ? more : one}`;
    const all = [
        say(others(joined), "joined"),
        say(others(left), "left"),
        say(replaced, "was replaced", "were replaced"),
    ];
    return all.filter(Boolean).join("; ") || "other settings, the same servers";
}

/** Where it says something else than before; figures apart, it repeats itself. */
function autoscaler({ atMs, reading }: TimedReading, before: TimedReading | undefined): PoolEvent[] {
    const [now, past] = [reading, before?.reading].map((one) => one && describeHeartbeat(one.heartbeat));
    const isNews = now && (now.action !== past?.action || now.isAlarming !== past.isAlarming);
    if (!isNews || (now.action === "none" && !now.isAlarming)) return [];
    // The first look may come long after it began to be so.
    const [what, ...why] = now.text.split(": ");
    const event = { id: `autoscaler ${atMs}`, kind: "autoscaler", atMs, endMs: atMs } as const;
    const told = { ...event, what: what ?? "", why: why.join(": ") };
    return [now.isAlarming ? { ...told, hasFailed: true } : told];
}

/** Where not all can be seen at once, the sick are looked for. */
export const sickFirst = (servers: readonly ServerReading[]): ServerReading[] =>
    servers.toSorted((a, b) => Number(a.isUp) - Number(b.isUp));

/** `2 of 3 servers UP`. */
export const sayUp = (servers: readonly ServerReading[]): string =>
    `${servers.filter(({ isUp }) => isUp).length} of ${count(servers.length, "server")} UP`;
