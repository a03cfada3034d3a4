import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { markGeneration } from "../../components/haproxy/render";
import { Host, configFor, generationOf } from "./haproxy-host/host";
import { nextHaproxyIfAny } from "./haproxy-host/next-haproxy.mts";

const [a, b] = ["127.0.1.1", "127.0.1.2"];

/** What the script relies on in HAProxy: reloads that can be proven, and old workers that end. */
describe("the script that applies haproxy.cfg, with the HAProxy of the next Debian", () => {
    let host: Host | undefined;
    beforeAll(async () => {
        const haproxy = await nextHaproxyIfAny();
        if (haproxy === undefined) return;
        host = await Host.start({ haproxy });
        for (const address of [a, b]) await host.call("serve", address);
    });
    afterAll(() => host?.stop());
    beforeEach(({ skip }) => {
        if (!host) skip("it can't be had");
    });
    /** @throws Error where the tests should have been left out. */
    const there = (): Host => {
        if (!host) throw new Error("no host");
        return host;
    };

    test("takes over from Debian's configuration, which was running", async () => {
        expect((await there().run("haproxy -v")).stdout).toMatch(/^HAProxy version 3\./);
        const config = configFor({ 0: a });
        const ended = await there().apply(config);
        expect(ended).toMatchObject({ code: 0, stderr: "" });
        expect(ended.stdout).toContain(`started: generation ${generationOf(config)}`);
        expect(await there().generation()).toBe(generationOf(config));
    });

    test("loses nothing when servers come and go", async () => {
        await there().call("startLoad", 20);
        const slow = there().call("request", "/slow?ms=3000");
        const pools: Record<number, string>[] = [{ 0: a, 1: b }, { 1: b }, { 0: a, 1: b }, { 0: a }];
        for (const servers of pools)
            expect(await there().apply(configFor(servers))).toMatchObject({ code: 0, stderr: "" });
        expect(await slow).toMatchObject({ status: 200 });
        const load = await there().call("endLoad");
        expect(load?.failures).toEqual([]);
        expect(load?.answers[b]).toBeGreaterThan(0);
    });

    test("changes nothing when HAProxy refuses the text", async () => {
        const before = await there().generation();
        const text = configFor({ 0: a }).replace(/^ *description gen=.*\n/m, "");
        const ended = await there().apply(markGeneration(text.replace("redispatch 1", "redespatch 1")));
        expect(ended.code).not.toBe(0);
        expect(ended.stderr).toContain("HAProxy refuses the new haproxy.cfg, nothing was changed:");
        expect(await there().generation()).toBe(before);
    });
});
