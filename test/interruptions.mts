import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { vi } from "vitest";
import { Cgroups } from "../sandbox/droplets/cgroups.ts";
import { parseServersState } from "../tools/live/haproxy.ts";
import type { Plan } from "../tools/plan/model.ts";
import { get, Visitors } from "./e2e/client.ts";
import { slowerPath } from "./e2e/site.ts";
import { dropletNamed, inDroplet, onLoadBalancer, withFaults } from "./faults.mts";
import { disagreements, dropletDeleted, unreadableState } from "./kills.mts";
import { type Running, up, upEndsWell, type World } from "./world.mts";

/** When a run ends: while haproxy.cfg is staged, … or when the first droplet is being deleted. */
export const moments = [
    "staging",
    "before the reload",
    "after the reload",
    "in the drain",
    "deleting",
] as const;
export type Moment = (typeof moments)[number];

/** How: SIGKILL for `pulumi`, or what it talks to is gone (SSH to the load balancer; the API, for a delete). */
export const ends = ["kill", "cut"] as const;
export type End = (typeof ends)[number];

/** What config the next run has: the interrupted one's, the one before it, or another one. */
export const nexts = ["same", "old", "third"] as const;
export type Next = (typeof nexts)[number];

/** One run that ends in the middle, and the next one. */
export interface Interruption {
    end: End;
    moment: Moment;
    next: Next;
}

interface Config {
    replicas: number;
    retired: number[];
}

const two = { replicas: 2, retired: [] };
const four = { replicas: 4, retired: [] };
const servers = (config: Config): string[] =>
    Array.from({ length: 4 }, (_, slot) => slot)
        .filter((slot) => !config.retired.includes(slot))
        .slice(0, config.replicas)
        .map((slot) => `web-${slot}`);

/** Where a command on the load balancer waits for a lock that the test holds. */
const held: Partial<Record<Moment, { lock: string; waiting: string }>> = {
    staging: { lock: "/etc/haproxy/staged/lock", waiting: "haproxy-[0-9a-f]* stage" },
    "before the reload": { lock: "/run/dropscale-haproxy.lock", waiting: "haproxy-[0-9a-f]* apply" },
};

/**
 * Ends an `up` in the middle, runs the next one, and looks from outside.
 *
 * @param world A stack that serves, with serveSlowly's site.
 * @returns What does not hold; empty is the only good answer.
 */
export async function interrupt(world: World, { end, moment, next }: Interruption): Promise<string[]> {
    // Something is deleted only where servers leave.
    const [old, same] = moment === "deleting" ? [four, two] : [two, four];
    await world.configure(old);
    await upEndsWell(world);
    const { url, loadBalancerIp } = await world.outputs();
    const visitors = new Visitors(url);
    // Whenever the drain begins, one of them lasts for another 12 s.
    const long = [get(`${url}${slowerPath}`)];
    const asking = setInterval(() => long.push(get(`${url}${slowerPath}`)), 5000);

    await world.configure(same);
    const run = await runUntilItEnds(world, end, moment).finally(() => {
        clearInterval(asking);
    });
    const problems: string[] = [];
    if (run.code === 0) problems.push("the run ended well: nothing was interrupted");

    const config = { same, old, third: { replicas: 2, retired: [0] } }[next];
    await world.configure(config);
    if (end === "kill") await clear(world, moment);
    // Until staging has ended, the old config alone is on the host; when droplets are deleted, the new one has been applied.
    const runs: Partial<Record<Moment, Next>> = { staging: "old", deleting: "same" };
    const applies = runs[moment] !== next;
    problems.push(...(await judgePlan(world, config, applies)));
    const after = await up(world);
    if (after.code !== 0) problems.push(`next up: ${after.text}`);
    problems.push(...(await lookAt(world, config, loadBalancerIp)));
    await visitors.stop();
    if (visitors.failures.length > 0) problems.push(`visitors lost ${visitors.failures.join("; ")}`);
    for (const { status, error } of await Promise.all(long))
        if (status !== 200) problems.push(`a long request ended with ${error ?? status ?? 0}`);
    return problems;
}

/** How the run ended that was ended. */
async function runUntilItEnds(
    world: World,
    end: End,
    moment: Moment,
): Promise<{ code: number; text: string }> {
    if (moment === "deleting" && end === "cut") {
        // Of the two that leave, one: the provider asks five times before it gives a delete up.
        const { id } = await dropletNamed(world, "web-3");
        const faults = [{ on: `DELETE /v2/droplets/${id}`, times: 5, status: 500 as const }];
        return withFaults(world, faults, () => up(world));
    }
    const loadBalancer = await dropletNamed(world, "load-balancer");
    // It says what the last run was doing.
    await inDroplet(world, loadBalancer.id, "truncate --size 0 /run/dropscale-haproxy.lock");
    const hold = held[moment];
    const release = hold ? await holdLock(world, loadBalancer.id, hold.lock) : undefined;
    const deleted = moment === "deleting" ? dropletDeleted(world) : undefined;
    const run = world.startPulumi(["up", "--yes", "--skip-preview"]);
    const over = new AbortController();
    void run.ended.then(() => {
        over.abort();
    });
    const asks = hold
        ? `pgrep -f '${hold.waiting}'`
        : "grep 'waiting for old workers' /run/dropscale-haproxy.lock";
    const reached = async () =>
        deleted ? deleted.reached() : inDroplet(world, loadBalancer.id, asks).then(Boolean, () => false);
    while (!over.signal.aborted && !(await reached())) await sleep(20);
    if (moment === "in the drain") await sleep(1500);
    await endNow(world, run, end, loadBalancer.id);
    await release?.();
    return run.ended;
}

async function endNow(world: World, run: Running, end: End, loadBalancerId: number): Promise<void> {
    if (end === "kill") process.kill(run.pid, "SIGKILL");
    // The processes that sshd has for a connection; the command that runs in it goes on.
    else await inDroplet(world, loadBalancerId, "pkill -KILL -f '^sshd: root'");
    await run.ended;
}

/** Takes a lock in a droplet, as another run would have it. */
async function holdLock(world: World, dropletId: number, lock: string): Promise<() => Promise<void>> {
    const pid = await new Cgroups(world.instance.id).initPid(dropletId);
    const held = execFile("nsenter", ["--target", String(pid), "--all", "flock", lock, "sleep", "300"]);
    await vi.waitFor(() => inDroplet(world, dropletId, `! flock --nonblock ${lock} true`), {
        timeout: 10_000,
    });
    return async () => {
        await inDroplet(world, dropletId, "pkill -f '^sleep 300$'");
        held.kill();
    };
}

/** What a killed run leaves: its lock; for droplets whose deletion it had begun, docs/operations.md says `make doctor`. */
async function clear(world: World, moment: Moment): Promise<void> {
    const { text: state } = await world.pulumi(["stack", "export"]);
    const { code, text } =
        moment === "deleting" || state.startsWith(unreadableState)
            ? await world.tool("doctor", ["test", "--yes", "--killed"])
            : await world.pulumi(["cancel", "--yes"]);
    if (code !== 0) throw new Error(text);
}

/** Before the next run: the plan names the servers that will be, applies haproxy.cfg where it has to, and loses nothing. */
async function judgePlan(world: World, config: Config, applies: boolean): Promise<string[]> {
    const { stdout, text } = await world.tool("plan", ["test", "--json", "-", "--quiet"]);
    if (!stdout.startsWith("{")) return [`plan: ${text}`];
    const plan = JSON.parse(stdout) as Plan;
    const problems: string[] = [];
    const planned = plan.servers.list.filter(({ action }) => action !== "delete").map(({ name }) => name);
    if (String(planned) !== String(servers(config))) problems.push(`the plan names ${planned.join(", ")}`);
    if (plan.lostRequests.which !== "none")
        problems.push(`the plan loses requests: ${plan.lostRequests.why}`);
    if (applies && plan.changes && !plan.loadBalancer.haproxyRuns)
        problems.push("the plan does not apply haproxy.cfg");
    return problems;
}

/** What there is in the end: HAProxy's own word, the account, the state, and a preview agree with the config. */
async function lookAt(world: World, config: Config, loadBalancerIp: string): Promise<string[]> {
    const problems = await disagreements(world);
    const { servers: made } = await world.outputs();
    if (String(made.map(({ name }) => name)) !== String(servers(config)))
        problems.push(`the servers are ${made.map(({ name }) => name).join(", ")}`);
    const state = await onLoadBalancer(world, "echo 'show servers state' | socat - /run/haproxy/admin.sock");
    const [runs, should] = [parseServersState(state), made.map(({ privateIp }) => privateIp)];
    if (String(runs.sort()) !== String(should.sort()))
        problems.push(`HAProxy on ${loadBalancerIp} sends to ${runs.join(", ")}, not ${should.join(", ")}`);
    const again = await world.pulumi(["preview", "--expect-no-changes"]);
    if (again.code !== 0) problems.push(`a preview after it still shows changes: ${again.text}`);
    return problems;
}
