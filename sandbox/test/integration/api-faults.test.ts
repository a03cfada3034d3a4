import { describe, expect, it } from "vitest";

import type { Fault } from "../../api/faults.ts";
import { activeDroplet, startApi, type TestApi, text, token, until, wish } from "./api-harness.ts";

const call = (api: TestApi, method: string, body?: unknown, authorization = `Bearer ${token}`) =>
    fetch(new URL("/sandbox/faults", api.url), {
        method,
        headers: { authorization, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

async function set(api: TestApi, ...faults: Fault[]): Promise<void> {
    const answer = await call(api, "PUT", { faults });
    expect(answer.status, await answer.text()).toBe(204);
}

const names = async (api: TestApi) =>
    (await api.request("GET", "/droplets")).body.droplets.map(({ name }) => name);

describe("requests that fail on purpose", () => {
    it("let the first ones through, fail so many, and then go well again; nothing was changed", async () => {
        const api = await startApi();
        await set(api, { on: "POST /v2/droplets", skip: 1, times: 2, status: 429, retryAfterSeconds: 3 });
        const answers = [];
        for (const name of ["a", "b", "c", "d"])
            answers.push(await api.request("POST", "/droplets?x=1", { ...wish, name }));
        expect(answers.map(({ status }) => status)).toEqual([202, 429, 429, 202]);
        expect(answers[1]?.headers.get("retry-after")).toBe("3");
        expect(answers[1]?.body).toMatchObject({
            id: "too_many_requests",
            message: "API Rate limit exceeded.",
        });
        expect(await names(api)).toEqual(["a", "d"]);
    });

    it("answer in the API's own words", async () => {
        const api = await startApi();
        for (const [status, id, words] of [
            [422, "unprocessable_entity", "will exceed your droplet limit"],
            [500, "server_error", "Unexpected server-side error"],
            [503, "service_unavailable", "temporarily unavailable"],
        ] as const) {
            await set(api, { on: "GET /v2/.*", status });
            const answer = await api.request("GET", "/account");
            expect(answer).toMatchObject({ status, body: { id, message: text(words) } });
            expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
        }
    });

    it("are the ones whose method and whole path match, and no others", async () => {
        const api = await startApi();
        const { id } = await activeDroplet(api);
        await set(api, { on: "GET /v2/droplets/\\d+", times: 100, status: 500 });
        const status = async (path: string) => (await api.request("GET", path)).status;
        expect(await status("/droplets")).toBe(200);
        expect(await status(`/droplets/${id}/actions`)).toBe(200);
        expect(await status(`/droplets/${id}`)).toBe(500);
        const { faults } = (await (await call(api, "GET")).json()) as { faults: unknown };
        expect(faults).toEqual([{ on: "GET /v2/droplets/\\d+", times: 100, status: 500, seen: 1 }]);
        await set(api);
        expect(await status(`/droplets/${id}`)).toBe(200);
    });

    it("may lose their connection before anything was done, or after it was", async () => {
        const api = await startApi();
        for (const reset of ["before", "after"] as const) {
            await set(api, { on: "POST /v2/droplets", reset });
            await expect(api.request("POST", "/droplets", { ...wish, name: reset })).rejects.toMatchObject({
                cause: { code: "ECONNRESET" },
            });
        }
        expect(await names(api)).toEqual(["after"]);
    });

    it("may be answered late, having done what they were to do", async () => {
        const api = await startApi();
        await set(api, { on: "POST /v2/droplets", delaySeconds: 0.5 });
        const start = Date.now();
        const answered = api.request("POST", "/droplets", wish);
        await until(
            () => names(api),
            (made) => made.length === 1,
        );
        expect((await answered).status).toBe(202);
        expect(Date.now() - start).toBeGreaterThanOrEqual(495);
    });
});

describe("actions that fail on purpose", () => {
    it("leave a droplet new until other faults are set", async () => {
        const api = await startApi();
        await set(api, { on: "action create", delaySeconds: 3600 });
        const { body } = await api.request("POST", "/droplets", wish);
        const seen = async () => (await api.request("GET", `/droplets/${body.droplet.id}`)).body.droplet;
        expect((await seen()).status).toBe("new");
        await set(api);
        await until(seen, ({ status }) => status === "active");
    });

    it("leave a droplet new for so long", async () => {
        const api = await startApi();
        await set(api, { on: "action create", delaySeconds: 0.5 });
        const start = Date.now();
        await activeDroplet(api);
        expect(Date.now() - start).toBeGreaterThanOrEqual(495);
    });

    it("end errored with the reason: a droplet that could not be made disappears, its machine never was", async () => {
        const made: string[] = [];
        const api = await startApi({
            machines: { create: ({ name }) => Promise.resolve(void made.push(name)) },
        });
        await set(api, { on: "action create", skip: 1, error: "no capacity" });
        const good = await activeDroplet(api, { name: "good" });
        const { body } = await api.request("POST", "/droplets", { ...wish, name: "bad" });
        const action = await until(
            async () => (await api.request("GET", `/actions/${body.links.actions[0]?.id}`)).body.action,
            ({ status }) => status !== "in-progress",
        );
        expect(action.status).toBe("errored");
        expect((await api.request("GET", `/droplets/${body.droplet.id}`)).status).toBe(404);
        expect(made).toEqual(["good"]);
        expect(api.log).toContainEqual(text(`create of droplet ${body.droplet.id} failed`));
        expect(api.log).toContainEqual(text("no capacity"));

        await set(api, { on: "action power_off", error: "the host is busy" });
        await api.request("POST", `/droplets/${good.id}/actions`, { type: "power_off" });
        const after = await until(
            async () => (await api.request("GET", `/droplets/${good.id}`)).body.droplet,
            ({ locked }) => !locked,
        );
        expect(after.status).toBe("active");
    });

    it("leave a reserved IP where it was", async () => {
        const api = await startApi();
        const [old, next] = [await activeDroplet(api), await activeDroplet(api)];
        const made = await api.request("POST", "/reserved_ips", { droplet_id: old.id });
        const { ip } = made.body.reserved_ip;
        const settled = () =>
            until(
                async () => (await api.request("GET", `/reserved_ips/${ip}`)).body.reserved_ip,
                ({ locked }) => !locked,
            );
        await settled();
        await set(api, { on: "action assign_ip", error: "the network is busy" });
        const url = `/reserved_ips/${ip}/actions`;
        const assign = () => api.request("POST", url, { type: "assign", droplet_id: next.id });
        const { body } = await assign();
        expect((await settled()).droplet?.id).toBe(old.id);
        expect((await api.request("GET", `${url}/${body.action.id}`)).body.action.status).toBe("errored");
        await assign();
        expect((await settled()).droplet?.id).toBe(next.id);
    });
});

describe("the endpoint", () => {
    it("takes no one without the token, and counts for no rate limit", async () => {
        const api = await startApi({ budget: { perHour: 2, perMinute: 2, keyListsPerMinute: 1 } });
        expect((await call(api, "GET", undefined, "Bearer other")).status).toBe(401);
        for (let i = 0; i < 5; i++) await set(api);
        expect((await api.request("GET", "/account")).status).toBe(200);
    });

    it.each<[unknown, string]>([
        [{}, "required properties on"],
        [{ on: "/v2/droplets", status: 500 }, "must match pattern"],
        [{ on: "GET /v2/(", status: 500 }, 'the fault on "GET /v2/(" is no regular expression'],
        [{ on: "GET /v2", status: 418 }, "status must be equal to one of the allowed values"],
        [{ on: "GET /v2", status: 500, times: 0 }, "times must be >= 1"],
        [{ on: "GET /v2", status: 500, skips: 1 }, "must not have additional properties"],
        [{ on: "GET /v2" }, "should have exactly one of status, reset, delaySeconds, got none"],
        [{ on: "GET /v2", status: 500, reset: "after" }, "got status, reset"],
        [{ on: "action create", status: 500 }, "exactly one of delaySeconds, error, got status"],
    ])("refuses %j: %s, and keeps the faults that it has", async (fault, words) => {
        const api = await startApi();
        await set(api, { on: "GET /v2/account", status: 503 });
        const answer = await call(api, "PUT", { faults: [fault] });
        expect(answer.status).toBe(422);
        expect(((await answer.json()) as { message: string }).message).toContain(words);
        expect((await api.request("GET", "/account")).status).toBe(503);
    });

    it("forgets everything at a restart", async () => {
        const first = await startApi();
        await set(first, { on: "GET /v2/account", times: 100, status: 500 });
        await first.close();
        const second = await startApi({ stateDir: first.stateDir });
        expect((await second.request("GET", "/account")).status).toBe(200);
    });
});
