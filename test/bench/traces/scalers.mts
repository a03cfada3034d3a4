import type { AutoscaleSettings } from "../../../lib/autoscale-settings.ts";
import { decide } from "../../../tools/autoscale/decide.ts";
import { answeredBefore } from "../../../tools/autoscale/guards.ts";
import type { Look, Past } from "../../../tools/autoscale/model.ts";
import { floorAt } from "../../../tools/autoscale/schedule.ts";
import { type Figures, SimulatedPool, slots, type Trace } from "./pool.mts";

/** Something that changes the number of servers, once a second. */
export interface Scaler {
    /** @returns How many servers there are to be. */
    step: (figures: Figures) => number;
    /** Until new servers serve. */
    launchSeconds: number;
    /** For how long one that leaves is still paid. */
    drainSeconds: number;
    /** A dead server is noticed so long after its death, and replaced. @default never */
    buriesAfterSeconds?: number;
}

/** Measured in this project: `up` for eight more servers takes 45 s. */
const launchSeconds = 45;
/** Of an `up` that takes servers away. */
const shrinkSeconds = 15;
const target = 0.6;
const least = 2;

/** A change of `replicas`, and why. */
export interface Scaling {
    atMs: number;
    from: number;
    to: number;
    reason: string;
    /** How long its `up` takes. */
    seconds: number;
}

/**
 * Every five seconds one look; while `up` runs it looks, and changes nothing.
 *
 * @param onChange Gets each change. @default nobody does
 */
export function dropscale(
    trace: Trace,
    random: () => number,
    onChange: (change: Scaling) => void = () => undefined,
): Scaler {
    const settings: AutoscaleSettings = {
        ...{ min: least, max: trace.max, target, slots, requestsPerSecond: 0, cpu: 0 },
        ...{ outSeconds: 60, inSeconds: 300, growth: 1, shrink: 0.25 },
        ...{ schedule: trace.schedule ?? [], paused: false },
    };
    let past: Past = { looks: [], recommendations: [], failures: 0 };
    let replicas = trace.replicas;
    let change: { from: number; to: number; endsAt: number } | undefined;
    const step = (figures: Figures): number => {
        const { second } = figures;
        const nowMs = trace.startMs + second * 1000;
        if (change && second >= change.endsAt) {
            const { from, to } = change;
            const answered = answeredBefore(past.looks, settings, nowMs);
            past = {
                ...past,
                changed: { atMs: nowMs, from, to, ...(answered !== undefined && { answered }) },
            };
            change = undefined;
        }
        if (second % 5 > 0) return replicas;
        past = { ...past, looks: recent([...past.looks, lookAt(figures, nowMs, random)], nowMs) };
        const pool = { replicas, ...(change && { occupied: "a run" }) };
        const { recommendation, ...decision } = decide(
            pool,
            past,
            settings,
            floorAt(settings, nowMs, 60),
            nowMs,
        );
        if (recommendation)
            past = { ...past, recommendations: recent([...past.recommendations, recommendation], nowMs) };
        if (decision.action === "none") return replicas;
        const seconds = decision.action === "out" ? launchSeconds : shrinkSeconds;
        const [from, to] = [replicas, decision.replicas];
        onChange({ atMs: nowMs, from, to, reason: decision.reason, seconds });
        change = { from, to, endsAt: second + seconds };
        return (replicas = decision.replicas);
    };
    return { step, launchSeconds, drainSeconds: shrinkSeconds };
}

const recent = <T extends { atMs: number }>(list: readonly T[], nowMs: number): T[] =>
    list.filter(({ atMs }) => atMs > nowMs - 360_000);

/** What HAProxy shows at a moment, at which by accident more or fewer requests are there than in the mean. */
function lookAt(
    { up, dead, inside, came, failed, isBlind }: Figures,
    atMs: number,
    random: () => number,
): Look {
    if (isBlind) return { atMs, problem: "ssh: connection refused" };
    const seen = Math.max(0, Math.round(inside + Math.sqrt(inside) * normal(random)));
    return {
        ...{ atMs, running: seen, queued: 0, up, young: 0, down: dead },
        ...{ requestsPerSecond: came, failuresPerSecond: failed },
    };
}

const normal = (random: () => number): number =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

/**
 * DigitalOcean's autoscale pool: ceil(n * CPU / target), then nothing for 10 minutes, whichever way it went.
 * https://docs.digitalocean.com/products/droplets/concepts/autoscale-pools/
 *
 * Its figures come once a minute (https://docs.digitalocean.com/products/monitoring/). What it does without them, and
 * with a droplet that is dead, is not documented: here nothing, and one that is idle. A droplet that it creates boots
 * and sets itself up as long as ours; one that leaves is destroyed after 60 s.
 */
export function autoscalePool({ replicas, max }: Pick<Trace, "replicas" | "max">): Scaler {
    const cooldownSeconds = 600;
    const minute: number[] = [];
    let changedAt = -cooldownSeconds;
    let wanted = replicas;
    const step = ({ second, cpu, isBlind }: Figures): number => {
        if (!isBlind) minute.push(cpu);
        if (second % 60 < 59) return wanted;
        const known = minute.splice(0);
        if (known.length < 30 || second - changedAt < cooldownSeconds) return wanted;
        const next = bounded(Math.ceil((wanted * meanOf(known)) / target - 1e-9), max);
        if (next !== wanted) changedAt = second;
        return (wanted = next);
    };
    return { step, launchSeconds, drainSeconds: 60 };
}

/**
 * Kubernetes' HorizontalPodAutoscaler, v2, as it is without settings of its own: every 15 s, tolerance 0.1, in by the most
 * of 300 s, out by +100 % or 4 in 15 s; pods that are not ready count as idle.
 * https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
 *
 * Its figures are 15 s old and means of 15 s (https://github.com/kubernetes-sigs/metrics-server). Its pods start as fast
 * as our servers: each needs a machine. A machine that dies is noticed after 40 s, and its pods made again after 300 s.
 * https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
 */
export function podAutoscaler({ replicas, max }: Pick<Trace, "replicas" | "max">): Scaler {
    let figures: Figures[] = [];
    let recommendations: { second: number; replicas: number }[] = [];
    let wanted = replicas;
    const step = (now: Figures): number => {
        const { second } = now;
        figures = [...figures.slice(-29), now];
        if (second % 15 > 0) return wanted;
        const known = figures.filter((f) => f.second > second - 30 && f.second <= second - 15 && !f.isBlind);
        if (known.length === 0) return wanted;
        // A dead machine's pods give no figures.
        const shares = known.map(({ cpu, up, dead }) => (up > 0 ? (cpu * (up + dead)) / up : 0));
        const desired = desiredOf(meanOf(shares) / target, now.up, wanted);
        recommendations = [...recommendations, { second, replicas: desired }].filter(
            (r) => r.second > second - 300,
        );
        const most = Math.max(...recommendations.map((r) => r.replicas));
        const next =
            desired > wanted ? Math.min(desired, wanted + Math.max(wanted, 4)) : Math.min(wanted, most);
        return (wanted = bounded(next, max));
    };
    return { step, launchSeconds, drainSeconds: 30, buriesAfterSeconds: 340 };
}

function desiredOf(ratio: number, ready: number, wanted: number): number {
    if (Math.abs(ratio - 1) <= 0.1) return wanted;
    if (ratio < 1) return Math.ceil(ratio * ready - 1e-9);
    // Those that are not there yet are taken for idle; if that turns it, nothing is done.
    const withIdle = (ratio * ready) / wanted;
    return withIdle <= 1.1 ? wanted : Math.ceil(withIdle * wanted - 1e-9);
}

const bounded = (replicas: number, max: number): number => Math.min(max, Math.max(least, replicas));
const meanOf = (numbers: readonly number[]): number =>
    numbers.reduce((sum, n) => sum + n, 0) / numbers.length;

/** What a scaler makes of a trace. */
export interface Outcome {
    /** Seconds in which the load was more than the servers that are UP can bear. */
    underSeconds: number;
    serverHours: number;
    changes: number;
    /** Servers by the second. */
    replicas: number[];
    most: number;
}

export function replay(trace: Trace, scaler: Scaler): Outcome {
    const pool = new SimulatedPool(trace);
    const replicas: number[] = [];
    let [underSeconds, changes, current, diedAt] = [0, 0, trace.replicas, Infinity];
    for (let second = 0; second < trace.seconds; second++) {
        const figures = pool.step(second);
        const load = trace.rate(second) * (1 - (trace.failing?.(second) ?? 0)) * trace.serviceSeconds(second);
        if (load > figures.up * slots + 1e-6) underSeconds++;
        if (figures.dead > 0 && diedAt === Infinity) diedAt = second;
        if (second - diedAt === scaler.buriesAfterSeconds) {
            pool.add(pool.bury(second), second, scaler.launchSeconds);
            diedAt = Infinity;
        }
        const wanted = scaler.step(figures);
        if (wanted !== current) changes++;
        if (wanted > current) pool.add(wanted - current, second, scaler.launchSeconds);
        if (wanted < current) pool.remove(current - wanted, second, scaler.drainSeconds);
        current = wanted;
        replicas.push(wanted);
    }
    return {
        underSeconds,
        changes,
        replicas,
        serverHours: pool.paidSeconds / 3600,
        most: Math.max(...replicas),
    };
}
