import { describe, expect, it } from "vitest";

import type { Usage } from "../../machines.ts";
import { activeDroplet, startApi, type TestApi, text, until } from "./api-harness.ts";

const path = "/monitoring/metrics/droplet/cpu";
const nowSeconds = () => Math.floor(Date.now() / 1000);
const ask = (api: TestApi, id: number | string, start = nowSeconds() - 60, end = nowSeconds() + 60) =>
    api.request("GET", `${path}?host_id=${id}&start=${start}&end=${end}`);

/** Of memory there are 700 MiB in use, 200 of them as cache; 1 MB comes and goes between two looks, 10 MB on the VPC. */
const memory = { usedBytes: 700 << 20, cachedBytes: 200 << 20 };
const passed = (bytes: number) => ({ inbound: bytes, outbound: 3 * bytes });

/** A droplet of two processors, of which each look finds 20 ms more in use than the last one. */
async function watched(monitoring: boolean, off = false) {
    let [used, looks] = [7, 0];
    const usage = (): Promise<Usage | undefined> => {
        looks++;
        const traffic = { public: passed(looks * 1e6), private: passed(looks * 1e7) };
        const cpu = { user: (used += 0.02), system: 1 };
        return Promise.resolve(off ? undefined : { cpu, memory, traffic, diskBytes: 600 << 20 });
    };
    const activeTasks = () => Promise.resolve(off ? undefined : 3);
    const api = await startApi({ machines: { usage, activeTasks }, metricSeconds: 0.05 });
    const droplet = await activeDroplet(api, { size: "s-2vcpu-2gb", monitoring });
    return { api, droplet };
}

describe("CPU of a droplet", () => {
    it("is counted by mode from what its machine has used, with the rest of the time as idle", async () => {
        const { api, droplet } = await watched(true);
        const { status, body } = await until(
            () => ask(api, droplet.id),
            (answer) => (answer.body.data.result[0]?.values.length ?? 0) >= 3,
        );
        expect(status).toBe(200);
        expect(body).toMatchObject({ status: "success", data: { resultType: "matrix" } });
        const { result } = body.data;
        expect(result.map(({ metric }) => metric)).toEqual(
            ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"].map((mode) => ({
                host_id: String(droplet.id),
                mode,
            })),
        );
        const of = (mode: string) =>
            result.find(({ metric }) => metric.mode === mode)?.values.map(([, value]) => Number(value)) ?? [];
        const [first = NaN, second = NaN, third = NaN] = of("user");
        expect([second - first, third - second]).toEqual([expect.closeTo(0.02), expect.closeTo(0.02)]);
        expect(of("system").every((value) => value === 1)).toBe(true);
        const idle = of("idle");
        expect(idle[0]).toBe(0);
        // 0.05 s of two processors, less what was used; the timer may be late, never early.
        expect((idle[2] ?? NaN) - (idle[1] ?? NaN)).toBeGreaterThan(0.06);
        expect(result[0]?.values[0]?.[0]).toBeCloseTo(nowSeconds(), -2);
    });

    it("of another time is empty", async () => {
        const { api, droplet } = await watched(true);
        await until(
            () => ask(api, droplet.id),
            ({ body }) => body.data.result.length > 0,
        );
        const { body } = await ask(api, droplet.id, nowSeconds() - 7200, nowSeconds() - 3600);
        expect(body).toMatchObject({ status: "success", data: { resultType: "matrix", result: [] } });
    });

    it.each([
        ["without the agent", false, false],
        ["that is off", true, true],
    ])("is empty for one %s", async (_what, monitoring, off) => {
        const { api, droplet } = await watched(monitoring, off);
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect((await ask(api, droplet.id)).body.data.result).toEqual([]);
    });

    it("is empty where there are no machines", async () => {
        const api = await startApi({ metricSeconds: 0.05 });
        const { id } = await activeDroplet(api, { monitoring: true });
        await new Promise((resolve) => setTimeout(resolve, 200));
        expect(await ask(api, id)).toMatchObject({ status: 200, body: { data: { result: [] } } });
    });

    it("is 404 for a droplet that there is not, and for one that was deleted", async () => {
        const { api, droplet } = await watched(true);
        expect(await ask(api, 7)).toMatchObject({ status: 404, body: { id: "not_found" } });
        expect(await ask(api, "nonsense")).toMatchObject({ status: 404 });
        await api.request("DELETE", `/droplets/${droplet.id}`);
        const answer = await ask(api, droplet.id);
        expect(answer.status).toBe(404);
        expect(answer.headers.get("x-sandbox")).toBeNull();
    });

    it.each([
        ["host_id=1&end=5", "start must be a UNIX timestamp in seconds"],
        ["host_id=1&start=yesterday&end=5", "start must be a UNIX timestamp in seconds"],
        ["host_id=1&start=1&end=-5", "end must be a UNIX timestamp in seconds"],
        ["host_id=1&start=6&end=5", "start must not be after end"],
        ["start=1&end=5", "host_id is required"],
    ])("is 400 for %s", async (query, message) => {
        const answer = await (await startApi()).request("GET", `${path}?${query}`);
        expect(answer).toMatchObject({ status: 400, body: { id: "bad_request", message } });
    });

    it("is 401 without a token", async () => {
        const api = await startApi();
        const answer = await api.request("GET", path, undefined, { authorization: "Bearer none" });
        expect(answer).toMatchObject({ status: 401, body: { message: text("Unable to authenticate") } });
    });
});

describe("other metrics of a droplet", () => {
    const of = async (api: TestApi, id: number, metric: string, more = "") => {
        const [start, end] = [nowSeconds() - 60, nowSeconds() + 60];
        const query = `host_id=${id}&start=${start}&end=${end}${more}`;
        return api.request("GET", `/monitoring/metrics/droplet/${metric}?${query}`);
    };

    const device = { device: "/dev/vda1", fstype: "ext4", mountpoint: "/" };

    it.each([
        ["memory_total", 2048, {}],
        ["memory_free", 1348, {}],
        ["memory_cached", 200, {}],
        ["memory_available", 1548, {}],
        // Of the disk that its size has.
        ["filesystem_size", 60 * 1024, device],
        ["filesystem_free", 60 * 1024 - 600, device],
    ])("tell its %s in bytes", async (metric, mebibytes, labels) => {
        const { api, droplet } = await watched(true);
        const { body } = await until(
            () => of(api, droplet.id, metric),
            (answer) => answer.body.data.result.length > 0,
        );
        const [series, ...others] = body.data.result;
        expect(others).toEqual([]);
        expect(series?.metric).toEqual({ host_id: String(droplet.id), ...labels });
        expect(series?.values[0]?.[1]).toBe(String(mebibytes * 2 ** 20));
    });

    it.each([
        ["public", "inbound", 8],
        ["private", "outbound", 240],
    ])("tell its bandwidth in megabits per second: %s %s", async (which, direction, megabits) => {
        const { api, droplet } = await watched(true);
        const { body } = await until(
            () => of(api, droplet.id, "bandwidth", `&interface=${which}&direction=${direction}`),
            (answer) => answer.body.data.result.length > 0,
        );
        const labels = { host_id: String(droplet.id), interface: which, direction };
        expect(body.data.result[0]?.metric).toEqual(labels);
        // In 0.05 s; the timer may be late, never early.
        const value = Number(body.data.result[0]?.values[0]?.[1]);
        expect(value).toBeLessThan((1.1 * megabits) / 0.05);
        expect(value).toBeGreaterThan(0);
    });

    it("are 400 for a network or a direction that there is not", async () => {
        const { api, droplet } = await watched(true);
        for (const more of ["", "&interface=eth0&direction=inbound", "&interface=public&direction=up"]) {
            const answer = await of(api, droplet.id, "bandwidth", more);
            expect(answer).toMatchObject({ status: 400, body: { message: text("must be one of") } });
        }
    });

    it("tell its load, which comes near to its active tasks, the sooner the fewer minutes it is of", async () => {
        const { api, droplet } = await watched(true);
        const load = async (minutes: number) => {
            const { body } = await of(api, droplet.id, `load_${minutes}`);
            expect(body.data.result.map(({ metric }) => metric)).toEqual([{ host_id: String(droplet.id) }]);
            return Number(body.data.result[0]?.values.at(-1)?.[1]);
        };
        await until(
            () => of(api, droplet.id, "load_1"),
            (answer) => Number(answer.body.data.result[0]?.values.at(-1)?.[1]) > 1,
        );
        const [one, five, fifteen] = [await load(1), await load(5), await load(15)];
        expect(one).toBeLessThanOrEqual(3);
        expect([five < one, fifteen < five, fifteen > 0]).toEqual([true, true, true]);
    });
});
