import { afterAll, beforeAll, expect, it } from "vitest";
import { measure, type Row, totals } from "../bench/measure.mts";
import { reloadTenTimes } from "../bench/reloads.mts";
import { Stage } from "../bench/stage.mts";
import { progress } from "../../sandbox/progress";

/** `make bench` in short: everything that replaces or reloads, in one go, under its load. How long it takes is free. */
let stage: Stage;
let opened: Stage | undefined;

beforeAll(async () => {
    stage = opened = await Stage.open();
});
afterAll(async () => {
    await opened?.world.close();
});

it("loses no request of any kind at ten reloads, one server retired and all others replaced", async () => {
    const row: Row = await measure(
        progress({ quiet: true }),
        stage,
        { scenario: "short", change: "all in one" },
        async () => {
            await reloadTenTimes(stage);
            await stage.up({ retired: [1], generation: stage.nextGeneration() });
        },
    );
    expect(totals(row), JSON.stringify(row.load, null, 2)).toMatchObject({ lost: 0, cut: 0 });
    expect(row.leastServers).toBe(3);
    expect((await stage.servers()).map(({ slot }) => slot)).toEqual([0, 2, 3]);
    for (const { kind, sent, idleClosed } of row.load) {
        expect(sent, kind).toBeGreaterThan(kind.startsWith("GET") ? 3000 : 4);
        expect(idleClosed, kind).toBe(0);
    }
});
