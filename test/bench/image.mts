import { existsSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Progress } from "../../sandbox/progress.ts";
import { makeWorld, upEndsWell, type World } from "../world.mts";
import { median } from "./proxies.mts";
import { firstRequests, Sampler } from "./sampler.mts";

/** What a baked image saves, for one user data. */
export interface ImageFigures {
    userData: string;
    /** How long the image takes to bake. */
    bakeSeconds: number;
    /** From `pulumi up` of one server more until it is seen with a request: medians, in seconds. */
    firstRequestSeconds: { debian: number; baked: number };
}

/** Of those that there are: one small package, and what a PHP site needs. */
const profiles = ["nginx", "varnish"];
const isThere = (name: string): boolean =>
    existsSync(path.join(import.meta.dirname, "../../userdata", `${name}.yaml`));
const runs = 3;

/** One server more, on Debian and on an image that was baked of the same user data. */
export async function benchImage(say: Progress): Promise<ImageFigures[]> {
    const figures: ImageFigures[] = [];
    for (const userdata of profiles.filter(isThere)) {
        const world = await makeWorld("nspawn", { replicas: 1, userdata });
        try {
            await say.step(`${userdata}: a stack of one server`, () => upEndsWell(world));
            const debian = await firstRequestSeconds(world, say, `${userdata} on Debian`);
            const start = Date.now();
            const { code, text, stdout } = await say.step(`${userdata}: an image`, () =>
                world.tool("bake", ["--stack", "test"]),
            );
            if (code !== 0) throw new Error(text);
            const bakeSeconds = (Date.now() - start) / 1000;
            await world.configure({ image: /^image (\d+):/.exec(stdout)?.[1] });
            await say.step(`${userdata}: that server is replaced by one of it`, () => upEndsWell(world));
            const baked = await firstRequestSeconds(world, say, `${userdata} on its image`);
            figures.push({ userData: userdata, bakeSeconds, firstRequestSeconds: { debian, baked } });
        } finally {
            await world.close();
        }
    }
    return figures;
}

/** The median of the runs, after each of which the server is taken away again. */
async function firstRequestSeconds(world: World, say: Progress, what: string): Promise<number> {
    const all: number[] = [];
    for (let run = 0; run < runs; run++) {
        all.push(await say.step(`${what}: one server more`, () => untilFirstRequest(world)));
        await world.configure({ replicas: 1 });
        await upEndsWell(world);
    }
    return median(all);
}

async function untilFirstRequest(world: World): Promise<number> {
    const { url, loadBalancerIp: host, deployKey: privateKey, hostKey } = await world.outputs();
    const sampler = new Sampler({ host, privateKey, hostKey });
    const visitor = setInterval(() => void fetch(url).catch(() => undefined), 50);
    try {
        // Until the first sample has been taken: a server that is there in it is none of the new ones.
        await sleep(3000);
        const start = Date.now();
        await world.configure({ replicas: 2 });
        await upEndsWell(world);
        await sleep(1500);
        const first = Math.max(...firstRequests(await sampler.stop()).values());
        if (!(first > 0)) throw new Error("the new server got no request");
        return (first - start) / 1000;
    } finally {
        clearInterval(visitor);
        await sampler.stop();
    }
}
