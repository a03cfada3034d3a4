import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { expect, vi } from "vitest";
import { type Fault, faultsUrl } from "../sandbox/api/faults.ts";
import { Cgroups } from "../sandbox/droplets/cgroups.ts";
import { runOverSsh } from "../tools/live/ssh.ts";
import { serversAnswering } from "./e2e/client.ts";
import { disagreements } from "./kills.mts";
import type { World } from "./world.mts";

/** Any request to the sandbox's API; `path` begins with /v2 or is another one of its own. */
export async function callApi(world: World, method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(new URL(path, world.sandbox.url), {
        method,
        headers: { authorization: `Bearer ${world.sandbox.token}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
}

/** Sets these faults, runs `work`, and takes them away. Fails for a fault that never came: it would prove nothing. */
export async function withFaults<T>(world: World, faults: Fault[], work: () => Promise<T>): Promise<T> {
    await callApi(world, "PUT", faultsUrl, { faults });
    try {
        const result = await work();
        const shown = (await callApi(world, "GET", faultsUrl)) as { faults: (Fault & { seen: number })[] };
        const unused = shown.faults.filter(({ seen, skip = 0, times = 1 }) => seen < skip + times);
        if (unused.length > 0) throw new Error(`these faults did not happen: ${JSON.stringify(unused)}`);
        return result;
    } finally {
        await callApi(world, "PUT", faultsUrl, { faults: [] });
    }
}

/** Runs a shell command as root on the load balancer, as the program does; what it printed. */
export async function onLoadBalancer(world: World, command: string): Promise<string> {
    const { loadBalancerIp, deployKey, hostKey } = await world.outputs();
    return runOverSsh(command, { host: loadBalancerIp, privateKey: deployKey, hostKey });
}

/** An `up` with a new setting of HAProxy meets a load balancer whose SSH refuses, for so long after the first try. */
export async function upWhileSshRefuses(world: World, seconds: number): Promise<void> {
    const { id } = await dropletNamed(world, "load-balancer");
    await inDroplet(world, id, "systemctl stop ssh");
    await world.configure({ drainSeconds: 70 });
    const run = world.startPulumi(["up", "--yes", "--skip-preview"]);
    try {
        await vi.waitFor(
            () => {
                expect(run.printed()).toMatch(/Dial \d+\/70 failed: retrying/);
            },
            { timeout: 120_000, interval: 500 },
        );
        await sleep(seconds * 1000);
    } finally {
        await inDroplet(world, id, "systemctl start ssh");
    }
    const { code, text } = await run.ended;
    expect(code, text).toBe(0);
    expect(await onLoadBalancer(world, "cat /etc/haproxy/haproxy.cfg")).toContain("hard-stop-after 70s");
}

/** Runs a shell command as root in a droplet, without the network: its firewall lets nobody in. */
export async function inDroplet(
    world: World,
    dropletId: number,
    command: string,
    input = "",
): Promise<string> {
    const pid = await new Cgroups(world.instance.id).initPid(dropletId);
    if (pid === undefined) throw new Error(`droplet ${dropletId} does not run`);
    const running = promisify(execFile)("nsenter", ["--target", String(pid), "--all", "sh", "-c", command]);
    running.child.stdin?.on("error", () => undefined); // it may end without reading
    running.child.stdin?.end(input);
    return (await running).stdout;
}

/** The one droplet of a name in state: `web-0`, `load-balancer`. */
export async function dropletNamed(world: World, name: string): Promise<{ id: number; name: string }> {
    const { droplets } = (await world.api("droplets?per_page=200")) as {
        droplets: { id: number; name: string }[];
    };
    const [found, ...more] = droplets.filter((droplet) => droplet.name.replace(/-[0-9a-f]{7}$/, "") === name);
    if (!found || more.length > 0) throw new Error(`there should be one droplet ${name}`);
    return found;
}

/** These servers answer, in the end; state and account have them, the load balancer, and nothing else. */
export async function expectConverged(world: World, url: string, servers: string[]): Promise<void> {
    await vi.waitFor(
        async () => {
            expect(await serversAnswering(url, servers.length)).toEqual(servers);
        },
        {
            timeout: 60_000,
            interval: 500,
        },
    );
    expect(await disagreements(world)).toEqual([]);
    expect((await world.api("droplets")).meta).toEqual({ total: servers.length + 1 });
}
