import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CpuWatch } from "../../tools/autoscale/cpu";
import { busyOf, type CpuMetrics, type CpuReading, readCpu } from "../../tools/live/cpu";
import { localApi } from "../local-api";

/** DigitalOcean's own example of an answer: https://github.com/digitalocean/openapi, droplet_cpu. */
const recorded = answer([1635386880, 1635387000, 1635387120], {
    idle: ["122901.18", "123020.92", "123140.8"],
    iowait: ["14.99", "15.01", "15.01"],
    irq: ["0", "0", "0"],
    nice: ["66.35", "66.35", "66.35"],
    softirq: ["2.13", "2.13", "2.13"],
    steal: ["7.89", "7.9", "7.91"],
    system: ["140.09", "140.2", "140.23"],
    user: ["278.57", "278.65", "278.69"],
});

function answer(times: number[], modes: Record<string, (string | number)[]>) {
    const result = Object.entries(modes).map(([mode, seconds]) => ({
        metric: { host_id: "222651441", mode },
        values: times.map((at, i): [number, string] => [at, String(seconds[i])]),
    }));
    return { status: "success", data: { resultType: "matrix", result } };
}

/** Two processors of which so much is busy, once a minute until a minute ago. */
function busy(share: number, nowSeconds: number): CpuMetrics {
    const minutes = [6, 5, 4, 3, 2, 1];
    const spent = (part: number) => minutes.map((minute) => part * 2 * 60 * (100 - minute));
    return answer(
        minutes.map((minute) => nowSeconds - 60 * minute),
        { idle: spent(0.9 * (1 - share)), iowait: spent(0.1 * (1 - share)), user: spent(share) },
    );
}

describe("the CPU of one droplet", () => {
    it("is what was not idle, by what its counters grew in the last minutes", () => {
        expect(busyOf(recorded)).toEqual({
            share: expect.closeTo(0.08 / 119.96, 6) as number,
            sinceMs: 1635387000_000,
        });
        expect(busyOf(busy(0.25, 6000))).toEqual({
            share: expect.closeTo(0.25, 6) as number,
            sinceMs: (6000 - 240) * 1000,
        });
    });

    it.each([
        ["no figures", answer([], {})],
        ["one figure", answer([60], { idle: [1], user: [1] })],
        ["figures too far from each other", answer([60, 600], { idle: [1, 9], user: [1, 9] })],
        ["counters that began again at 0", answer([60, 120], { idle: [900, 30], user: [5, 1] })],
        ["a figure that is none", answer([60, 120], { idle: ["1", "NaN"], user: [5, 6] })],
    ])("is not known from %s", (_what, metrics) => {
        expect(busyOf(metrics)).toBeUndefined();
    });

    it("stays a share where a counter goes back a little, as iowait may", () => {
        expect(busyOf(answer([60, 120], { idle: [0, 60.1], iowait: [1, 0.99], user: [5, 5] }))?.share).toBe(
            0,
        );
    });
});

describe("the CPU of droplets", () => {
    let asked: URL[];
    let atOnce: { now: number; most: number };
    /** By droplet: a body, or a status. */
    let answers: (id: string) => object | number;
    const nowMs = 1_700_000_000_000;

    beforeEach(() => {
        [asked, atOnce] = [[], { now: 0, most: 0 }];
    });
    localApi((request, response) => {
        const url = new URL(request.url ?? "", "http://api");
        asked.push(url);
        atOnce.most = Math.max(atOnce.most, ++atOnce.now);
        setTimeout(() => {
            atOnce.now--;
            const answer = answers(url.searchParams.get("host_id") ?? "");
            response.writeHead(typeof answer === "number" ? answer : 200).end(JSON.stringify(answer));
        }, 5);
    });

    it("is their mean, of those that have figures", async () => {
        const shares = [0.2, 0.6];
        answers = (id) =>
            shares[Number(id)] === undefined ? 404 : busy(shares[Number(id)] ?? 0, 1_700_000_000);
        expect(await readCpu(["0", "1", "2"], nowMs)).toEqual({
            share: expect.closeTo(0.4, 6) as number,
            sinceMs: nowMs - 240_000,
        });
        expect(asked.map(({ pathname, search }) => pathname + search)).toContain(
            "/v2/monitoring/metrics/droplet/cpu?host_id=1&start=1699999580&end=1700000000",
        );
    });

    it("is not known where fewer than half have some", async () => {
        answers = (id) => (id === "0" ? busy(0.5, 1_700_000_000) : answer([], {}));
        expect(await readCpu(["0", "1", "2"], nowMs)).toEqual({
            problem: "DigitalOcean has figures of 1 of 3 servers",
        });
        expect(await readCpu([], nowMs)).toHaveProperty("problem");
    });

    it("is not known to a token without the scope, which is named", async () => {
        answers = () => 403;
        const { problem } = (await readCpu(["0", "1"], nowMs)) as { problem: string };
        expect(problem).toContain("the token lacks the scope monitoring:read");
    });

    it("is asked a few at a time, and of a large pool by a part that is spread over it", async () => {
        answers = (id) => busy(Number(id) / 200, 1_700_000_000);
        const ids = Array.from({ length: 200 }, (_, id) => String(id));
        expect(await readCpu(ids, nowMs)).toMatchObject({ share: expect.closeTo(0.5, 1) as number });
        expect(asked).toHaveLength(25);
        expect(atOnce.most).toBeLessThanOrEqual(5);
    });
});

describe("the autoscaler's look at CPU", () => {
    const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
    let said: string[];
    let asked: string[][];
    let outputs: number;
    let pool: [privateIp: string, dropletId: string][];
    let next: CpuReading | { problem: string };

    beforeEach(() => {
        [said, asked, outputs] = [[], [], 0];
        pool = [
            ["10.0.0.1", "11"],
            ["10.0.0.2", "12"],
        ];
        next = { share: 0.5, sinceMs: 0 };
        vi.stubEnv("DIGITALOCEAN_TOKEN", "secret");
    });
    afterEach(() => vi.unstubAllEnvs());

    const begin = () =>
        new CpuWatch("prod", (text) => said.push(text), {
            cpu: (ids) => {
                asked.push([...ids]);
                return Promise.resolve(next);
            },
            servers: () => {
                outputs++;
                return Promise.resolve(
                    pool.map(([privateIp, dropletId], slot) => ({ name: "", slot, privateIp, dropletId })),
                );
            },
        });
    const at = (seconds: number, ...addresses: string[]) => {
        const servers = addresses.map((address) => ({ address, isUp: !address.endsWith(".9") }));
        return { atMs: seconds * 1000, reading: { servers } } as unknown as Parameters<CpuWatch["look"]>[0];
    };

    it("waits for nothing, asks once a minute for what is UP, and keeps what it hears for 3 minutes", async () => {
        const watch = begin();
        const addresses = ["10.0.0.1", "10.0.0.2", "10.0.0.9"];
        expect(watch.look(at(0, ...addresses))).toBeUndefined();
        await settled();
        for (const second of [5, 30, 59]) expect(watch.look(at(second, ...addresses))).toBe(0.5);
        expect(asked).toEqual([["11", "12"]]);
        next = { problem: "it does not answer within 10 s" };
        watch.look(at(60, ...addresses));
        await settled();
        expect(asked).toHaveLength(2);
        expect(watch.look(at(179, ...addresses))).toBe(0.5);
        await settled();
        expect(watch.look(at(180, ...addresses))).toBeUndefined();
        expect(outputs).toBe(1);
        // Once, though it failed twice.
        expect(said).toEqual([
            "CPU is not known, so that the pool does not shrink: it does not answer within 10 s",
        ]);
    });

    it("leaves out figures that reach back before a change, and learns of the servers that it made", async () => {
        const watch = begin();
        watch.look(at(1000, "10.0.0.1"));
        await settled();
        expect(watch.look(at(1010, "10.0.0.1"), 1)).toBeUndefined();
        pool.push(["10.0.0.3", "13"]);
        next = { share: 0.7, sinceMs: 1_005_000 };
        watch.look(at(1060, "10.0.0.1", "10.0.0.3"));
        await settled();
        expect(asked.at(-1)).toEqual(["11", "13"]);
        expect(watch.look(at(1065, "10.0.0.1", "10.0.0.3"), 1_004_000)).toBe(0.7);
        expect(watch.look(at(1065, "10.0.0.1", "10.0.0.3"), 1_006_000)).toBeUndefined();
    });

    it("says what is missing where there is no token, and asks nobody", async () => {
        vi.stubEnv("DIGITALOCEAN_TOKEN", "");
        const watch = begin();
        watch.look(at(0, "10.0.0.1"));
        await settled();
        expect(said).toEqual([
            "CPU is not known, so that the pool does not shrink: autoscale.cpu needs a DIGITALOCEAN_TOKEN with monitoring:read here",
        ]);
        expect([asked, outputs]).toEqual([[], 0]);
    });
});
