/**
 * `make bench`: what each change loses, and how long it takes, on droplets that boot; beside it what it replaces.
 * `make bench SCENARIO=<name>` runs one.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { ensureHostPackages, requireLinuxRoot } from "../sandbox/host.ts";
import { progress } from "../sandbox/progress.ts";
import { benchDoProxy } from "./doproxy.mts";
import { totals } from "./measure.mts";
import { markdownTable, terminalTable } from "./report.mts";
import { type Measured, type Scenario, scenarios } from "./scenarios.mts";
import { Stage } from "./stage.mts";

const say = progress();
/** In the order in which they run; those of the stage share one. */
const onStage: Record<string, Scenario> = { ...scenarios, doproxy: benchDoProxy };

async function main(wanted: string | undefined): Promise<void> {
    const names = wanted?.split(",") ?? Object.keys(onStage);
    const unknown = names.find((name) => !(name in onStage));
    if (unknown !== undefined)
        throw new Error(`there is no scenario ${unknown}; there are ${Object.keys(onStage).join(", ")}`);
    requireLinuxRoot();
    await ensureHostPackages({ log: say.log, needs: { wrk: "wrk", haproxy: "haproxy" } });
    const measured: Measured = { rows: [], bootSeconds: {} };
    const stage = await say.step("a stack with three servers", () => Stage.open());
    try {
        for (const [name, scenario] of Object.entries(onStage)) {
            if (names.includes(name))
                await say.step(`scenario ${name}`, () => scenario(stage, say, measured));
        }
    } finally {
        await stage.world.close();
    }
    console.log(terminalTable(measured.rows));
    writeFileSync(path.join(import.meta.dirname, "results.json"), JSON.stringify(measured, null, 4));
    writeFileSync(path.join(import.meta.dirname, "RESULTS.md"), markdownTable(measured.rows));
    const lost = measured.rows.filter((row) => row.system === "dropscale" && totals(row).lost > 0);
    if (lost.length > 0)
        throw new Error(`requests were lost: ${lost.map(({ change }) => change).join("; ")}`);
}

main(process.argv[2]).catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
