import { stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Damage, Method } from "./haproxy-host/attackers";
import { Host, configFor, requireTools, type Town } from "./haproxy-host/host";

const [a, b] = ["127.0.1.1", "127.0.1.2"];

/** With two servers there are 400 slots, and 360 until who is greedy gets no more. */
describe("a second client is served while another one", () => {
    let host: Host;
    // In processes of their own: the attack slows down nothing but HAProxy.
    let attacker: Town;
    let other: Town;

    beforeAll(async () => {
        requireTools("slowhttptest", "wrk");
        host = await Host.start();
        [attacker, other] = [await host.newTown(), await host.newTown()];
        for (const address of [a, b]) await host.call("serve", address);
        expect(await host.apply(configFor({ 0: a, 1: b }))).toMatchObject({ code: 0 });
    });
    afterAll(() => host.stop());

    /** What the attack says of itself, after nobody else has noticed it. */
    const besides = async <T>(attack: () => Promise<T>): Promise<T> => {
        await other.call("startSecondClient");
        const said = await attack();
        const service = await other.call("endSecondClient");
        expect(service?.failures).toEqual([]);
        expect(service?.requests).toBeGreaterThan(50);
        return said;
    };
    /** Goes on for some seconds, and until it has opened so many. */
    const hold = (method: Method, seconds: number, opened: number): Promise<Damage | undefined> =>
        besides(async () => {
            await attacker.call("startAttack", method);
            do await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
            while ((await attacker.call("attackOpened")) < opened);
            return attacker.call("endAttack");
        });
    const runs = (command: string): Promise<string> =>
        besides(async () => stripVTControlCharacters((await host.run(command)).stdout));
    /** How many connections slowhttptest says are open, and were closed, in the end. */
    const slowly = async (options: string): Promise<{ connected: number; closed: number }> => {
        const said = await runs(`slowhttptest ${options} -i 1 -l 7`);
        const last = (what: string): number =>
            Number([...said.matchAll(new RegExp(`${what}: +(\\d+)`, "g"))].at(-1)?.[1]);
        return { connected: last("connected"), closed: last("closed") };
    };
    /** The most requests that the servers had at the same time, since the last call. */
    const mostAtServers = async (): Promise<number> => {
        const { stdout } = await host.run(
            "echo 'show stat' | socat - /run/haproxy/admin.sock | awk -F, '/^[a-z]+,web/ { sum += $6 } END { print sum }'; " +
                "echo 'clear counters all' | socat - /run/haproxy/admin.sock",
        );
        return Number(stdout);
    };

    test("opens 10,000 connections and says nothing", async () => {
        const damage = await hold({ connections: 10_000 }, 6, 10_000);
        expect(damage?.most).toBeGreaterThan(3000);
        expect(damage?.answers).toEqual({});
    });

    test("sends headers slowly", async () => {
        await mostAtServers();
        const { connected, closed } = await slowly("-H -c 2000 -r 2000 -u http://127.0.0.1/");
        expect(connected + closed).toBeGreaterThan(500);
        expect(await mostAtServers()).toBeLessThan(20);
    });

    test("sends bodies slowly", async () => {
        expect(await slowly("-B -s 8192 -c 1000 -r 1000 -u http://127.0.0.1/")).toEqual({
            connected: 1000,
            closed: 0,
        });
        expect(await mostAtServers()).toBeLessThan(20);
    });

    test("sends long bodies, first at once and then slowly", async () => {
        const length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        const damage = await hold(
            { connections: 1000, first: length + "x".repeat(40_000), drip: "x", once: true },
            6,
            1000,
        );
        expect(await mostAtServers()).toBeGreaterThan(300);
        expect(damage?.answers).toEqual({ 429: expect.any(Number) as number });
    });

    test("reads long answers slowly", async () => {
        await slowly("-X -c 1000 -r 1000 -w 10 -y 20 -n 1 -z 5 -u http://127.0.0.1/?large");
        expect(await mostAtServers()).toBeGreaterThan(300);
    });

    test("asks for what takes the servers long", async () => {
        const said = await runs("wrk -t1 -c600 -d6s --timeout 8s 'http://127.0.0.1/?ms=3000'");
        expect(said).toMatch(/Non-2xx or 3xx responses: \d/);
        expect(await mostAtServers()).toBeGreaterThan(300);
    });

    test("asks as fast as it can, over 500 connections", async () => {
        const said = await runs("wrk -t1 -c500 -d5s http://127.0.0.1/");
        expect(Number(/(\d+) requests in/.exec(said)?.[1])).toBeGreaterThan(1000);
    });

    test("and HAProxy is the same that it was", async () => {
        expect(await host.generation()).toMatch(/^\w{16}$/);
        const { stdout } = await host.run("echo 'show proc' | socat - /run/haproxy-master.sock");
        expect(stdout).toMatch(/^\d+ +worker +0 /m);
    });
});
