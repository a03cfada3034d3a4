import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readBakedImage } from "../../lib/baked-images";
import { faultsUrl } from "../../sandbox/api/faults.ts";
import { callApi } from "../faults.mts";
import { bakeScopes, makeToken, usedScopes, withRequired } from "../token.mts";
import { makeWorld, type Running, start, type World } from "../world.mts";

interface Droplet {
    id: number;
    name: string;
    status: string;
    tags: string[];
}
interface Image {
    id: number;
    name: string;
}

/** The command against the real API, without machines: the test switches the builder off, in place of its set-up. */
describe("baking an image", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] }, { rateLimit: false });
    });
    afterAll(async () => {
        await world.close();
    });

    const main = path.resolve(__dirname, "../../tools/main.ts");
    const bake = (args: string[] = [], env: Record<string, string> = {}): Running =>
        // Without a process around it that would be the one to be killed.
        start(process.execPath, ["--import", "tsx", main, "bake", "--stack", "test", ...args], {
            cwd: world.folder,
            env: { ...world.env, ...env },
        });
    const list = async <T>(what: string, query = "") =>
        ((await world.api(`${what}${query}`)) as Record<string, T[]>)[what] ?? [];
    const builders = () => list<Droplet>("droplets");
    const images = () => list<Image>("images", "?private=true");
    /** All that bakes make, but images. */
    const leftovers = async () => [
        ...(await builders()).map(({ name }) => `droplet ${name}`),
        ...(await list<{ name: string }>("firewalls")).map(({ name }) => `firewall ${name}`),
        ...(await list<{ name: string }>("tags")).map(({ name }) => `tag ${name}`),
    ];
    async function until<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
        for (let tries = 0; tries < 100; tries++) {
            const found = await ask();
            if (found !== undefined) return found;
            await sleep(200);
        }
        throw new Error(`never: ${what}`);
    }
    const builder = (status = "active") =>
        until(`a builder ${status}`, async () => (await builders()).find((one) => one.status === status));
    const powerOff = async () => {
        const { id } = await builder();
        await callApi(world, "POST", `/v2/droplets/${id}/actions`, { type: "power_off" });
    };

    it("says all that is wrong with what is to be baked, and makes nothing", async () => {
        writeFileSync(path.join(world.folder, "userdata/off.sh"), "#!/bin/sh\napt-get update\npoweroff\n");
        const { code, text } = await bake(["--userdata", "off", "--image", "debian-99", "--size", "huge"])
            .ended;
        expect(code).toBe(1);
        expect(text).toMatch(/^error: this can't be baked:\n/);
        expect(text).toMatch(
            /userdata\/off: it plans a restart \(poweroff\): a builder has ended its set-up when it is off/,
        );
        expect(text).toContain("image debian-99 is not available in fra1");
        expect(text).toMatch(/size huge is not offered in fra1 .*smallest are s-1vcpu-512mb-10gb, /);
        expect(await leftovers()).toEqual([]);
        const none = await bake(["--userdata", "nothing"]).ended;
        expect(none.text).toMatch(/--userdata should be one of nginx, .*off.*, got nothing/);
        expect(none.text).not.toMatch(/\n\s+at /);
    });

    it("makes one behind a closed firewall with a token of its own scopes, and leaves nothing beside it", async () => {
        const token = await makeToken(world.sandbox, withRequired(bakeScopes));
        // Of these, the oldest goes: three stay with the new one.
        for (const month of ["07", "08", "09"])
            await oldImage(`dropscale-test.baked.nginx.debian-12-x64.2026${month}01T000000Z.0123456789ab`);
        await oldImage("dropscale-test.baked.other.debian-12-x64.20260101T000000Z.0123456789ab");
        await oldImage("somebody's");
        const run = bake(["--userdata", "nginx"], { DIGITALOCEAN_TOKEN: token });
        const { name, tags } = await builder();
        const [firewall] = await list<Record<string, unknown>>("firewalls");
        expect(firewall).toMatchObject({ name: tags[0], tags, inbound_rules: [], droplet_ids: [] });
        expect(tags).toEqual([expect.stringMatching(/^dropscale-test-bake-\d{8}T\d{6}Z-[0-9a-f]{8}$/)]);
        expect(name).toBe(`bake-${tags[0]?.slice(-8) ?? ""}`);
        await powerOff();
        const { code, text, stdout } = await run.ended;
        expect(code, text).toBe(0);
        expect(await leftovers()).toEqual([]);
        const left = await images();
        const [made] = left.filter((one) => !/2026(01|08|09)01T|somebody/.test(one.name));
        expect(left).toHaveLength(5);
        expect(made?.name).toMatch(
            /^dropscale-test\.baked\.nginx\.debian-12-x64\.\d{8}T\d{6}Z\.[0-9a-f]{12}$/,
        );
        expect(stdout).toMatch(
            new RegExp(
                `^image ${made?.id}: nginx, baked [\\d-]+ on debian-12-x64, user data sha256 [0-9a-f]{12}\n` +
                    "0.64 GB, \\$0.04 a month; for sizes with a disk of 10 GB and more\n" +
                    `next: pulumi config set image ${made?.id} --stack test && pulumi up --stack test\n` +
                    "to go back: pulumi config set image debian-12-x64 --stack test\n" +
                    "deleted 1 older image: \\d+\n$",
            ),
        );
        expect(await usedScopes(world.sandbox, token)).toEqual([...bakeScopes].sort());
    });

    /** A snapshot of a droplet that is gone. */
    async function oldImage(name: string): Promise<void> {
        const body = { name: "old", region: "fra1", size: "s-1vcpu-512mb-10gb", image: "debian-12-x64" };
        const { droplet } = (await callApi(world, "POST", "/v2/droplets", body)) as { droplet: Droplet };
        await builder();
        await callApi(world, "POST", `/v2/droplets/${droplet.id}/actions`, { type: "snapshot", name });
        await until("its snapshot", async () => (await images()).find((one) => one.name === name));
        await until("its deletion", async () =>
            callApi(world, "DELETE", `/v2/droplets/${droplet.id}`).then(
                () => true,
                () => undefined,
            ),
        );
    }

    it("writes the number into the config, on which the plan says what it is, and that it is out of date", async () => {
        const run = bake(["--renew"]);
        expect(await run.ended).toMatchObject({
            code: 0,
            stdout: expect.stringContaining("there is none to renew") as string,
        });
        const second = bake(["--write", "--markdown", "bake.md"]);
        await powerOff();
        const { code, text } = await second.ended;
        expect(code, text).toBe(0);
        const config = readFileSync(path.join(world.folder, "Pulumi.test.yaml"), "utf8");
        const [, number = ""] = /^ +dropscale:image: "(\d+)"$/m.exec(config) ?? [];
        expect(number, config).not.toBe("");
        expect(readFileSync(path.join(world.folder, "bake.md"), "utf8")).toMatch(
            new RegExp(`^<!-- dropscale bake: test -->\n[^]*- image ${number}: nginx, baked`),
        );
        appendFileSync(path.join(world.folder, "userdata/nginx.yaml"), "# edited\n");
        const plan = await world.tool("plan", ["test"]);
        expect(plan.code, plan.text).toBe(0);
        expect(plan.text).toMatch(
            new RegExp(`image +${number} is nginx, baked [\\d-]+ on debian-12-x64, user`),
        );
        expect(plan.text).toMatch(
            /! .*'image' \d+ \(nginx, .*\) was made of other user data .*`npm run bake -- --userdata nginx`/,
        );

        // The next one is baked on what this one was baked on.
        const renewed = bake(["--renew"]);
        expect((await powerOffAndEnd(renewed)).stdout).toContain("on debian-12-x64");
    });

    async function powerOffAndEnd(run: Running) {
        await powerOff();
        const ended = await run.ended;
        expect(ended.code, ended.text).toBe(0);
        return ended;
    }

    it("is left alone by the doctor for its first hours, unless a person says that nobody is at it; Ctrl-C deletes all of it", async () => {
        const run = bake();
        await builder();
        const left = await leftovers();
        expect(left).toHaveLength(3);
        const { code, text } = await world.tool("doctor", ["test", "--yes"]);
        expect(code, text).toBe(0);
        for (const one of left)
            expect(text).toMatch(
                new RegExp(`wait +${one.replace(" ", " +")} .*left by a bake, and not 6 hours old`),
            );
        expect(await leftovers()).toEqual(left);
        process.kill(run.pid, "SIGINT");
        expect(await run.ended).toMatchObject({
            code: 130,
            text: expect.stringContaining("interrupted: there is no new image") as string,
        });
        expect(await leftovers()).toEqual([]);
    });

    it("deletes all of it where Ctrl-C comes twice at once, as through npm, and where its terminal is closed", async () => {
        // So that the second comes before the end.
        const faults = [{ on: "DELETE /v2/droplets/\\d+", delaySeconds: 1 }];
        await callApi(world, "PUT", faultsUrl, { faults });
        const twice = bake();
        await builder();
        process.kill(twice.pid, "SIGINT");
        await sleep(35);
        process.kill(twice.pid, "SIGINT");
        expect(await twice.ended).toMatchObject({ code: 130 });
        expect(await leftovers()).toEqual([]);

        const closed = bake();
        await builder();
        closed.hangUp();
        process.kill(closed.pid, "SIGHUP");
        expect(await closed.ended).toMatchObject({ code: 130 });
        expect(await leftovers()).toEqual([]);
    });

    it("finds its builder where the answer that there is one was lost, and deletes it", async () => {
        await callApi(world, "PUT", faultsUrl, { faults: [{ on: "POST /v2/droplets", reset: "after" }] });
        const { code, text } = await bake().ended;
        expect(code, text).toBe(1);
        expect(text).toContain("cuts every connection");
        expect(await leftovers()).toEqual([]);
    });

    it("says what the service does not do", async () => {
        const faults = [{ on: "action snapshot", error: "the hypervisor is away" }];
        await callApi(world, "PUT", faultsUrl, { faults });
        const run = bake();
        await powerOff();
        const { code, text } = await run.ended;
        expect(code, text).toBe(1);
        expect(text).toMatch(/error: DigitalOcean made no snapshot of droplet \d+: its action \d+ errored/);
        expect(await leftovers()).toEqual([]);
    });

    /** At which moment it is killed: what has to be there. */
    const moments: Record<string, () => Promise<boolean>> = {
        "its firewall is made": async () => (await list("firewalls")).length > 0,
        "it is being set up": async () => (await builders()).some(({ status }) => status === "active"),
        "it is off, and a snapshot is made": async () => {
            if ((await builders()).some(({ status }) => status === "active")) await powerOff();
            return (await builders()).some(({ status }) => status === "off");
        },
    };
    it.each(Object.entries(moments))(
        "leaves nothing that the doctor does not find when it is killed as %s",
        async (_moment, reached) => {
            const before = await images();
            // So that the moments are apart.
            const faults = [
                { on: "POST /v2/firewalls", delaySeconds: 1 },
                { on: "POST /v2/droplets", delaySeconds: 1 },
                { on: "action create", delaySeconds: 1 },
                { on: "action snapshot", delaySeconds: 3 },
            ];
            await callApi(world, "PUT", faultsUrl, { faults });
            const run = bake();
            await until("the moment", async () => ((await reached()) ? true : undefined));
            process.kill(run.pid, "SIGKILL");
            await run.ended;
            await sleep(1500);
            await callApi(world, "PUT", faultsUrl, { faults: [] });
            const left = await leftovers();
            expect(left.length).toBeGreaterThan(0);

            const sure = await world.tool("doctor", ["test", "--yes", "--killed"]);
            expect(sure.code, sure.text).toBe(0);
            expect(await leftovers()).toEqual([]);
            // What the service had been asked for it makes all the same, of a disk that was ready: an image as any other.
            const more = (await images()).filter(({ id }) => !before.some((one) => one.id === id));
            expect(more.length).toBeLessThanOrEqual(1);
            for (const { name } of more) expect(readBakedImage(name)).toBeDefined();
        },
    );
});
