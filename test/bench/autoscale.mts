import { readFileSync } from "node:fs";
import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { names } from "../../lib/identity.ts";
import type { Progress } from "../../sandbox/progress.ts";
import { startAutoscaler, stopAutoscaler } from "../autoscalers.mts";
import { makeWorld, type Running, upEndsWell, type World } from "../world.mts";
import { installApp } from "./app.mts";

/** What a load step and its end cost, with the autoscaler at work. Seconds are from the step. */
export interface AutoscaleFigures {
    decidedSeconds: number;
    servingSeconds: number;
    doneSeconds: number;
    /** Until the 99th percentile of five seconds was under twice its old value again. */
    calmSeconds: number;
    p99Ms: { before: number; worst: number; after: number };
    servers: { before: number; most: number };
    /** From the end of the load until the pool had its `min` again; and how many steps that took. */
    backSeconds: number;
    backSteps: number;
    requests: number;
    lost: number;
    /** CPU of the load balancer's droplet while nobody visits, in share of one core: not watched, and watched. */
    idleShare: number;
    watchedShare: number;
}

/** app.py has four workers a server. */
const slots = 4;
const workSeconds = 0.25;
/** 30 % of what two servers can do, and four times that. */
const calmRate = 10;
const stepRate = 4 * calmRate;
const [least, most] = [2, 6];
/** As short as the settings allow: the default of 300 would take half an hour of the bench. */
const inSeconds = 60;

/** A load step of four times, and its end, on a pool that scales itself. Takes about twelve minutes. */
export async function benchAutoscale(say: Progress): Promise<AutoscaleFigures> {
    const world = await say.step("a stack with two servers", async () => {
        const autoscale = { min: least, max: most, slots, inSeconds };
        const made = await makeWorld("nspawn", { replicas: least, autoscale });
        installApp(made.folder);
        await upEndsWell(made);
        return made;
    });
    try {
        return await measure(world, say);
    } finally {
        await say.step("removing it", () => world.close());
    }
}

async function measure(world: World, say: Progress): Promise<AutoscaleFigures> {
    const { url } = await world.outputs();
    const idleShare = await say.step("its load balancer, watched by nobody", () => cpuShare(world));
    const scaler = startAutoscaler(world);
    const crowd = new Crowd(`${url}/work?seconds=${workSeconds}`);
    try {
        const watchedShare = await say.step("watched", () => cpuShare(world));
        crowd.perSecond = calmRate;
        await say.step(`${calmRate} requests a second`, () => sleep(60_000));
        const before = crowd.p99Ms(crowd.now() - 30, crowd.now());
        const step = crowd.now();
        crowd.perSecond = stepRate;
        const since = () => crowd.now() - step;
        const [decidedSeconds, servingSeconds, doneSeconds] = await say.step(
            `${stepRate} requests a second`,
            () =>
                Promise.all([
                    when(() => /replicas \d → \d/.test(scaler.printed()), since),
                    when(() => crowd.servers.size > least, since),
                    when(() => scaler.printed().includes("done in"), since),
                ]),
        );
        const calmSeconds = await say.step("until it is calm", () =>
            when(() => crowd.p99Ms(crowd.now() - 5, crowd.now()) < 2 * before, since),
        );
        await say.step("and stays so", () => sleep(30_000));
        const after = crowd.p99Ms(crowd.now() - 30, crowd.now());
        const gone = crowd.now();
        const servers = { before: least, most: (await world.outputs()).servers.length };
        crowd.perSecond = calmRate;
        const steps = () => scaler.printed().match(/^[\d:]{8} {2}replicas \d → \d/gm) ?? [];
        const outSteps = steps().length;
        const backSeconds = await say.step(
            `${calmRate} requests a second, until there are ${least} servers`,
            () =>
                when(
                    () =>
                        steps().at(-1)?.endsWith(`→ ${least}`) === true &&
                        /done in.*\s*$/m.test(tail(scaler)),
                    () => crowd.now() - gone,
                    1800,
                ),
        );
        return {
            ...{ decidedSeconds, servingSeconds, doneSeconds, calmSeconds, idleShare, watchedShare, servers },
            p99Ms: { before, worst: crowd.worstMs(step, gone), after },
            ...{ backSeconds, backSteps: steps().length - outSteps },
            ...{ requests: crowd.answered, lost: (await crowd.stop()).length },
        };
    } finally {
        await crowd.stop();
        await stopAutoscaler(scaler);
    }
}

/** What was printed since the last decision. */
const tail = (scaler: Running): string =>
    scaler
        .printed()
        .split(/replicas \d → \d/)
        .at(-1) ?? "";

/** Seconds until something is so. */
async function when(isSo: () => boolean, since: () => number, patienceSeconds = 300): Promise<number> {
    while (!isSo()) {
        if (since() > patienceSeconds) throw new Error(`it was not so within ${patienceSeconds} s`);
        await sleep(100);
    }
    return Math.round(since());
}

/** All that the load balancer's droplet does, as share of one core, in a minute. */
async function cpuShare(world: World): Promise<number> {
    const { droplets } = (await world.api("droplets")) as { droplets: { id: number; name: string }[] };
    const id = droplets.find(({ name }) => name.startsWith(names.loadBalancer))?.id ?? 0;
    const [, cgroups = ""] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8")) ?? [];
    const usedMicroseconds = () => {
        const text = readFileSync(`${cgroups}/${world.instance.id}/${id}/cpu.stat`, "utf8");
        return Number(/^usage_usec (\d+)$/m.exec(text)?.[1]);
    };
    const before = usedMicroseconds();
    await sleep(60_000);
    return (usedMicroseconds() - before) / 60_000_000;
}

/** Visitors who come at a rate whatever the answers: a slow site does not make them fewer. */
class Crowd {
    perSecond = 0;
    answered = 0;
    readonly servers = new Set<string>();
    readonly failures: string[] = [];
    private readonly started = performance.now();
    private readonly times: { at: number; ms: number }[] = [];
    private readonly open = new Set<Promise<void>>();
    private isOver = false;
    private readonly loop: Promise<void>;

    constructor(private readonly url: string) {
        this.loop = this.come();
    }

    /** Seconds since they began to come. */
    now(): number {
        return (performance.now() - this.started) / 1000;
    }

    /** Of the answers that came between two times. */
    p99Ms(from: number, to: number): number {
        const sorted = this.between(from, to).sort((a, b) => a - b);
        return Math.round(sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Infinity);
    }

    worstMs(from: number, to: number): number {
        return Math.round(Math.max(...this.between(from, to)));
    }

    /** @returns What was lost. */
    async stop(): Promise<string[]> {
        this.isOver = true;
        await this.loop;
        await Promise.all(this.open);
        return this.failures;
    }

    private between(from: number, to: number): number[] {
        return this.times.filter(({ at }) => at >= from && at <= to).map(({ ms }) => ms);
    }

    private async come(): Promise<void> {
        while (!this.isOver) {
            if (this.perSecond === 0) {
                await sleep(100);
                continue;
            }
            const visit = this.ask().finally(() => this.open.delete(visit));
            this.open.add(visit);
            await sleep(1000 / this.perSecond);
        }
    }

    private ask(): Promise<void> {
        const began = performance.now();
        return new Promise((resolve) => {
            const end = (problem?: string) => {
                if (problem === undefined) {
                    this.answered++;
                    this.times.push({ at: this.now(), ms: performance.now() - began });
                } else this.failures.push(`${Math.round(this.now())} s: ${problem}`);
                resolve();
            };
            const call = request(this.url, { agent: false, timeout: 60_000 }, (response) => {
                response.resume();
                response.once("end", () => {
                    this.servers.add(String(response.headers["x-server"]));
                    end(response.statusCode === 200 ? undefined : `status ${response.statusCode ?? 0}`);
                });
                response.once("error", ({ message }) => {
                    end(message);
                });
            });
            call.once("timeout", () => call.destroy(new Error("no answer in 60 s")));
            call.once("error", ({ message }) => {
                end(message);
            });
            call.end();
        });
    }
}
