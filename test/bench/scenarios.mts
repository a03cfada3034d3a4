import { rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../../sandbox/progress.ts";
import { awaitGone } from "./api.mts";
import { makeSite } from "../releases.mts";
import type { AutoscaleFigures } from "./autoscale.mts";
import { bootAlone } from "./boots.mts";
import type { CacheFigure } from "./cache-figures.mts";
import { measure, type Row, type RowOptions, type System } from "./measure.mts";
import type { ImageFigures } from "./image.mts";
import type { Preview } from "./previews.mts";
import { reloadTenTimes } from "./reloads.mts";
import { slowKinds } from "./slow-clients.mts";
import type { Stage } from "./stage.mts";
import type { Throughput } from "./throughput.mts";
import type { TlsFigures } from "./tls.mts";
import type { WatchingFigures } from "./watching.mts";

/** What scenarios leave. */
export interface Measured {
    rows: Row[];
    /** `<count>` droplets by themselves, made under the same load as the changes: seconds. */
    bootSeconds: Record<number, number>;
    throughput?: Throughput[];
    tls?: TlsFigures;
    autoscale?: AutoscaleFigures;
    images?: ImageFigures[];
    cache?: CacheFigure[];
    previews?: Preview[];
    watching?: WatchingFigures;
    /** A table in Markdown. */
    traces?: string;
}

/** Changes a stack, mostly under load. */
export type Scenario = (stage: Stage, say: Progress, measured: Measured) => Promise<void>;

/** Kinds that are never sent twice, or have begun to be answered: who serves them takes them along when it dies. */
const onDeadProcess: RowOptions["cut"] = {
    because: "on the server that died: begun to be answered, or never sent twice",
    kinds: ["5 s stream", "3 s POST"],
};
const onDeadMachine: RowOptions["cut"] = {
    because: "under way on the machine that is gone",
    kinds: slowKinds.map(({ name }) => name),
};
const atMove: RowOptions["cut"] = {
    because: "under way on the first load balancer, or kept alive, when the address moves",
    kinds: ["GET, kept alive", "GET, fresh connection", ...slowKinds.map(({ name }) => name)],
};

/** Every scenario begins with a healthy pool of three, and leaves one. In this order when all are run. */
export const scenarios: Record<string, Scenario> = {
    scale: (stage, say, measured) => scaleOutAndIn(stage, say, measured, 1),
    "scale-8": (stage, say, measured) => scaleOutAndIn(stage, say, measured, 8),
    settings: async (stage, say, { rows }) => {
        const row = rowOf("settings", stage, say, rows);
        let drainSeconds = 75;
        await row("another drainSeconds", () => stage.up({ drainSeconds: (drainSeconds += 5) }));
        await row("ten reloads in five seconds", () => reloadTenTimes(stage));
    },
    retired: async (stage, say, { rows }) => {
        const [, second] = await stage.servers();
        await rowOf("retired", stage, say, rows)("one server retired", () => stage.retire(second?.slot ?? 1));
    },
    push: async (stage, say, { rows }) => {
        const row = rowOf("push", stage, say, rows);
        const sites = ["one", "two"].map((word) => makeSite(word));
        try {
            for (const site of sites) await row("content pushed to three servers", () => stage.push(site));
            await row("content rolled back", () => stage.push("--rollback"));
        } finally {
            for (const site of sites) rmSync(site, { recursive: true });
        }
    },
    replace: async (stage, say, { rows }) => {
        const generation = stage.nextGeneration();
        await rowOf("replace", stage, say, rows)("all three replaced", () => stage.up({ generation }));
    },
    batches: async (stage, say, { rows }) => {
        const [, ...held] = (await stage.servers()).map(({ slot }) => slot);
        const row = rowOf("batches", stage, say, rows);
        const generation = stage.nextGeneration();
        await row("canary: one replaced, two held", () => stage.up({ generation, hold: held }));
        await row("the other two, when it is good", () => stage.up({ hold: undefined }));
    },
    "load-balancer": async (stage, say, { rows }) => {
        const row = rowOf("load-balancer", stage, say, rows);
        await row("load balancer replaced", () => stage.up({ loadBalancerSize: "s-1vcpu-2gb" }), atMove);
    },
    sick: async (stage, say, { rows }) => {
        const row = rowOf("sick", stage, say, rows);
        const [, victim] = await stage.servers();
        if (!victim) throw new Error("the pool has no second server");
        const kill = async () => {
            await stage.killNginx(victim);
            await sleep(5000);
        };
        await row("a server's nginx killed", kill, onDeadProcess);
        await row("+1, with the sick one", () => stage.scale(1));
        const resize = () => stage.up({ loadBalancerSize: "s-2vcpu-2gb" });
        await row("load balancer replaced, with the sick one", resize, atMove);
        await row("the sick one retired", () => stage.retire(victim.slot));
        await stage.scale(-1);
    },
    "powered-off": async (stage, say, { rows }) => {
        const row = rowOf("powered-off", stage, say, rows);
        const [victim] = await stage.servers();
        const powerOff = async () => {
            const action = `droplets/${victim?.dropletId ?? ""}/actions`;
            await stage.api("POST", action, { type: "power_off" });
            await sleep(8000);
        };
        await row("a droplet powered off", powerOff, onDeadMachine);
        await row("it is retired", () => stage.retire(victim?.slot ?? 0));
    },
    destroyed: async (stage, say, { rows }) => {
        const row = rowOf("destroyed", stage, say, rows);
        const [victim] = await stage.servers();
        const destroy = async () => {
            await stage.api("DELETE", `droplets/${victim?.dropletId ?? ""}`);
            await awaitGone(stage.api, [Number(victim?.dropletId)]);
            await sleep(8000);
        };
        await row("a droplet destroyed by hand", destroy, onDeadMachine);
        await row("up --refresh makes it again", () => stage.up({}, ["--refresh"]));
    },
};

async function scaleOutAndIn(
    stage: Stage,
    say: Progress,
    { rows, bootSeconds }: Measured,
    count: number,
): Promise<void> {
    const row = rowOf(count === 1 ? "scale" : `scale-${count}`, stage, say, rows);
    await row(`+${count}`, () => stage.scale(count));
    await row(`-${count}`, () => stage.scale(-count));
    // Booting takes longer under load, so what it is compared with boots under the same.
    const boot = async () => {
        bootSeconds[count] = await bootAlone(stage, count);
    };
    await row(`${count} made by the API alone`, boot);
}

/** A function that measures one change after the other. */
export function rowOf(name: string, system: System, say: Progress, rows: Row[]) {
    const scenario = system.url.startsWith("https:") ? `https-${name}` : name;
    return async (change: string, work: () => Promise<void>, cut?: RowOptions["cut"]): Promise<void> => {
        rows.push(await measure(say, system, { scenario, change, ...(cut && { cut }) }, work));
    };
}
