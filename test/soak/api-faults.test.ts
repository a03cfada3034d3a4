import { readFileSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { stateBackend } from "../../sandbox/stack";
import { expectConverged, withFaults } from "../faults.mts";
import { disagreements } from "../kills.mts";
import { up, upEndsWell } from "../world.mts";
import { servedSite, visitedThroughout } from "../e2e/served-site";

/**
 * The API fails in the middle of a change: it ends well, or with an error that names the thing; nobody who visits the
 * site notices; and the next `up` ends where the config says. Every step builds on the last.
 */
describe("when the API fails", () => {
    const site = servedSite({ replicas: 2 });
    visitedThroughout(site);

    const serve = (replicas: number) =>
        expectConverged(
            site.world,
            site.url,
            Array.from({ length: replicas }, (_, slot) => `web-${slot}`),
        );
    const dropletNames = async () =>
        ((await site.world.api("droplets")).droplets as { name: string }[]).map(({ name }) => name);

    it("tries again what was refused for the moment, failed, or lost its connection", async () => {
        await site.world.configure({ replicas: 3 });
        await withFaults(
            site.world,
            [
                { on: "POST /v2/droplets", times: 2, status: 429, retryAfterSeconds: 1 },
                { on: "POST /v2/droplets", skip: 2, status: 500 },
                { on: "POST /v2/droplets", skip: 3, reset: "before" },
                { on: "GET /v2/droplets/\\d+", times: 2, status: 503 },
                { on: "GET /v2/droplets/\\d+", skip: 2, reset: "after" },
                { on: "GET /v2/sizes", delaySeconds: 2 },
            ],
            () => upEndsWell(site.world),
        );
        await serve(3);
    });

    it("makes a droplet twice whose first answer was lost; the doctor finds the first", async () => {
        await site.world.configure({ replicas: 4 });
        await withFaults(site.world, [{ on: "POST /v2/droplets", reset: "after" }], () =>
            upEndsWell(site.world),
        );
        expect(await disagreements(site.world)).toEqual([
            expect.stringMatching(/^droplets \d+ \(web-3-[0-9a-f]{7}\) is not in state$/),
        ]);
        const young = await site.world.tool("doctor", ["test", "--yes"]);
        expect(young.code, young.text).toBe(0);
        expect(young.text).toMatch(/^wait {2}droplet {2}web-3-.*not in service, and not an hour old/m);
        expect(await disagreements(site.world)).toHaveLength(1);
        const doctor = await site.world.tool("doctor", ["test", "--yes", "--killed"]);
        expect(doctor.code, doctor.text).toBe(0);
        await serve(4);
    });

    it("names what the account's limit or a failing API kept from being made; the rest is used later", async () => {
        await site.world.configure({ replicas: 7 });
        const { code, text } = await withFaults(
            site.world,
            [
                { on: "POST /v2/droplets", skip: 1, status: 422 },
                { on: "POST /v2/droplets", skip: 2, times: 5, status: 500 },
            ],
            () => up(site.world),
        );
        expect(code).not.toBe(0);
        const failed = (status: number) =>
            new RegExp(`Droplet \\((web-[456])\\):\n.*Error creating droplet: POST .*: ${status} .*`).exec(
                text,
            );
        expect(failed(422)?.[0], text).toContain("will exceed your droplet limit");
        expect(failed(500)?.[0], text).toContain("; giving up after 5 attempt(s)");
        const before = (await dropletNames()).filter((name) => /^web-[456]-/.test(name));
        expect(before).toHaveLength(1);
        await upEndsWell(site.world);
        expect(await dropletNames()).toEqual(expect.arrayContaining(before));
        await serve(7);
    });

    it("gives up a droplet that stays new or whose creation fails, and names it; a refresh fixes both", async () => {
        const timeouts = path.join(site.world.folder, "components/droplet.ts");
        const sensible = readFileSync(timeouts, "utf8");
        writeFileSync(timeouts, sensible.replace('"15m"', '"10s"'));
        await site.world.configure({ replicas: 9 });
        await withFaults(
            site.world,
            [
                { on: "action create", delaySeconds: 3600 },
                { on: "action create", skip: 1, error: "no host has room" },
            ],
            async () => {
                const { code, text } = await up(site.world);
                expect(code).not.toBe(0);
                for (const name of ["web-7", "web-8"])
                    expect(text).toMatch(
                        new RegExp(
                            `Droplet \\(${name}\\):\n[^]*?Error waiting for droplet \\(\\d+\\) to become ready: `,
                        ),
                    );
                const next = await up(site.world);
                expect(next.code).not.toBe(0);
                expect(next.text).toMatch(
                    /web-[78] \(droplet \d+\) has no address yet: .*`pulumi up --refresh`/,
                );
                expect(next.text).toMatch(
                    /\(web-[78]\):\n[^]*?did not exist while updating[^]*?`pulumi refresh`/,
                );
            },
        );
        writeFileSync(timeouts, sensible);
        expect((await site.world.outputs()).url).toBe(site.url);
        while (JSON.stringify(await site.world.api("droplets")).includes('"status":"new"')) await sleep(500);
        await upEndsWell(site.world, "--refresh");
        await serve(9);
    });

    it("refuses a second up while one is under way", async () => {
        await site.world.configure({ replicas: 1 });
        const first = up(site.world);
        const locks = path.join(
            stateBackend(site.world.instance),
            ".pulumi/locks/organization/dropscale/test",
        );
        while ((await readdir(locks).catch(() => [])).length === 0) await sleep(100);
        const second = await up(site.world);
        expect(second.code).not.toBe(0);
        expect(second.text).toContain("the stack is currently locked by 1 lock(s)");
        const { code, text } = await first;
        expect(code, text).toBe(0);
        await serve(1);
    });
});
