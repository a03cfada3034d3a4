import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import type { HistoryEntry } from "../history/entries";
import { type PoolEvent, sayCheck, withBlindness, withLook } from "../live/events";
import type { BlindLook } from "../live/follow";
import { headline, type Situation } from "../live/headline";
import { describeHeartbeat } from "../live/heartbeat";
import type { PoolReading, ServerReading, TimedReading } from "../live/reading";
import { type Point, Points } from "./points";
import { mergeEvents, runEvent } from "./runs";
import { pointOf } from "./sample";
import type { HaproxyView, ServerView, View } from "./view";

/** What is known of a stack besides what HAProxy says. */
export interface About {
    stack: string;
    url: string;
    monthlyCost: number;
    /** Servers that the last `up` which ended well made. */
    servers: number;
    autoscale: AutoscaleSettings | undefined;
}

/** How far back whole looks are kept, in seconds: the headline counts failures in them. */
const lookSeconds = 60;

/** All that the dashboard knows of a stack: it is told what is seen, and says what is to be shown. */
export class Board {
    private readonly points = new Points();
    private looks: TimedReading[] = [];
    private seen: PoolEvent[] = [];
    private runs: readonly HistoryEntry[] = [];
    private merged: readonly PoolEvent[] = [];
    private historyProblem: string | undefined;
    private nowMs = Date.now();

    constructor(private about: About) {}

    /** @returns What the charts get of it. */
    look(look: TimedReading, about: About = this.about): Point {
        this.about = about;
        this.nowMs = look.atMs;
        const before = this.looks.at(-1);
        const point = pointOf(look, before, this.wanted(), about.autoscale);
        this.points.add(point);
        this.seen = withLook(this.seen, look, before);
        const since = look.atMs - lookSeconds * 1000;
        this.looks = [...this.looks, look].filter(({ atMs }) => atMs >= since);
        this.merge();
        return point;
    }

    blind({ atMs, problem }: BlindLook): void {
        this.nowMs = atMs;
        this.seen = withBlindness(this.seen, atMs, problem);
        this.merge();
    }

    /** @param entries Newest first, with the run that is under way; or why they can't be read. */
    history(entries: readonly HistoryEntry[] | Error): void {
        this.historyProblem = entries instanceof Error ? entries.message : undefined;
        if (entries instanceof Error) return;
        this.runs = entries;
        this.merge();
    }

    /** What HAProxy said last; `undefined`: it has not answered yet. */
    newest(): PoolReading | undefined {
        return this.looks.at(-1)?.reading;
    }

    allPoints(): Point[] {
        return this.points.all();
    }

    /** Newest first; the same array until one of them changes. */
    events(): readonly PoolEvent[] {
        return this.merged;
    }

    view(): View {
        const { stack, url, monthlyCost, autoscale } = this.about;
        const newest = this.looks.at(-1);
        const heard = describeHeartbeat(newest?.reading.heartbeat);
        return {
            ...{ nowMs: this.nowMs, stack, url, monthlyCost, wanted: this.wanted() },
            autoscale: autoscale && {
                ...{ min: autoscale.min, max: autoscale.max },
                ...{ target: autoscale.target, slots: autoscale.slots },
            },
            headline: headline(this.situation()),
            historyProblem: this.historyProblem,
            autoscaler: heard && { text: heard.text, isAlarming: heard.isAlarming },
            haproxy: newest && haproxyView(newest),
            servers: newest ? serverViews(newest.reading.servers, newest.atMs) : [],
        };
    }

    private situation(): Situation {
        const { looks, merged: events, nowMs } = this;
        return { ...this.about, nowMs, wanted: this.wanted(), looks, events };
    }

    /** What the newest change asked for, also if it failed. */
    private wanted(): number {
        return this.runs[0]?.replicas.to ?? this.about.servers;
    }

    private merge(): void {
        const merged = mergeEvents(this.runs.map(runEvent), this.seen);
        if (JSON.stringify(merged) !== JSON.stringify(this.merged)) this.merged = merged;
    }
}

function haproxyView({ atMs, reading }: { atMs: number; reading: PoolReading }): HaproxyView {
    const { generation, uptimeSeconds, idlePercent, connections, maxConnections, streams } = reading;
    const appliedAtMs = atMs - 1000 * uptimeSeconds;
    return { atMs, generation, appliedAtMs, idlePercent, connections, maxConnections, streams };
}

/** The sick first, as in `make top`. */
function serverViews(servers: readonly ServerReading[], nowMs: number): ServerView[] {
    return servers
        .toSorted((a, b) => Number(a.isUp) - Number(b.isUp))
        .map((server) => {
            const { name, address, status, isUp, running, requestsPerSecond, failures } = server;
            return {
                ...{ name, address, status, isUp, running, requestsPerSecond, failures },
                why: isUp ? "" : sayCheck(server),
                sinceMs: nowMs - 1000 * server.statusSeconds,
                responseMs: requestsPerSecond > 0 ? server.responseMs : undefined,
            };
        });
}
