import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { admissionFirewall, admissionName } from "../../tools/live/admission";
import { callApi } from "../faults.mts";
import { makeWorld, type World } from "../world.mts";

/** The command against the real API, without machines; test/e2e/pipeline.test.ts has the packets. */
describe("admitting a pipeline's machine", () => {
    let world: World;
    /** Tells whoever asks their address; what it answers is set by each test. */
    let service: Server;
    let answer: string;
    let addressUrl: string;
    /** Id of the first admission. */
    let first: string;
    beforeAll(async () => {
        world = await makeWorld("loopback");
        service = createServer((_request, response) => response.end(answer));
        await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
        addressUrl = `http://127.0.0.1:${(service.address() as AddressInfo).port}/ip`;
    });
    afterAll(async () => {
        service.close();
        await world.close();
    });

    const admit = (...args: string[]) => world.tool("admit", ["test", ...args]);
    async function admissions(): Promise<string[]> {
        const { firewalls } = (await world.api("firewalls")) as { firewalls: { name: string }[] };
        return firewalls.map(({ name }) => name).filter((name) => name.includes("-admit-"));
    }
    const nameOf = async (id: string) =>
        ((await world.api(`firewalls/${id}`)) as { firewall: { name: string } }).firewall.name;
    /** As a run leaves it that was killed. */
    async function leaveBehind(until: Date): Promise<string> {
        const run = randomBytes(4).toString("hex");
        const name = admissionName("dropscale-test", { address: "203.0.113.9", until }, run);
        const body = admissionFirewall(name, "203.0.113.9", "dropscale-test-load-balancer");
        await callApi(world, "POST", "/v2/firewalls", body);
        return name;
    }
    const anHour = 3_600_000;

    it("makes a firewall where there is no load balancer yet, and says what the program must know", async () => {
        answer = "203.0.113.7\n";
        const { code, stdout, text } = await admit("--address-url", addressUrl, "--minutes", "30");
        expect(code, text).toBe(0);
        const { firewalls } = (await world.api("firewalls")) as { firewalls: { id: string }[] };
        first = firewalls[0]?.id ?? "";
        expect(stdout).toBe(`DROPSCALE_ADMITTED=203.0.113.7/32\nDROPSCALE_ADMISSION=${first}\n`);
        expect(firewalls).toMatchObject([
            {
                name: expect.stringMatching(
                    /^dropscale-test-admit-203\.0\.113\.7-until-\d{8}T\d{6}Z-[0-9a-f]{8}$/,
                ) as string,
                tags: ["dropscale-test-load-balancer"],
                inbound_rules: [{ protocol: "tcp", ports: "22", sources: { addresses: ["203.0.113.7/32"] } }],
                outbound_rules: [],
            },
        ]);
    });

    it("is in nobody's way: the doctor leaves it, and the tag is taken over by the first `up`", async () => {
        const doctor = await world.tool("doctor", ["test"]);
        expect(doctor.code, doctor.text).toBe(0);
        const machines = ["--exclude", "**Droplet::**", "--exclude-dependents"];
        const up = await world.pulumi(["up", "--yes", "--skip-preview", ...machines]);
        expect(up.code, up.text).toBe(0);
        expect(up.text).toMatch(/Tag network-load-balancer created/);
        expect(await admissions()).toHaveLength(1);
    });

    const remove = (id: string) => world.tool("admit", ["test", "--remove"], { DROPSCALE_ADMISSION: id });

    it("is taken away, and no other one of the same address with it", async () => {
        answer = "203.0.113.7\n";
        const second = await admit("--address-url", addressUrl);
        expect(second.code, second.text).toBe(0);
        expect(await admissions()).toHaveLength(2);
        const gone = await remove(first);
        expect(gone.code, gone.text).toBe(0);
        const [, id = ""] = /^DROPSCALE_ADMISSION=(.*)$/m.exec(second.stdout) ?? [];
        expect(await admissions()).toEqual([await nameOf(id)]);
        expect((await remove(id)).code).toBe(0);
        expect(await admissions()).toEqual([]);
        const again = await remove(id);
        expect(again.code, again.text).toBe(0);
        expect(again.text).toContain(`${id} is gone already`);
    });

    it("takes away nothing but an admission of this stack", async () => {
        const all = (await world.api("firewalls")).firewalls as { id: string; name: string }[];
        const own = all.find(({ name }) => name === "dropscale-test-backend");
        expect(own).toBeDefined();
        for (const [id, found] of [
            ["", "is not set: it should be what admit printed"],
            ["../droplets/1", "is ../droplets/1: it should be"],
            [own?.id ?? "", `is ${own?.id ?? ""}, the firewall dropscale-test-backend: it should be`],
        ] as const) {
            const { code, text } = await remove(id);
            expect(code, text).toBe(1);
            expect(text).toContain(`error: DROPSCALE_ADMISSION of the environment ${found}`);
        }
        expect((await world.api("firewalls")).firewalls).toEqual(all);
    });

    it("is swept when its time is over, by the doctor too", async () => {
        const live = await leaveBehind(new Date(Date.now() + anHour));
        await leaveBehind(new Date(Date.now() - anHour));
        expect((await admit("--sweep")).code).toBe(0);
        expect(await admissions()).toEqual([live]);
        const expired = await leaveBehind(new Date(Date.now() - anHour));
        const asked = await world.tool("doctor", ["test"]);
        expect(asked.text).toContain(`delete  firewall  ${expired}`);
        expect((await world.tool("doctor", ["test", "--yes"])).code).toBe(0);
        expect(await admissions()).toEqual([live]);
    });

    it.each([
        [
            ["test", "--address-url", "URL"],
            /^error: \S+ should answer with an IPv4 address, got <html>.*--address-url/,
        ],
        [
            ["test", "--address-url", "http://127.0.0.1:1"],
            /^error: http:\/\/127\.0\.0\.1:1 does not tell this machine's address: .*ECONNREFUSED/,
        ],
        [
            ["test", "--address", "2001:db8::1"],
            /^error: option '--address <ipv4>' argument '2001:db8::1' is invalid\. It should be an IPv4 address/,
        ],
        [
            ["test", "--minutes", "0"],
            /^error: option '--minutes <number>' argument '0' is invalid\. It should be a whole number from 1 to 9999/,
        ],
        [["test", "--sweep", "--remove"], /^error: option '--remove' cannot be used with option '--sweep'/],
        [[], /^error: missing required argument 'stack'\n.*Usage: npm run dropscale -- admit /s],
        [["nowhere", "--sweep"], /^error: no stack named 'nowhere' found/],
    ])("refuses %j, and says what is allowed", async (args, message) => {
        answer = "<html>";
        const before = await admissions();
        const { code, stdout, text } = await world.tool(
            "admit",
            args.map((word) => word.replace("URL", addressUrl)),
        );
        expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
        expect(text).toMatch(message);
        expect(await admissions()).toEqual(before);
    });
});
