import { setTimeout as sleep } from "node:timers/promises";
import type { RunningSandbox } from "../../sandbox/process.ts";

/** What we read of a droplet. */
export interface Droplet {
    id: number;
    name: string;
    status: string;
    size_slug: string;
    vpc_uuid: string;
    networks: { v4: { type: string; ip_address: string }[] };
}

/** A request to the API of a sandbox. */
export type CallApi = (
    method: "GET" | "POST" | "DELETE",
    resource: string,
    body?: object,
) => Promise<unknown>;

/** @returns A function that gives the body of the answer, and throws the API's own words if it refuses. */
export function apiOf({ url, token }: RunningSandbox): CallApi {
    return async (method, resource, body) => {
        const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
        const answer = await fetch(`${url}/v2/${resource}`, {
            method,
            headers,
            ...(body && { body: JSON.stringify(body) }),
        });
        if (!answer.ok) throw new Error(`${method} ${resource}: ${answer.status} ${await answer.text()}`);
        return answer.status === 204 ? undefined : answer.json();
    };
}

/** The droplet as the API says it is. */
export async function readDroplet(api: CallApi, id: number): Promise<Droplet> {
    return ((await api("GET", `droplets/${id}`)) as { droplet: Droplet }).droplet;
}

export async function listDroplets(api: CallApi): Promise<Droplet[]> {
    return ((await api("GET", "droplets?per_page=200")) as { droplets: Droplet[] }).droplets;
}

/** Waits until none of these droplets is left. */
export async function awaitGone(api: CallApi, ids: readonly number[]): Promise<void> {
    while ((await listDroplets(api)).some(({ id }) => ids.includes(id))) await sleep(500);
}

/** A droplet's address of that type; throws if it has none yet. */
export function addressOf({ name, networks }: Droplet, type: "public" | "private"): string {
    const address = networks.v4.find((network) => network.type === type)?.ip_address;
    if (address === undefined) throw new Error(`droplet ${name} has no ${type} address`);
    return address;
}
