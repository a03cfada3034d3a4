import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { createApiClient } from "dots-wrapper";
import type { Static } from "typebox";
import { expect, onTestFinished } from "vitest";

import { undocumented } from "../../api/answer-check.ts";
import type * as alerts from "../../api/alert-answers.ts";
import type { DomainRecord } from "../../api/domain-answers.ts";
import type { Metrics } from "../../api/metrics-answers.ts";
import { loopbackMachines } from "../../api/loopback.ts";
import { type ApiOptions, createApi } from "../../api/server.ts";
import { openStore } from "../../api/store.ts";
import type * as views from "../../api/views.ts";
import { instance } from "../../instance.ts";
import type { Machines } from "../../machines.ts";

export const token = "dop_v1_test";

export interface TestApi {
    /** `http://127.0.0.1:PORT/v2` */
    url: string;
    /** An independent client of the real API. */
    client: ReturnType<typeof createApiClient>;
    /** For what that client has no call for. */
    request: (method: string, path: string, body?: unknown, headers?: object) => Promise<Answer>;
    stateDir: string;
    log: string[];
    close: () => Promise<void>;
}

export interface Answer {
    status: number;
    headers: Headers;
    body: Body;
}

/** Every key that an answer may have at its top; a test names those that it expects. */
export interface Body {
    id: string;
    message: string;
    request_id: string;
    alert: Static<typeof alerts.UptimeAlert>;
    alerts: Static<typeof alerts.UptimeAlert>[];
    check: Static<typeof alerts.UptimeCheck>;
    checks: Static<typeof alerts.UptimeCheck>[];
    policy: Static<typeof alerts.AlertPolicy>;
    policies: Static<typeof alerts.AlertPolicy>[];
    state: { regions: Record<string, RegionState | undefined>; previous_outage?: object };
    action: ReturnType<typeof views.actionView>;
    actions: ReturnType<typeof views.actionView>[];
    data: Static<typeof Metrics>["data"];
    domain: { name: string; ttl: number; zone_file: string | null };
    domains: { name: string }[];
    domain_record: RecordBody;
    domain_records: RecordBody[];
    droplet: DropletBody;
    droplets: DropletBody[];
    firewall: ReturnType<typeof views.firewallView>;
    firewalls: ReturnType<typeof views.firewallView>[];
    image: { id: number; slug: string | null; name: string };
    images: { id: number; slug: string | null }[];
    links: { actions: { id: number; rel: string }[]; pages: Record<string, string> };
    members: { urn: string; name: string }[];
    meta: { total: number };
    reserved_ip: ReturnType<typeof views.reservedIpView>;
    reserved_ips: ReturnType<typeof views.reservedIpView>[];
    snapshots: { id: number }[];
    tags: { name: string }[];
    vpc: ReturnType<typeof views.vpcView>;
    vpcs: ReturnType<typeof views.vpcView>[];
}
interface RegionState {
    status: string;
    status_changed_at: string;
    thirty_day_uptime_percentage?: number;
}
export type RecordBody = Static<typeof DomainRecord>;
export type DropletBody = ReturnType<typeof views.dropletView>;

/** Matches a text that has `part` in it. */
export const text = (part: string) => expect.stringContaining(part) as string;

/** A state folder that goes with the test. */
export function stateFolder(): string {
    const folder = mkdtempSync(path.join(tmpdir(), "sandbox-api-"));
    onTestFinished(() => {
        rmSync(folder, { recursive: true, force: true });
    });
    return folder;
}

/**
 * An API of its own, on a port of its own, without machines unless the test brings some. The test fails if one of its
 * answers is not as documented.
 */
export async function startApi(
    options: Partial<Omit<ApiOptions, "machines">> & { stateDir?: string; machines?: Partial<Machines> } = {},
): Promise<TestApi> {
    const stateDir = options.stateDir ?? stateFolder();
    const log: string[] = [];
    const api = createApi({
        instance: instance({ name: "test", index: 250, stateDir, kind: "loopback" }),
        store: openStore(stateDir),
        token,
        budget: { perHour: 100_000, perMinute: 100_000, keyListsPerMinute: 1000 },
        log: (line) => log.push(line),
        ...options,
        machines: { ...loopbackMachines(), ...options.machines },
    });
    await api.listen({ host: "127.0.0.1", port: 0 });
    onTestFinished(async () => {
        await api.close();
        expect(log.filter((line) => line.includes(undocumented))).toEqual([]);
    });
    const { port } = api.server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}/v2`;
    return {
        url,
        client: createApiClient({ endpoint: url, token }),
        request: (method, where, body, headers) => request(method, `${url}${where}`, body, headers),
        stateDir,
        log,
        close: () => api.close(),
    };
}

async function request(method: string, url: string, body?: unknown, headers: object = {}): Promise<Answer> {
    const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const answer = await response.text();
    const parsed = (answer ? JSON.parse(answer) : {}) as Body;
    return { status: response.status, headers: response.headers, body: parsed };
}

/** What the client was refused with. */
export async function refusal(
    call: Promise<unknown>,
): Promise<{ status: number; id: string; message: string }> {
    try {
        await call;
    } catch (error) {
        const { response } = error as {
            response?: { status: number; data: { id: string; message: string } };
        };
        if (!response) throw error;
        return { status: response.status, id: response.data.id, message: response.data.message };
    }
    throw new Error("the call was not refused");
}

/** Asks until `done`; as a client that polls. */
export async function until<T>(ask: () => Promise<T>, done: (value: T) => boolean): Promise<T> {
    // Long: other tests may share the processor.
    const deadline = Date.now() + 30_000;
    for (;;) {
        const value = await ask();
        if (done(value)) return value;
        if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(value)}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

/** A promise to be settled by hand. */
export function deferred<T = void>() {
    let resolve!: (value: T) => void;
    let reject!: (error: Error) => void;
    const promise = new Promise<T>((...settle) => ([resolve, reject] = settle));
    return { promise, resolve, reject };
}

/** The least that a droplet needs; dots-wrapper wants every field. */
export const wish = {
    name: "web-1",
    region: "fra1",
    size: "s-1vcpu-1gb",
    image: "debian-12-x64",
} as const;

/** Makes a droplet and waits until it is active. */
export async function activeDroplet(api: TestApi, changes: object = {}): Promise<DropletBody> {
    const { status, body } = await api.request("POST", "/droplets", { ...wish, ...changes });
    if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
    const { id } = body.droplet;
    const answer = await until(
        () => api.request("GET", `/droplets/${id}`),
        (it) => it.body.droplet.status === "active" && !it.body.droplet.locked,
    );
    return answer.body.droplet;
}

/** Starts an action and waits for its end. */
export async function finishedAction(
    api: TestApi,
    dropletId: number,
    action: object,
): Promise<Body["action"]> {
    const { status, body } = await api.request("POST", `/droplets/${dropletId}/actions`, action);
    if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
    const answer = await until(
        () => api.request("GET", `/actions/${body.action.id}`),
        (it) => it.body.action.completed_at !== null,
    );
    return answer.body.action;
}
