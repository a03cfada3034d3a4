import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { capital, count, duration, some } from "../cli/words";
import { type PoolEvent, sayCheck, sayUp } from "./events";
import { describeHeartbeat } from "./heartbeat";
import { type PoolReading, ratePerSecond, type TimedReading } from "./reading";

/** What is known of a pool just now. */
export interface Situation {
    stack: string;
    nowMs: number;
    /** Servers that are wanted. */
    wanted: number;
    /** `undefined`: the stack does not scale itself. */
    autoscale: AutoscaleSettings | undefined;
    /** Newest last; empty: the load balancer has not been asked yet. */
    looks: readonly TimedReading[];
    /** Newest first. */
    events: readonly PoolEvent[];
}

/** What an operator wants to know first: what happened, when, why, is it over? */
export interface Headline {
    /** `bad`: visitors notice it, or soon may. `note`: something is under way, or wants a look. */
    level: "ok" | "note" | "bad";
    /** How things are, in a few words: `web-2 is DOWN: 2 of 3 servers UP`. */
    title: string;
    /** What happened, when and why; `undefined`: nothing that is known. */
    event: Pick<PoolEvent, "what" | "atMs" | "endMs" | "why"> | undefined;
    /** Whether it is over and, if not, what to do. */
    over: string;
    /** What else is not as it should be. */
    also: string[];
}

/** Requests that fail are worth a headline where more than this share of them does. */
const failingShare = 0.005;
/** Over how many seconds that is counted. */
const failingSeconds = 30;
/** The servers are busy when they were so in most looks of so many seconds. */
const crowdedSeconds = 15;
/** So far over the target the autoscaler does nothing, either. */
const crowdedTolerance = 0.1;
const addServers = "`pulumi config set replicas` and `pulumi up` add servers";

/** The worst that there is to say of a pool. A pure function: `make dashboard` and `make top` begin with it. */
export function headline(now: Situation): Headline {
    const [worst, ...others] = [blindness, sick, failing, failedRun, running, silentScaler, crowded]
        .map((judge) => judge(now))
        .filter((found) => found !== undefined);
    return { ...(worst ?? fine(now)), also: others.map(({ title }) => title) };
}

/** In one line: `web-2 is DOWN: 2 of 3 servers UP, for 3 min 2 s: connection refused (L4CON)`. */
export function sayHeadline({ title, event, level, also }: Headline, nowMs: number): string {
    const others = also.length > 0 ? `; also: ${also.join("; ")}` : "";
    if (!event) return `${title}${others}`;
    const ago = duration(Math.max(0, Math.round((nowMs - (event.endMs ?? event.atMs)) / 1000)));
    const why = event.why ? `: ${event.why}` : "";
    if (level === "ok") return `${title}. ${capital(event.what)}, ${ago} ago${why}${others}`;
    return `${title}, ${event.endMs === undefined ? `for ${ago}` : `${ago} ago`}${why}${others}`;
}

type Judged = Omit<Headline, "also"> | undefined;

const readingOf = ({ looks }: Situation): PoolReading | undefined => looks.at(-1)?.reading;

function blindness({ events, stack, looks }: Situation): Judged {
    const event = events.find(({ kind, endMs }) => kind === "blind" && endMs === undefined);
    if (!event) return undefined;
    const seen = looks.length > 0 ? "What is shown was seen before that. " : "";
    const fix = event.why.includes("HAProxy")
        ? `\`make drift STACK=${stack}\` says what is wrong with it`
        : `\`make status STACK=${stack}\` says whether its droplet runs, and \`adminCidrs\` must hold this machine's address`;
    return {
        level: "bad",
        title: "the load balancer can't be asked",
        event,
        over: `No. ${seen}It is asked again and again; ${fix}`,
    };
}

/** None, or not all, of the servers are UP. */
function sick(now: Situation): Judged {
    const servers = readingOf(now)?.servers;
    if (!servers) return undefined;
    const { stack, nowMs, events, autoscale } = now;
    const down = servers.filter(({ isUp }) => !isUp);
    const open = events.filter(({ kind, endMs }) => kind === "down" && endMs === undefined);
    if (down.length === servers.length) {
        const title = servers.length === 0 ? "there is no server" : `no server is UP, of ${servers.length}`;
        const [last] = open;
        return {
            level: "bad",
            title: `${title}: visitors get a 503`,
            event: last && { ...last, what: "the last server went DOWN" },
            over: `No: \`make status STACK=${stack}\` says what the droplets do, \`make history\` what was changed last`,
        };
    }
    const [first] = down;
    if (!first) return undefined;
    const one = down.length === 1;
    const names = down.map(({ name }) => name);
    const fix = autoscale?.heal
        ? `the autoscaler replaces ${one ? "it" : "them"} after ${duration(autoscale.heal.downSeconds)}`
        : `\`pulumi config set --path 'retired[0]' ${first.slot ?? "SLOT"}\` and \`pulumi up\` put a new one in ${one ? "its" : `${first.name}'s`} place`;
    return {
        level: "bad",
        title: `${some(names, 3, ", ")} ${one ? "is" : "are"} DOWN: ${sayUp(servers)}`,
        event: open.at(-1) ?? {
            ...{ what: `${first.name} ${first.status}`, why: sayCheck(first) },
            atMs: nowMs - 1000 * first.statusSeconds,
        },
        over: `No: the others take ${one ? "its" : "their"} requests. If ${one ? "it does" : "they do"} not come back, ${fix}`,
    };
}

function failing({ looks, stack, nowMs }: Situation): Judged {
    const last = looks.at(-1);
    const since = nowMs - failingSeconds * 1000;
    const first = looks.find(({ atMs, reading }) => atMs >= since && reading.pid === last?.reading.pid);
    if (!last || !first) return undefined;
    const failed = last.reading.failures - first.reading.failures;
    const all = last.reading.requests - first.reading.requests;
    if (failed <= 0 || failed < failingShare * all) return undefined;
    const seconds = Math.round((last.atMs - first.atMs) / 1000);
    const begun = looks.find((look, i) => (ratePerSecond(look, looks[i - 1], (r) => r.failures) ?? 0) > 0);
    return {
        level: "bad",
        title: `${failed} of ${count(all, "request")} in the last ${seconds} s failed with a 5xx`,
        event: {
            what: "requests fail",
            atMs: begun?.atMs ?? last.atMs,
            why: "servers or HAProxy answer 5xx",
        },
        over: `No: \`journalctl -t haproxy\` on the load balancer has each of them; \`make history STACK=${stack}\` what was changed`,
    };
}

function failedRun(now: Situation): Judged {
    const last = now.events.find(({ kind, endMs }) => kind === "run" && endMs !== undefined);
    if (!last?.hasFailed) return undefined;
    const { stack, wanted } = now;
    const reading = readingOf(now);
    const runs = reading ? `; HAProxy runs haproxy.cfg ${reading.generation || "that is not ours"}` : "";
    const up = reading ? `: ${sayUp(reading.servers)}, ${wanted} wanted` : "";
    return {
        level: "bad",
        title: `the last \`pulumi up\` failed${up}`,
        event: last,
        over: `No${runs}. \`make doctor STACK=${stack}\` clears what was left, then \`pulumi up\` again`,
    };
}

function silentScaler(now: Situation): Judged {
    const found = describeHeartbeat(readingOf(now)?.heartbeat);
    if (!found?.isAlarming) return undefined;
    const event = now.events.find(({ kind, hasFailed }) => kind === "autoscaler" && hasFailed);
    const [who = "", ...why] = found.text.split(": ");
    return {
        level: "note",
        title: found.action === "dead" ? who : "the autoscaler wants a person",
        event: { what: who, atMs: event?.atMs ?? now.nowMs, why: why.join(": ") },
        over: "No: the pool stays as it is, or does not get all that it needs",
    };
}

function running(now: Situation): Judged {
    const run = now.events.find(({ kind, endMs }) => kind === "run" && endMs === undefined);
    const isApplying = readingOf(now)?.isApplying ?? false;
    if (!run && !isApplying) return undefined;
    const what = run?.what ?? "another haproxy.cfg is being applied";
    const up = sayUp(readingOf(now)?.servers ?? []);
    return {
        level: "note",
        title: `${what}: ${up}`,
        event: run ?? { what, atMs: now.nowMs, why: "" },
        over: `Not yet. Nobody notices it: new servers join when they answer, leaving ones finish their requests`,
    };
}

/** Requests wait, or the servers have more to do than they should; for a while, not in one look. */
function crowded(now: Situation): Judged {
    const newest = now.looks.filter(({ atMs }) => atMs > now.nowMs - 1000 * crowdedSeconds);
    const target = now.autoscale?.target ?? Infinity;
    const isFull = ({ reading }: TimedReading) =>
        reading.queued > 0 || (busyShare(reading, now.autoscale) ?? 0) > (1 + crowdedTolerance) * target;
    const last = newest.at(-1)?.reading;
    if (!last || newest.filter(isFull).length < 0.8 * newest.length) return undefined;
    const calm = now.looks.findLastIndex((look) => !isFull(look) && !newest.includes(look));
    const share = busyShare(last, now.autoscale);
    const busy = share === undefined ? "" : `busy ${share.toFixed(2)} (target ${target.toFixed(2)}), `;
    const heard = describeHeartbeat(last.heartbeat);
    const help = heard && !heard.isAlarming && heard.action !== "stopped" ? heard.text : addServers;
    return {
        level: "note",
        title:
            last.queued > 0
                ? `${count(last.queued, "request")} ${last.queued === 1 ? "waits" : "wait"} for a server`
                : "the servers are busy",
        event: {
            what: "the servers have more to do than they should",
            atMs: now.looks[calm + 1]?.atMs ?? now.nowMs,
            why: `${busy}${last.running} requests under way, ${last.queued} wait`,
        },
        over: `No: ${help}`,
    };
}

function fine(now: Situation): NonNullable<Judged> {
    const reading = readingOf(now);
    if (!reading) return { level: "note", title: "asking the load balancer…", event: undefined, over: "" };
    const { length } = reading.servers;
    const event = now.events.find(({ kind }) => kind !== "apply") ?? now.events.at(0);
    return {
        level: "ok",
        title: length === 1 ? "the server is UP" : `all ${length} servers are UP`,
        event,
        over: event?.hasFailed ? "Yes: all servers are UP since" : "Yes",
    };
}

/** Requests under way and waiting, as a share of what the servers that are UP may do at once; `undefined`: not known. */
export function busyShare(
    { servers, running, queued }: PoolReading,
    autoscale: AutoscaleSettings | undefined,
): number | undefined {
    const up = servers.filter(({ isUp }) => isUp).length;
    return autoscale && up > 0 ? (running + queued) / (up * autoscale.slots) : undefined;
}
