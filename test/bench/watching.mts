import { spawn } from "node:child_process";
import { once } from "node:events";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../../sandbox/progress.ts";
import { Cgroups } from "../../sandbox/droplets/cgroups.ts";
import { dropletNamed, inDroplet, onLoadBalancer } from "../faults.mts";
import { declaredKeys } from "../stack-config.ts";
import { makeWorld, upEndsWell, type World } from "../world.mts";
import { frameMs } from "./frames.mts";

/** What it costs to watch a pool. */
export interface WatchingFigures {
    /** Per cent of one of the load balancer's processors, beyond what it needs when nobody watches. */
    cpuPercent: { who: string; percent: number }[];
    /** Of a frame of `make top` with 200 servers. */
    frameMs: number;
}

const measuredSeconds = 60;
/** As Prometheus does unless it is told otherwise, with Grafana's usual setting. */
const scrapeSeconds = 15;
const tool = path.resolve(import.meta.dirname, "../../tools/main.ts");

/** Two servers without visitors: watching costs the same whatever they do. */
export async function benchWatching(say: Progress): Promise<WatchingFigures> {
    const figures: WatchingFigures = { cpuPercent: [], frameMs: frameMs(200) };
    // An exporter, where the program has one.
    const metricsSources = "metricsSources" in declaredKeys ? ["10.0.0.0/8"] : undefined;
    const world = await makeWorld("nspawn", { replicas: 2, metricsSources });
    try {
        await say.step("a stack of two servers", () => upEndsWell(world));
        const { id } = await dropletNamed(world, "load-balancer");
        const cgroups = new Cgroups(world.instance.id);
        const used = async () => {
            const { user, system } = await cgroups.cpuSeconds(id);
            return user + system;
        };
        const share = async () => {
            const before = await used();
            await sleep(measuredSeconds * 1000);
            return (100 * ((await used()) - before)) / measuredSeconds;
        };
        // What the host does by itself is in one minute and not in another.
        await onLoadBalancer(world, "systemctl stop dropscale-tick.timer apt-daily.timer");
        await sleep(10_000);
        const alone = () => say.step("nobody watches", share);
        const first = await alone();
        const shares: [who: string, percent: number][] = [];
        for (const [who, watchers] of Object.entries(kinds(metricsSources !== undefined))) {
            const stops = watchers.map((watch) => watch(world));
            await sleep(8000);
            shares.push([who, await say.step(who, share)]);
            for (const stop of stops) await stop();
        }
        // The lower one: a host that has just booted has more to do than later.
        const least = Math.min(first, await alone());
        figures.cpuPercent = shares.map(([who, percent]) => ({
            who,
            percent: Math.round(100 * (percent - least)) / 100,
        }));
    } finally {
        await world.close();
    }
    for (const { who, percent } of figures.cpuPercent) console.log(`${who}: ${percent} % of a processor`);
    console.log(`a frame of make top with 200 servers: ${figures.frameMs.toFixed(1)} ms`);
    return figures;
}

type Watcher = (world: World) => () => Promise<void>;

function kinds(hasExporter: boolean): Record<string, Watcher[]> {
    const all = {
        top: startTop,
        dashboard: startDashboard,
        ...(hasExporter && { "a scrape every 15 s": scrape }),
    };
    return {
        ...Object.fromEntries(Object.entries(all).map(([who, watch]) => [who, [watch]])),
        [Object.keys(all).join(" and ")]: Object.values(all),
    };
}

/** On a terminal it looks each second; util-linux's `script` has one. */
const startTop: Watcher = (world) =>
    running(world, "script", ["-qfec", `stty cols 120 rows 40; exec tsx ${tool} top test`, "/dev/null"]);

const startDashboard: Watcher = (world) => running(world, "tsx", [tool, "dashboard", "test", "--port", "0"]);

function running(world: World, command: string, args: string[]): () => Promise<void> {
    const child = spawn(command, args, {
        cwd: world.folder,
        env: world.env,
        stdio: ["pipe", "ignore", "inherit"],
    });
    const ended = once(child, "exit");
    return async () => {
        if (child.exitCode !== null)
            throw new Error(`${args.join(" ")} ended by itself with ${child.exitCode}`);
        child.kill("SIGTERM");
        await ended;
    };
}

/** From the first server, in the VPC, as a Prometheus there. */
const scrape: Watcher = (world) => {
    const stop = new AbortController();
    const loop = async () => {
        const [address = ""] =
            /10\.[\d.]+/.exec(await onLoadBalancer(world, "ip -4 -o addr show eth1")) ?? [];
        const { id } = await dropletNamed(world, "web-0");
        const ask = `exec 3<>/dev/tcp/${address}/8405; printf 'GET /metrics HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' >&3; cat <&3`;
        while (!stop.signal.aborted) {
            const answer = await inDroplet(world, id, `bash -c "${ask.replaceAll("\\", "\\\\")}"`);
            if (!answer.includes("haproxy_process_")) throw new Error(`no metrics: ${answer.slice(0, 300)}`);
            await sleep(scrapeSeconds * 1000, undefined, { signal: stop.signal }).catch(() => undefined);
        }
    };
    const ended = loop();
    ended.catch(() => undefined);
    return async () => {
        stop.abort();
        await ended;
    };
};
