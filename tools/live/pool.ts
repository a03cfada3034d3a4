/**
 * The live pool: the droplets of a stack, as its state, the account and HAProxy have them. One module, so that every
 * command says the same of a droplet, in the same words.
 *
 * HAProxy's servers and droplets are paired by address: after an `up` that failed, the state has new droplets under the
 * names of those that still serve.
 */
import { commandNames, isAdminHost, isLoadBalancer, resourceOf, slotOf, types } from "../../lib/identity";
import { type LiveHaproxy, readHaproxy } from "./haproxy";
import type { ServerReading } from "./reading";
import type { Stack } from "../pulumi/stack";
import type { ListedDroplet } from "./account";
import { carriesTagOf } from "./ownership";
import { readOutputs } from "../pulumi/run";
import { stagedHaproxy, type StackState } from "../pulumi/state";

export interface LiveDroplet {
    /** In the state; of one that it does not know, in the account. */
    name: string;
    id: string;
    /** In the state; `undefined`: the state does not know it. */
    urn: string | undefined;
    /** The state has a successor of it: the next `up` that ends well deletes it. */
    leaves: boolean;
    isLoadBalancer: boolean;
    /** No part of what serves. */
    isAdminHost: boolean;
    /** Private, IPv4; empty: has none yet. */
    address: string;
    /** Likewise the public one. */
    publicAddress: string;
    /** Slug; `?` where nobody says. */
    size: string;
    /** In USD; `undefined`: not known, or it is gone. */
    monthlyCost: number | undefined;
    /** As the API says; `gone`: it has none of that id; `?`: it was not asked. */
    status: string;
    /** Requests may come to it; `undefined`: who could tell did not answer, so it may. Never to an admin host. */
    serves: boolean | undefined;
    haproxy: ServerReading | undefined;
}

/** Addresses to which requests come, of load balancers and of servers; or why that is not known. */
export type Serving = ReadonlySet<string> | Error;

export interface Live {
    /** Why it could not be asked; `undefined`: no run has ever applied a haproxy.cfg, so nothing serves. */
    haproxy: LiveHaproxy | Error | undefined;
    /** By name; of one name, what serves first. */
    droplets: LiveDroplet[];
}

/** Asks the load balancer, and pairs. */
export async function readLive(
    { name, prefix }: Pick<Stack, "name" | "prefix">,
    state: StackState,
    listed: ListedDroplet[] | Promise<ListedDroplet[]>,
): Promise<Live> {
    const ask = () => readOutputs(name).then(readHaproxy);
    const [all, haproxy] = await Promise.all([
        listed,
        hasServed(state) ? ask().catch((error: unknown) => error as Error) : undefined,
    ]);
    const ids = new Set([...state.resources, ...state.leftovers].map(({ id }) => id));
    const ours = all.filter((droplet) => ids.has(String(droplet.id)) || carriesTagOf(prefix, droplet));
    const servers = haproxy instanceof Error ? [] : (haproxy?.servers ?? []);
    return { haproxy, droplets: pair(state, ours, servingOf(haproxy), servers) };
}

function servingOf(haproxy: Live["haproxy"]): Serving {
    if (haproxy === undefined || haproxy instanceof Error) return haproxy ?? new Set();
    if (haproxy.servers === undefined) return new Error("HAProxy does not answer on the load balancer");
    return new Set([...haproxy.host, ...haproxy.servers.map(({ address }) => address), ...haproxy.draining]);
}

/** Whether a run has ever applied a haproxy.cfg to the end: only then the address leads to a load balancer. */
function hasServed({ resources }: StackState): boolean {
    const { applied } = commandNames();
    return resources.some(
        ({ type, name }) =>
            type === types.reservedIpAssignment || (type === types.remoteCommand && name === applied),
    );
}

/**
 * What serves as far as the state knows, without asking anybody: the servers of haproxy.cfg, and the load balancer to
 * which the address leads. Where a run ended before its haproxy.cfg was applied, the state does not know.
 */
export function servingByState(state: StackState): Serving {
    if (!hasServed(state)) return new Set();
    const staged = stagedHaproxy(state.resources);
    if (!staged?.applied) return new Error("a run ended before its haproxy.cfg was applied");
    const servers = [...staged.text.matchAll(/^ {4}server \S+ ([\d.]+):/gm)].map(
        ([, address = ""]) => address,
    );
    const all = [...state.resources, ...state.leftovers];
    const leadsTo = all.find(({ type }) => type === types.reservedIpAssignment)?.inputs?.dropletId;
    const front = all.find(({ type, id }) => type === types.droplet && id === String(leadsTo));
    const address = front?.outputs?.ipv4Address;
    return new Set([...servers, ...(typeof address === "string" ? [address] : [])]);
}

/**
 * The droplets of a state, and of an account.
 *
 * @param listed Those of the account; `undefined`: it was not asked.
 */
export function pair(
    state: Pick<StackState, "resources" | "leftovers">,
    listed: readonly ListedDroplet[] | undefined,
    serving: Serving,
    servers: readonly ServerReading[] = [],
): LiveDroplet[] {
    const there = new Map(listed?.map((droplet) => [String(droplet.id), droplet]));
    const known = [
        ...state.resources.map((resource) => ({ ...resource, leaves: false })),
        ...state.leftovers.map((leftover) => ({ ...leftover, leaves: true })),
    ].filter(({ type }) => type === types.droplet);
    const ids = new Set(known.map(({ id }) => id));
    const strangers = [...there.values()].filter(({ id }) => !ids.has(String(id)));
    const found = [
        ...known.map(({ urn, name, id = "", leaves, inputs, outputs }) => {
            const seen = there.get(id);
            const facts = seen ? factsOf(seen) : lastKnown({ ...inputs, ...outputs }, listed !== undefined);
            return { name, id, urn, leaves, ...facts };
        }),
        ...strangers.map((droplet) => {
            const { id, name } = droplet;
            return { name, id: String(id), urn: undefined, leaves: false, ...factsOf(droplet) };
        }),
    ].map((droplet) => ({
        ...droplet,
        isLoadBalancer: isLoadBalancer(named(droplet)),
        isAdminHost: isAdminHost(named(droplet)),
    }));

    const hasAnswered = ({ address, publicAddress }: Facts) =>
        !(serving instanceof Error) && (serving.has(publicAddress) || serving.has(address));
    // One that answers at the address is ours; if none is, nobody knows which of them does.
    const frontIsKnown = found.some((droplet) => droplet.isLoadBalancer && hasAnswered(droplet));
    const serves = (droplet: (typeof found)[number]): boolean | undefined => {
        if (droplet.isAdminHost) return false;
        if (serving instanceof Error) return undefined;
        if (droplet.isLoadBalancer && serving.size > 0 && !frontIsKnown) return undefined;
        return hasAnswered(droplet);
    };
    return found
        .map((droplet) => ({
            ...droplet,
            serves: serves(droplet),
            haproxy: servers.find(({ address }) => address !== "" && address === droplet.address),
        }))
        .sort(byName);
}

/** By its resource's name, which is what the state has. */
const named = ({ name }: { name: string }) => ({ name: resourceOf(name) ?? name });

type Facts = Pick<LiveDroplet, "address" | "publicAddress" | "size" | "monthlyCost" | "status">;

function factsOf({ status, size_slug, size, networks }: ListedDroplet): Facts {
    const ip = (wanted: string) => networks.v4.find(({ type }) => type === wanted)?.ip_address ?? "";
    return {
        address: ip("private"),
        publicAddress: ip("public"),
        size: size_slug,
        monthlyCost: size?.price_monthly,
        status,
    };
}

function lastKnown(facts: Record<string, unknown>, isGone: boolean): Facts {
    const text = (value: unknown) => (typeof value === "string" ? value : "");
    return {
        address: text(facts.ipv4AddressPrivate),
        publicAddress: text(facts.ipv4Address),
        size: text(facts.size) || "?",
        monthlyCost: undefined,
        status: isGone ? "gone" : "?",
    };
}

/** Servers by slot, then the rest; of one name, what serves first. */
function byName(a: LiveDroplet, b: LiveDroplet): number {
    const slot = (droplet: LiveDroplet) => slotOf(named(droplet)) ?? Infinity;
    const rank = ({ serves }: LiveDroplet) => (serves === false ? 1 : 0);
    const bySlot = slot(a) === slot(b) ? 0 : slot(a) - slot(b);
    return bySlot || rank(a) - rank(b) || Number(a.id) - Number(b.id);
}
