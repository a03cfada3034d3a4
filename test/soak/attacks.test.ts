import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify, stripVTControlCharacters } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureHostPackages } from "../../sandbox/host.ts";
import { generationIn } from "../../components/haproxy/render";
import { uplinkOf } from "../../sandbox/region/names.ts";
import { dropletNamed, inDroplet } from "../faults.mts";
import { Attack, type Method, SecondClient } from "../host/haproxy-host/attackers";
import { makeWorld, upEndsWell, type World } from "../world.mts";

const run = promisify(execFile);

/** Attacks on a load balancer of the default size (1 CPU, 1 GiB that it can't exceed), from one address. */
describe("the load balancer under attack", () => {
    let world: World;
    let made: World | undefined;
    let host: string;
    let loadBalancer: number;
    let otherAddress: string;
    const table: string[] = [];

    beforeAll(async () => {
        await ensureHostPackages({
            log: console.error,
            needs: { slowhttptest: "slowhttptest", wrk: "wrk" },
        });
        world = made = await makeWorld("nspawn", { replicas: 3 });
        await upEndsWell(world);
        host = (await world.outputs()).loadBalancerIp;
        loadBalancer = (await dropletNamed(world, "load-balancer")).id;
        // A second one of the addresses that play the Internet; it goes with the sandbox's interface.
        otherAddress = world.instance.addresses.uplinkHost.replace(/\.1$/, ".2");
        await run("ip", ["addr", "add", `${otherAddress}/24`, "dev", uplinkOf(world.instance)]);
        // Longer than the buffers between server and client.
        for (const name of ["web-0", "web-1", "web-2"])
            await inDroplet(
                world,
                (await dropletNamed(world, name)).id,
                "head -c 8000000 /dev/zero >/var/www/app/large",
            );
    });
    afterAll(async () => {
        const title = "attack | said of itself | second client | failed | slowest | HAProxy";
        console.log([title, ...table].join("\n"));
        await made?.close();
    });

    /** Memory of HAProxy's processes, in MiB. */
    const haproxyMiB = async (): Promise<number> => {
        const sizes = await inDroplet(world, loadBalancer, "ps -o rss= -C haproxy");
        return sizes.split(/\s+/).reduce((sum, kib) => sum + Number(kib), 0) / 1024;
    };

    /** Runs the attack; nobody else may notice it, and HAProxy's processes are the same before and after. */
    const besides = async (name: string, attack: () => Promise<string>): Promise<string> => {
        const processes = await inDroplet(world, loadBalancer, "pidof haproxy");
        let most = 0;
        const other = new SecondClient({ host, from: otherAddress });
        const looks = setInterval(() => {
            void haproxyMiB().then((now) => (most = Math.max(most, now)));
        }, 1000);
        const said = await attack();
        clearInterval(looks);
        const { requests, failures, slowestMs } = await other.stop();
        const row = [name, said, requests, failures.length, `${Math.round(slowestMs)} ms`];
        table.push([...row, `${Math.round(most)} MiB`].join(" | "));
        expect(failures).toEqual([]);
        expect(requests).toBeGreaterThan(100);
        expect(await inDroplet(world, loadBalancer, "pidof haproxy")).toBe(processes);
        return said;
    };

    const hold = async (method: Method, seconds: number): Promise<string> => {
        const attack = new Attack({ host, from: world.instance.addresses.uplinkHost }, method);
        await sleep(seconds * 1000);
        const { opened, most, answers, unanswered } = attack.stop();
        return `${opened} opened, at most ${most} at a time; answers ${JSON.stringify(answers)}, ${unanswered} closed`;
    };
    const slowly = async (...options: string[]): Promise<string> => {
        const { stdout } = await run("slowhttptest", [...options, "-l", "40"], { maxBuffer: 2 ** 26 });
        const last = stripVTControlCharacters(stdout).split("slow HTTP test status").at(-1) ?? "";
        const states = [...last.matchAll(/^(pending|connected|error|closed): +(\d+)/gm)];
        return states.map(([, state, count]) => `${count} ${state}`).join(", ");
    };
    const wrk = async (...options: string[]): Promise<string> => {
        const { stdout } = await run("wrk", ["-t1", "-d30s", "--timeout", "10s", ...options]);
        const refused = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? "0";
        return `${/(\d+) requests in/.exec(stdout)?.[1]} requests, ${refused} refused`;
    };

    it("nothing", async () => {
        await besides("none", async () => {
            await sleep(10_000);
            return "";
        });
    });

    it("10,000 connections that say nothing", async () => {
        const said = await besides("10,000 idle connections", () => hold({ connections: 10_000 }, 60));
        expect(Number(/^\d+/.exec(said)?.[0])).toBeGreaterThan(10_000);
    });

    it("10,000 connections with half a header", async () => {
        const first = `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(8000)}`;
        const said = await besides("10,000 half headers", () =>
            hold({ connections: 10_000, first, drip: "x" }, 60),
        );
        expect(said).toMatch(/"408":\d/);
    });

    it("slow headers", async () => {
        const options = ["-H", "-c3000", "-r500", "-i5"];
        const said = await besides("slow headers", () => slowly(...options, `-uhttp://${host}/`));
        expect(said).toMatch(/\d{3,} closed/);
    });

    it("slow bodies", async () => {
        const options = ["-B", "-s8192", "-c3000", "-r500", "-i5"];
        const said = await besides("slow bodies", () => slowly(...options, `-uhttp://${host}/`));
        expect(said).toMatch(/\d{3,} closed/);
    });

    it("long slow bodies", async () => {
        const length = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
        const first = length + "x".repeat(40_000);
        const said = await besides("long slow bodies", () =>
            hold({ connections: 2000, first, drip: "x" }, 40),
        );
        // nginx takes no POST; who has many connections is told before.
        expect(said).toMatch(/"405":\d+,"429":\d/);
    });

    it("slow reads", async () => {
        const options = ["-X", "-c3000", "-r500", "-w10", "-y20", "-n5", "-z5"];
        const said = await besides("slow reads", () => slowly(...options, `-uhttp://${host}/large`));
        expect(said).toMatch(/\d{3,} connected/);
    });

    it("floods", async () => {
        const kept = await besides("flood, 500 connections", () => wrk("-c500", `http://${host}/`));
        expect(kept).toMatch(/^\d{4,} requests/);
        const fresh = await besides("flood, 500 new connections", () =>
            wrk("-c500", "-H", "Connection: close", `http://${host}/`),
        );
        expect(fresh).toMatch(/^\d{4,} requests/);
    });

    it("and goes on: the next `up` changes what it is told to", async () => {
        await world.configure({ drainSeconds: 80 });
        const visitor = new SecondClient({ host, from: otherAddress });
        await upEndsWell(world);
        expect((await visitor.stop()).failures).toEqual([]);
        const show = "echo 'show info' | socat /run/haproxy/admin.sock - | grep '^description'";
        const written = await inDroplet(world, loadBalancer, "cat /etc/haproxy/haproxy.cfg");
        expect(written).toContain("hard-stop-after 80s");
        expect(await inDroplet(world, loadBalancer, show)).toContain(generationIn(written));
    });
});
