/**
 * `make soak`: kills `pulumi up` at many moments of every kind of change, and writes what was found and how it ended
 * to test/bench/KILLS.md. Takes about twenty minutes; `SEED=number` chooses the moments.
 */
import { writeFile } from "node:fs/promises";
import * as path from "node:path";
import fc from "fast-check";
import { duration, progress } from "../sandbox/progress.ts";
import { requireLinuxRoot } from "../sandbox/host.ts";
import {
    addressMoved,
    after,
    type Change,
    dropletCreated,
    dropletDeleted,
    type Kill,
    killDuring,
    type Moment,
} from "./kills.mts";
import { serveSlowly } from "./e2e/site.ts";
import { makeWorld, upEndsWell, type World } from "./world.mts";

const seed = Number(process.env.SEED ?? 1);
const say = progress();
const results = path.resolve(import.meta.dirname, "bench/KILLS.md");

/** `count` moments over the whole of what takes so many seconds when it is left alone, one in each equal part. */
function spread(count: number, seconds: number): Moment[] {
    const jitter = fc.sample(fc.double({ min: 0.05, max: 0.95, noNaN: true }), { seed, numRuns: count });
    return jitter.map((part, i) => after(((i + part) / count) * seconds));
}

/** Changes there and back again: each starts where the one before it ended. */
interface Pair {
    forth: Change;
    back: Change;
    moments: number;
    /** Moments that time alone may miss: one for the way there, one for the way back. */
    events: ((world: World) => Moment)[];
}

const pairs: Pair[] = [
    {
        forth: { name: "replicas 2 => 4", config: { replicas: 4 } },
        back: { name: "replicas 4 => 2", config: { replicas: 2 } },
        moments: 4,
        events: [dropletCreated, dropletDeleted],
    },
    {
        forth: { name: "generation: replace all", config: { generation: "b" } },
        back: { name: "generation: replace all", config: { generation: "a" } },
        moments: 3,
        events: [dropletCreated, dropletDeleted],
    },
    {
        forth: {
            name: "load balancer replaced",
            config: { loadBalancerSize: "s-1vcpu-2gb" },
            movesAddress: true,
        },
        back: {
            name: "load balancer replaced",
            config: { loadBalancerSize: "s-1vcpu-1gb" },
            movesAddress: true,
        },
        moments: 3,
        events: [dropletCreated, addressMoved],
    },
];

/** @param kills Takes each as it is done. */
async function soak(world: World, kills: Kill[]): Promise<void> {
    const kill = async (change: Change, moment: Moment, url?: string) => {
        const result = await killDuring(world, change, moment, url);
        kills.push(result);
        const verdict = result.problems.length === 0 ? "ended well" : result.problems.join("; ");
        say.log(`${change.name}, ${moment.name}: ${result.killed ? "killed" : "OVER BEFORE"}; ${verdict}`);
    };
    const timeOf = async (config: Record<string, unknown>) => {
        await world.configure(config);
        const start = Date.now();
        await upEndsWell(world);
        return (Date.now() - start) / 1000;
    };

    const first = { name: "first up", config: { replicas: 2, generation: "a" } };
    const firstSeconds = await say.step("a first up that is left alone", () => timeOf(first.config));
    for (const moment of [undefined, ...spread(4, firstSeconds)]) {
        const { code, text } = await world.pulumi(["destroy", "--yes", "--skip-preview", "--refresh"]);
        if (code !== 0) throw new Error(text);
        await kill(first, moment ?? dropletCreated(world));
    }
    const { url } = await world.outputs();
    for (const { forth, back, moments, events } of pairs) {
        const there = await say.step(`${forth.name}, left alone`, () => timeOf(forth.config));
        const again = await say.step(`${back.name}, left alone`, () => timeOf(back.config));
        const ways = [spread(moments, there), spread(moments, again)];
        for (let i = 0; i < moments; i++) {
            await kill(forth, ways[0]?.[i] ?? after(0), url);
            await kill(back, ways[1]?.[i] ?? after(0), url);
        }
        for (const [i, event] of events.entries()) await kill(i === 0 ? forth : back, event(world), url);
    }
}

/** The matrix as Markdown. */
function report(kills: Kill[]): string {
    const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", "<br>") || "-";
    const rows = kills.map((k) =>
        [
            k.change,
            `${k.moment}${k.killed ? "" : " (it had ended before)"}`,
            cell(k.found.join("\n")),
            `${k.doctorSeconds.toFixed(1)} s`,
            `${cell(k.nextUp)} (${k.nextUpSeconds.toFixed(1)} s)`,
            k.requests === 0 ? "no site yet" : `${k.failures.length} of ${k.requests}`,
            cell(k.problems.join("\n")) === "-" ? "yes" : `**NO**: ${cell(k.problems.join("\n"))}`,
        ].join(" | "),
    );
    const killed = kills.filter((kill) => kill.killed).length;
    return `# Killed on purpose

\`pulumi up\` killed by SIGKILL at ${killed} moments (\`make soak\`, seed ${seed}; two cores, droplets that boot); after each,
\`make doctor\` and the next \`pulumi up\`. It ended well when both succeeded, the account holds exactly what the state knows, a preview shows no
change, and visitors lost nothing (at a move of the address: at most the one request of each that was under way).

| change | killed | the account and the state did not agree about | doctor | next up | requests lost | ended well |
| --- | --- | --- | --- | --- | --- | --- |
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

async function main(): Promise<void> {
    requireLinuxRoot();
    const start = Date.now();
    const world = await say.step("local DigitalOcean", () => makeWorld("nspawn"));
    const kills: Kill[] = [];
    try {
        serveSlowly(world.folder);
        await soak(world, kills);
        const bad = kills.filter(({ problems }) => problems.length > 0).length;
        console.log(
            `${kills.length} kills, ${kills.length - bad} ended well, ${bad} did not: see ${results}`,
        );
        say.log(`took ${duration((Date.now() - start) / 1000)}`);
        process.exitCode = bad > 0 ? 1 : 0;
    } finally {
        await writeFile(results, report(kills));
        await world.close();
    }
}

main().catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
