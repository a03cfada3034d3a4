import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../../sandbox/progress.ts";
import { makeWorld } from "../world.mts";
import { median } from "./proxies.mts";

/** A first `pulumi preview` of so many servers. */
export interface Preview {
    servers: number;
    /** Median of the runs. */
    seconds: number;
    /** Resident memory of pulumi, the program and the plugins together, at its highest in any run. */
    peakMiB: number;
    /** CPU seconds of each process by name, of the last run. */
    cpuSeconds: Record<string, number>;
}

/** How many servers, and how often. */
const cases = [
    { servers: 3, runs: 3 },
    { servers: 10, runs: 3 },
    { servers: 100, runs: 3 },
    { servers: 1000, runs: 1 },
];

/** From nothing, against the sandbox without machines: droplets are not made in a preview. */
export async function benchPreviews(say: Progress): Promise<Preview[]> {
    // More than the account may have is refused at preview.
    const world = await makeWorld("loopback", {}, { dropletLimit: 2000 });
    const previews: Preview[] = [];
    try {
        for (const { servers, runs } of cases) {
            await world.configure({ replicas: servers });
            const results = await say.step(`preview of ${servers} servers, ${runs} times`, async () => {
                const all = [];
                for (let run = 0; run < runs; run++) all.push(await preview());
                return all;
            });
            previews.push({
                servers,
                seconds: median(results.map(({ seconds }) => seconds)),
                peakMiB: Math.max(...results.map((result) => result.peakMiB)),
                cpuSeconds: results.at(-1)?.cpuSeconds ?? {},
            });
        }
        return previews;
    } finally {
        await world.close();
    }

    async function preview(): Promise<Omit<Preview, "servers">> {
        const start = Date.now();
        const { pid, ended } = world.startPulumi(["preview"]);
        const watched = new Watch(pid);
        const { code, text } = await ended;
        const seconds = (Date.now() - start) / 1000;
        const used = await watched.end();
        if (code !== 0) throw new Error(`pulumi preview ended with ${code}:\n${text.slice(-2000)}`);
        return { seconds, ...used };
    }
}

/** Looks at a process and all below it, five times a second. */
class Watch {
    private peakMiB = 0;
    private readonly cpu = new Map<number, { name: string; seconds: number }>();
    private stopped = false;
    private readonly running: Promise<void>;

    constructor(pid: number) {
        this.running = this.run(pid);
    }

    async end(): Promise<{ peakMiB: number; cpuSeconds: Record<string, number> }> {
        this.stopped = true;
        await this.running;
        const cpuSeconds: Record<string, number> = {};
        for (const { name, seconds } of this.cpu.values())
            cpuSeconds[name] = Math.round(((cpuSeconds[name] ?? 0) + seconds) * 100) / 100;
        return { peakMiB: Math.round(this.peakMiB), cpuSeconds };
    }

    private async run(pid: number): Promise<void> {
        while (!this.stopped) {
            const tree = below(pid, processes());
            const pages = tree.reduce((sum, { residentPages }) => sum + residentPages, 0);
            this.peakMiB = Math.max(this.peakMiB, (pages * 4096) / 2 ** 20);
            for (const { pid: one, name, cpuSeconds } of tree)
                this.cpu.set(one, { name, seconds: cpuSeconds });
            await sleep(200);
        }
    }
}

interface Process {
    pid: number;
    parent: number;
    name: string;
    cpuSeconds: number;
    residentPages: number;
}

/** All processes. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function processes(): Process[] {
    return readdirSync("/proc")
        .filter((entry) => /^\d+$/.test(entry))
        .flatMap((pid) => {
            try {
                const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
                const fields = stat
                    .slice(stat.lastIndexOf(")") + 2)
                    .split(" ")
                    .map(Number);
                const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
                if (words[0] === "") return []; // It has ended, and nobody has asked how yet.
                const [, parent = 0] = fields;
                const cpuSeconds = ((fields[11] ?? 0) + (fields[12] ?? 0)) / 100;
                const name = role(words);
                return [{ pid: Number(pid), parent, name, cpuSeconds, residentPages: fields[21] ?? 0 }];
            } catch {
                return []; // It has ended meanwhile.
            }
        });
}

/** Which part of Pulumi a process is: its plugins and the program are all `node`. */
function role(words: readonly string[]): string {
    const line = words.join(" ");
    const plugin = /pulumi-(?:resource|language)-[a-z]+/.exec(line)?.[0];
    if (plugin) return plugin;
    return line.includes("cmd/run") ? "program" : (words[0]?.split("/").at(-1) ?? "?");
}

function below(pid: number, all: readonly Process[]): Process[] {
    const children = all.filter(({ parent }) => parent === pid);
    const own = all.filter((process) => process.pid === pid);
    return [...own, ...children.flatMap((child) => below(child.pid, all))];
}
