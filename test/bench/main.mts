/**
 * `make bench`: what each change loses, and how long it takes, on droplets that boot; beside it what it replaces.
 * `make bench SCENARIO=<name>` runs one.
 */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism, release, totalmem } from "node:os";
import path from "node:path";
import { ensureHostPackages, requireLinuxRoot } from "../../sandbox/host.ts";
import { purgeAbandoned } from "../../sandbox/process.ts";
import { progress } from "../../sandbox/progress.ts";
import { benchAutoscale } from "./autoscale.mts";
import { benchCache } from "./cache.mts";
import { benchDoProxy } from "./doproxy.mts";
import { goals } from "./goals.mts";
import { benchImage } from "./image.mts";
import { totals } from "./measure.mts";
import { benchPreviews } from "./previews.mts";
import { goalLines, type Machine, resultsPage, terminalTable } from "./report.mts";
import { type Measured, type Scenario, scenarios } from "./scenarios.mts";
import { Stage } from "./stage.mts";
import { benchThroughput } from "./throughput.mts";
import { benchTls } from "./tls.mts";
import { historyOfDay, replayTraces, tracesTable } from "./traces/table.mts";
import { benchWatching } from "./watching.mts";

const say = progress();
/** Needs no machine, nor root. */
const tracesScenario = "autoscale-traces";
/** In the order in which they run. */
const onStage: Record<string, Scenario> = { ...scenarios, doproxy: benchDoProxy };
/** The same changes again, with clients of HTTPS; only when they are asked for. `https-changes`: all of them. */
const overHttps: Record<string, Scenario> = Object.fromEntries(
    Object.entries(scenarios).map(([name, scenario]) => [`https-${name}`, scenario]),
);
const withoutStage: Record<string, (measured: Measured) => Promise<void>> = {
    [tracesScenario]: (measured) => {
        measured.traces = tracesTable(replayTraces());
        console.log(`Ours · DigitalOcean's autoscale pool · Kubernetes' HPA\n\n${measured.traces}\n`);
        console.log(
            `A day of the autoscaler alone, replayed, as \`make history\` tells it:\n\n${historyOfDay()}`,
        );
        return Promise.resolve();
    },
    autoscale: async (measured) => {
        measured.autoscale = await benchAutoscale(say);
    },
    image: async (measured) => {
        measured.images = await benchImage(say);
    },
    cache: async (measured) => {
        measured.cache = await benchCache(say);
    },
    throughput: async (measured) => {
        measured.throughput = await benchThroughput(say);
    },
    tls: async (measured) => {
        measured.tls = await benchTls(say);
    },
    previews: async (measured) => {
        measured.previews = await benchPreviews(say);
    },
    watching: async (measured) => {
        measured.watching = await benchWatching(say);
    },
};

async function main(wanted: string | undefined): Promise<void> {
    const all = [...Object.keys(withoutStage), ...Object.keys(onStage)];
    const names = (wanted?.split(",") ?? all).flatMap((name) =>
        name === "https-changes" ? Object.keys(overHttps) : [name],
    );
    const unknown = names.find((name) => !all.includes(name) && !(name in overHttps));
    if (unknown !== undefined)
        throw new Error(
            `there is no scenario ${unknown}; there are ${all.join(", ")}, https-changes, ${Object.keys(overHttps).join(", ")}`,
        );
    if (names.length === 1 && names[0] === tracesScenario) {
        await run(names, { rows: [], bootSeconds: {} });
        return;
    }
    requireLinuxRoot();
    const needs = { wrk: "wrk", haproxy: "haproxy", socat: "socat", h2load: "nghttp2-client" };
    await ensureHostPackages({ log: say.log, needs });
    await purgeAbandoned(say);
    const measured: Measured = { rows: [], bootSeconds: {} };
    try {
        await run(names, measured);
    } finally {
        // Also what came before a failure.
        console.log(terminalTable(measured.rows));
        console.log(goalLines(goals(measured)));
    }
    if (wanted === undefined) {
        writeFileSync(
            path.join(import.meta.dirname, "results.json"),
            `${JSON.stringify(measured, null, 4)}\n`,
        );
        const page = resultsPage(measured, goals(measured), machine(), new Date().toISOString());
        writeFileSync(path.join(import.meta.dirname, "RESULTS.md"), page);
    }
    const lost = measured.rows.filter((row) => row.system === "dropscale" && totals(row).lost > 0);
    if (lost.length > 0)
        throw new Error(`requests were lost: ${lost.map(({ change }) => change).join("; ")}`);
}

async function run(names: readonly string[], measured: Measured): Promise<void> {
    for (const [name, part] of Object.entries(withoutStage)) {
        if (names.includes(name)) await say.step(`scenario ${name}`, () => part(measured));
    }
    await runOnStage(names, measured, onStage, false);
    await runOnStage(names, measured, overHttps, true);
}

/** Those of the names that are in `parts`, on one stack. */
async function runOnStage(
    names: readonly string[],
    measured: Measured,
    parts: Record<string, Scenario>,
    https: boolean,
): Promise<void> {
    if (!names.some((name) => name in parts)) return;
    const stage = await say.step("a stack with three servers", () => Stage.open({ https }));
    try {
        for (const [name, scenario] of Object.entries(parts)) {
            if (names.includes(name))
                await say.step(`scenario ${name}`, () => scenario(stage, say, measured));
        }
    } finally {
        await say.step("removing it", () => stage.world.close());
    }
}

function machine(): Machine {
    // wrk tells its version before its options, and exits with 1.
    const version = (command: string) =>
        /\d[\d.]*\d/.exec(spawnSync(command, ["-v"], { encoding: "utf8" }).stdout)?.[0] ?? "?";
    return {
        cores: availableParallelism(),
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        versions: {
            Linux: release(),
            "Node.js": process.versions.node,
            HAProxy: version("haproxy"),
            wrk: version("wrk"),
        },
    };
}

main(process.argv[2]).catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
