import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stateBackend } from "../sandbox/stack.ts";
import { Visitors } from "./e2e/client.ts";
import { type Outcome, type Stack, up as runUp, type World } from "./world.mts";

/** A change of config that a run applies when it is killed. */
export interface Change {
    name: string;
    config: Record<string, unknown>;
    /** The reserved IP may move: each visitor may lose the one request that is under way. */
    movesAddress?: boolean;
}

/** When to kill. */
export interface Moment {
    /** For people. */
    name: string;
    /** Asked again and again until it is so. */
    reached: () => boolean;
}

/** One run that was killed, and what came after it. */
export interface Kill {
    change: string;
    moment: string;
    /** Seconds from the start of `up` to the kill. */
    afterSeconds: number;
    /** Whether the run lived until then; otherwise the moment never came. */
    killed: boolean;
    /**
     * What the account and the state did not agree about when the run was dead, as {@link disagreements} says it; or
     * {@link unreadableState}.
     */
    found: string[];
    /** What the doctor said. */
    doctor: string;
    doctorSeconds: number;
    /** Last lines of the next `up`: what it made, changed and deleted. */
    nextUp: string;
    nextUpSeconds: number;
    /** What does not hold after all that; empty is the only good one. */
    problems: string[];
    requests: number;
    failures: string[];
}

/** What `pulumi` says where it was killed while it wrote a file of its state: only the doctor leads out of it. */
export const unreadableState = "error: failed to load checkpoint: EOF";

/** Resources of a kind that the account has, by the same ids as in the engine's state. */
const accountLists = [
    { type: "digitalocean:index/droplet:Droplet", path: "droplets", key: "droplets", id: "id" },
    { type: "digitalocean:index/firewall:Firewall", path: "firewalls", key: "firewalls", id: "id" },
    { type: "digitalocean:index/sshKey:SshKey", path: "account/keys", key: "ssh_keys", id: "id" },
    { type: "digitalocean:index/reservedIp:ReservedIp", path: "reserved_ips", key: "reserved_ips", id: "ip" },
    { type: "digitalocean:index/vpc:Vpc", path: "vpcs", key: "vpcs", id: "id" },
    { type: "digitalocean:index/tag:Tag", path: "tags", key: "tags", id: "name" },
] as const;

/** The engine's state; its secrets stay in this process. */
export async function readState({
    pulumi,
}: Pick<Stack, "pulumi">): Promise<{ resources: { type: string; id?: string }[]; pending: string[] }> {
    const { code, stdout, text } = await pulumi(["stack", "export"]);
    if (code !== 0) throw new Error(text);
    const { deployment } = JSON.parse(stdout) as {
        deployment: {
            resources?: { type: string; id?: string }[];
            pending_operations?: { resource: { urn: string }; type: string }[];
        };
    };
    return {
        resources: deployment.resources ?? [],
        pending: (deployment.pending_operations ?? []).map(
            ({ type, resource }) => `${type} ${resource.urn.split("::").at(-1) ?? ""}`,
        ),
    };
}

/** What the account and the state do not agree about: `droplets 10003 (web-3-1a2b3c4) is not in state`. */
export async function disagreements(world: World): Promise<string[]> {
    const { resources, pending } = await readState(world);
    const found = pending.map((operation) => `pending: ${operation}`);
    for (const { type, path: resource, key, id } of accountLists) {
        const known = new Set(resources.filter((item) => item.type === type).map((item) => item.id));
        const listed = (await world.api(`${resource}?per_page=200`))[key] as Record<
            string,
            string | number | undefined
        >[];
        const there = new Map(listed.map((item) => [String(item[id]), item]));
        for (const [name, item] of there)
            if (!known.has(name)) found.push(`${key} ${name} (${item.name ?? "-"}) is not in state`);
        for (const name of known)
            if (name === undefined || !there.has(name)) found.push(`${key} ${String(name)} is gone`);
    }
    return found;
}

/** So many seconds after the start of `up`, or after another moment. */
export function after(seconds: number, event?: Moment): Moment {
    let since: number | undefined;
    return {
        name: `${seconds.toFixed(1)} s ${event ? `after ${event.name}` : "after the start"}`,
        reached: () => {
            if (since === undefined && (!event || event.reached())) since = Date.now();
            return since !== undefined && Date.now() >= since + seconds * 1000;
        },
    };
}

/** As soon as the account has more droplets: the engine does not know the new one's id yet. */
export function dropletCreated(world: World): Moment {
    const before = lookAside(world).droplets.length;
    return {
        name: "the first droplet is being made",
        reached: () => lookAside(world).droplets.length > before,
    };
}

/** As soon as the account has fewer droplets than it had at most. */
export function dropletDeleted(world: World): Moment {
    let most = 0;
    return {
        name: "the first droplet is being deleted",
        reached: () => {
            const count = lookAside(world).droplets.length;
            most = Math.max(most, count);
            return count < most;
        },
    };
}

/** As soon as the reserved IP points at another droplet. */
export function addressMoved(world: World): Moment {
    const holder = () => lookAside(world).reservedIps[0]?.dropletId;
    const before = holder();
    return { name: "the reserved IP has moved", reached: () => holder() !== before };
}

/** How many droplets the API lists. */
export async function dropletCount(world: World): Promise<number> {
    return ((await world.api("droplets?per_page=200")).droplets as unknown[]).length;
}

interface Account {
    droplets: unknown[];
    reservedIps: { dropletId: number | null }[];
}

/** The account as the sandbox has it on disk: asking the API again and again would use up the run's own allowance. */
function lookAside({ instance }: World): Account {
    return JSON.parse(readFileSync(path.join(instance.stateDir, "cloud.json"), "utf8")) as Account;
}

/**
 * Starts `up` with a change, kills it with SIGKILL at a moment, runs the doctor and the next `up`, and looks whether
 * account, state and config agree again. Somebody visits the site all the time, if there is one.
 *
 * @param url The site's; `undefined` before the first `up`.
 */
export async function killDuring(
    world: World,
    change: Change,
    moment: Moment,
    url: string | undefined,
): Promise<Kill> {
    await world.configure(change.config);
    const visitors = url === undefined ? undefined : new Visitors(url);
    const start = Date.now();
    const run = world.startPulumi(["up", "--yes", "--skip-preview"]);
    const over = new AbortController();
    void run.ended.then(() => {
        over.abort();
    });
    while (!over.signal.aborted && !moment.reached()) await sleep(20);
    const killed = !over.signal.aborted;
    if (killed) process.kill(run.pid, "SIGKILL");
    const afterSeconds = (Date.now() - start) / 1000;
    await run.ended;

    const found = await disagreements(world).catch((error: unknown) => [(error as Error).message]);
    const doctor = await timed(() => runDoctor(world));
    const up = await timed(() => runUp(world));
    await visitors?.stop();

    const problems = await disagreements(world);
    if (doctor.result.code !== 0) problems.push(`doctor: exit ${doctor.result.code}`);
    if (up.result.code !== 0) problems.push(`next up: ${up.result.text}`);
    if ((await locks(world)).length > 0) problems.push("the stack is locked");
    const again = await world.pulumi(["preview", "--expect-no-changes"]);
    if (again.code !== 0) problems.push(`a preview after it still shows changes: ${again.text}`);
    const failures = visitors?.failures ?? [];
    if (failures.length > (change.movesAddress ? Visitors.clients : 0))
        problems.push(`visitors lost ${failures.length}: ${failures.slice(0, 3).join("; ")}`);
    return {
        change: change.name,
        moment: moment.name,
        afterSeconds,
        killed,
        found,
        doctor: doctor.result.text,
        doctorSeconds: doctor.seconds,
        nextUp: summaryOf(up.result.text),
        nextUpSeconds: up.seconds,
        problems,
        requests: visitors?.requests ?? 0,
        failures,
    };
}

/** `doctor --yes --killed`: clears what the killed run left, of which nothing is an hour old. */
function runDoctor(world: World): Promise<Outcome> {
    return world.tool("doctor", ["test", "--yes", "--killed"]);
}

async function locks(world: World): Promise<string[]> {
    const folder = path.join(stateBackend(world.instance), ".pulumi/locks/organization/dropscale/test");
    return readdir(folder).catch(() => []);
}

/** `2 created, 1 deleted, 20 unchanged` of what `pulumi up` says at its end. */
function summaryOf(text: string): string {
    const counts = /Resources:\n((?: +.*\n)+)/.exec(text)?.[1] ?? "";
    return counts.trim().replace(/\s*\n\s*/g, ", ");
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; seconds: number }> {
    const start = Date.now();
    const result = await work();
    return { result, seconds: (Date.now() - start) / 1000 };
}
