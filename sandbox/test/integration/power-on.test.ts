import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { instance } from "../../instance.ts";
import { powerOnDroplets } from "../../power-on.ts";
import { purgeSandbox, type RunningSandbox, startSandbox } from "../../process.ts";

const where = instance({
    name: "power-on",
    index: 0,
    stateDir: await mkdtemp(path.join(os.tmpdir(), "power-on-")),
    kind: "loopback",
});
let sandbox: RunningSandbox;

beforeAll(async () => {
    sandbox = await startSandbox(where, { port: 0 });
});
afterAll(async () => {
    await purgeSandbox(where);
    await rm(where.stateDir, { recursive: true, force: true });
});

async function api<T>(method: string, resource: string, body?: unknown): Promise<T> {
    const headers = { authorization: `Bearer ${sandbox.token}`, "content-type": "application/json" };
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const answer = await fetch(`${sandbox.url}/v2/${resource}`, init);
    expect(answer.ok, `${method} ${resource}: ${answer.status}`).toBe(true);
    return (await answer.json()) as T;
}

const statusOf = async (id: number) =>
    (await api<{ droplet: { status: string } }>("GET", `droplets/${id}`)).droplet.status;

it("droplets that are off are switched on, and only those", async () => {
    const ids: number[] = [];
    for (const name of ["one", "two"]) {
        const { droplet } = await api<{ droplet: { id: number } }>("POST", "droplets", {
            name,
            region: "fra1",
            size: "s-1vcpu-1gb",
            image: "debian-12-x64",
        });
        await vi.waitUntil(async () => (await statusOf(droplet.id)) === "active", 20_000);
        ids.push(droplet.id);
    }
    const [, two = 0] = ids;
    await api("POST", `droplets/${two}/actions`, { type: "power_off" });
    await vi.waitUntil(async () => (await statusOf(two)) === "off", 20_000);

    expect(await powerOnDroplets(sandbox)).toEqual(["two"]);
    await vi.waitUntil(async () => (await statusOf(two)) === "active", 20_000);
    expect(await powerOnDroplets(sandbox)).toEqual([]);
});

it("an API that refuses is an error", async () => {
    await expect(powerOnDroplets({ ...sandbox, token: "wrong" })).rejects.toThrow(
        "droplets?per_page=200: 401",
    );
});
