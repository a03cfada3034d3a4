import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { parseDocument } from "yaml";
import { Cgroups } from "../../sandbox/droplets/cgroups.ts";
import type { Progress } from "../../sandbox/progress.ts";
import { netnsOf } from "../../sandbox/region/names.ts";
import { type CacheFigure, cacheTable, pagesMs, type Way } from "./cache-figures.mts";
import { makeWorld, upEndsWell, type World } from "../world.mts";

const ways = {
    /** As without Varnish. */
    "nginx and PHP-FPM": { url: "http://127.0.0.1:8080", headers: [] },
    /** Somebody who is logged in. */
    "past the cache, with a cookie": { url: "http://127.0.0.1", headers: ["-H", "Cookie: session=1"] },
    "from the cache": { url: "http://127.0.0.1", headers: [] },
    "from the cache, over the load balancer": { url: undefined, headers: [] },
} satisfies Record<Way, { url: string | undefined; headers: string[] }>;

const secondsEach = 8;

/** 20 KB for which PHP has worked as long as it is told, by its own CPU clock: the same on any machine. */
const page = `\
<?php
header('Cache-Control: public, max-age=3600');
$used = fn() => ($r = getrusage())['ru_utime.tv_sec'] * 1e3 + $r['ru_utime.tv_usec'] / 1e3
    + $r['ru_stime.tv_sec'] * 1e3 + $r['ru_stime.tv_usec'] / 1e3;
$until = $used() + (float) $_GET['ms'];
do {
    for ($text = '', $i = 0; $i < 200; $i++) $text = md5($text);
} while ($used() < $until);
echo '<!doctype html><title>A page</title>', str_repeat("<p>$text</p>\\n", 500);
`;

/**
 * The same pages through PHP and through the cache, on one server of userdata/varnish.yaml with 1 GB: wrk is in its
 * network, but takes no CPU of it. Whatever is not 200 fails it.
 */
export async function benchCache(say: Progress): Promise<CacheFigure[]> {
    const world = await say.step("a stack with one server of userdata/varnish.yaml", () =>
        makeWorld("nspawn", { replicas: 1, userdata: "varnish" }),
    );
    try {
        addPage(path.join(world.folder, "userdata/varnish.yaml"));
        await say.step("pulumi up", () => upEndsWell(world));
        const { url, servers } = await world.outputs();
        const id = Number(servers[0]?.dropletId);
        const figures: CacheFigure[] = [];
        for (const pageMs of pagesMs)
            for (const way of Object.keys(ways) as Way[])
                await say.step(`a page of ${pageMs} ms, ${way}`, async () => {
                    figures.push(await figureOf(world, id, { pageMs, way, url }));
                });
        console.log(cacheTable(figures));
        return figures;
    } finally {
        await world.close();
    }
}

async function figureOf(
    { instance }: World,
    id: number,
    { pageMs, way, url }: { pageMs: number; way: Way; url: string },
): Promise<CacheFigure> {
    const { url: inside, headers } = ways[way];
    const wrk = (seconds: number) => {
        const command = ["wrk", "-t1", "-c8", "--latency", `-d${seconds}s`, ...headers];
        const at = `${inside ?? url}/page.php?ms=${pageMs}`;
        return inside === undefined
            ? promisify(execFile)("wrk", [...command.slice(1), at])
            : promisify(execFile)("ip", ["netns", "exec", netnsOf(instance, id), ...command, at]);
    };
    await wrk(1);
    const cgroups = new Cgroups(instance.id);
    const used = async () => {
        const { user, system } = await cgroups.cpuSeconds(id);
        return user + system;
    };
    const before = await used();
    const { requests, ...rates } = parse((await wrk(secondsEach)).stdout);
    return { pageMs, way, ...rates, cpuMsPerRequest: (((await used()) - before) * 1000) / requests };
}

/** What wrk itself says, without the script of the other scenarios: that would be slower than the cache. */
function parse(text: string): { requests: number; requestsPerSecond: number; p99Ms: number } {
    const [, requests, seconds] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
    const [, p99, unit] = /^ +99% +([\d.]+)(us|ms|s)$/m.exec(text) ?? [];
    if (!requests || !p99 || /Socket errors|Non-2xx/.test(text)) throw new Error(`requests failed:\n${text}`);
    return {
        requests: Number(requests),
        requestsPerSecond: Number(requests) / Number(seconds),
        p99Ms: Number(p99) * { us: 0.001, ms: 1, s: 1000 }[unit as "us" | "ms" | "s"],
    };
}

/** Gives a copy of the user data the page. */
function addPage(file: string): void {
    const document = parseDocument(readFileSync(file, "utf8"));
    document.addIn(["write_files"], { path: "/var/www/app/page.php", content: page });
    writeFileSync(file, document.toString({ lineWidth: 0 }));
}
