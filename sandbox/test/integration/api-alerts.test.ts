import { describe, expect, it } from "vitest";

import { startApi, type TestApi, text, until } from "./api-harness.ts";

const email = "test@sandbox.invalid";
const slack = { channel: "#ops", url: "https://hooks.slack.com/services/T0/B0/secret" };
const unknownId = "2f0b3f4e-2f0b-4f4e-8f0b-3f4e2f0b3f4e";
const uuid = expect.stringMatching(/^[0-9a-f-]{36}$/) as string;

/** What the provider sends. */
const policy = {
    type: "v1/insights/droplet/cpu",
    description: "CPU",
    compare: "GreaterThan",
    value: 85,
    window: "5m",
    entities: [],
    tags: ["web"],
    alerts: { email: [email], slack: null },
    enabled: true,
};
const check = {
    ...{ name: "site", type: "http", target: "http://192.0.2.1", regions: ["us_east", "eu_west"] },
    enabled: true,
};
const alert = {
    ...{ name: "down", type: "down_global", threshold: 1, comparison: "less_than", period: "2m" },
    notifications: { email: [email], slack: [slack] },
};

describe("alert policies", () => {
    it("are made, listed in pages, changed and deleted; a restart keeps them", async () => {
        const api = await startApi();
        const made = await api.request("POST", "/monitoring/alerts", policy);
        expect(made).toMatchObject({ status: 200 });
        const shown = { ...policy, uuid, alerts: { email: [email], slack: [] } };
        expect(made.body.policy).toEqual(shown);
        const { uuid: id } = made.body.policy;
        await api.request("POST", "/monitoring/alerts", { ...policy, description: "another" });

        const first = await api.request("GET", "/monitoring/alerts?per_page=1");
        expect(first.body).toMatchObject({ policies: [shown], meta: { total: 2 } });
        expect(first.body.links.pages.next).toContain("page=2");
        const changed = { ...policy, value: 90, alerts: { email: null, slack: [slack] } };
        expect((await api.request("PUT", `/monitoring/alerts/${id}`, changed)).body.policy).toEqual({
            ...{ ...changed, uuid: id, alerts: { email: [], slack: [slack] } },
        });

        await api.close();
        const again = await startApi({ stateDir: api.stateDir });
        expect((await again.request("GET", `/monitoring/alerts/${id}`)).body.policy.value).toBe(90);
        expect((await again.request("DELETE", `/monitoring/alerts/${id}`)).status).toBe(204);
        for (const method of ["GET", "DELETE"])
            expect((await again.request(method, `/monitoring/alerts/${id}`)).status).toBe(404);
        expect((await again.request("GET", "/monitoring/alerts")).body.meta.total).toBe(1);
    });

    it.each([
        ["an address that nobody has verified", { alerts: { email: ["bob@example.com"], slack: [] } }, "bob"],
        ["nobody to tell", { alerts: { email: [], slack: null } }, "nobody is told"],
        ["a Slack without a channel", { alerts: { email: [], slack: [{ url: slack.url }] } }, "channel"],
        ["a Slack without https", { alerts: { slack: [{ channel: "a", url: "http://x" }] } }, "slack[0]"],
        ["another window", { window: "2m" }, "window"],
        ["another type", { type: "v1/insights/droplet/nonsense" }, "type"],
        ["another comparison", { compare: "EqualTo" }, "compare"],
        ["a negative value", { value: -1 }, "value"],
        ["a tag that none can be", { tags: ["a b"] }, "tags"],
        ["no description", { description: undefined }, "description"],
    ])("with %s are refused with 422", async (_what, wrong, words) => {
        const api = await startApi();
        const answer = await api.request("POST", "/monitoring/alerts", { ...policy, ...wrong });
        expect(answer).toMatchObject({
            status: 422,
            body: { id: "unprocessable_entity", message: text(words) },
        });
        expect((await api.request("GET", "/monitoring/alerts")).body.policies).toEqual([]);
    });

    it("with a Slack that is wrong are refused without its URL, in the answer and in the log", async () => {
        const api = await startApi();
        const alerts = { email: [], slack: [{ channel: "", url: slack.url }] };
        const { status, body } = await api.request("POST", "/monitoring/alerts", { ...policy, alerts });
        expect(status).toBe(422);
        expect(JSON.stringify(body) + api.log.join()).not.toContain("hooks.slack");
    });
});

describe("uptime checks", () => {
    const make = async (api: TestApi, changes: object = {}) => {
        const { status, body } = await api.request("POST", "/uptime/checks", { ...check, ...changes });
        expect(status, JSON.stringify(body)).toBe(201);
        return body.check;
    };

    it("are made with their alerts, changed in part, and deleted together", async () => {
        const api = await startApi();
        const { id } = await make(api);
        const where = `/uptime/checks/${id}`;
        const made = await api.request("POST", `${where}/alerts`, alert);
        expect(made).toMatchObject({ status: 201 });
        expect(made.body.alert).toEqual({ ...alert, id: uuid });

        const changed = await api.request("PUT", where, { target: "https://www.example.com", type: "https" });
        expect(changed.body.check).toEqual({
            ...{ ...check, id, target: "https://www.example.com", type: "https" },
        });
        const alerts = await api.request("GET", `${where}/alerts`);
        expect(alerts.body).toMatchObject({ alerts: [made.body.alert], meta: { total: 1 } });
        const one = `${where}/alerts/${made.body.alert.id}`;
        const expiry = { ...alert, type: "ssl_expiry", threshold: 14, comparison: "less_than" };
        expect((await api.request("PUT", one, expiry)).body.alert).toMatchObject(expiry);
        expect((await api.request("GET", one)).body.alert.threshold).toBe(14);

        expect((await api.request("DELETE", where)).status).toBe(204);
        for (const gone of [where, one, `${where}/state`, `${where}/alerts`])
            expect(await api.request("GET", gone), gone).toMatchObject({ status: 404 });
        expect((await api.request("GET", "/uptime/checks")).body).toMatchObject({
            ...{ checks: [], meta: { total: 0 } },
        });
    });

    it("have an alert that can be deleted by itself, and take what clients send that know no absence", async () => {
        const api = await startApi();
        const { id } = await make(api, { regions: null });
        expect((await api.request("GET", `/uptime/checks/${id}`)).body.check.regions).toHaveLength(4);
        const sent = { ...alert, comparison: "", threshold: 0 };
        const made = await api.request("POST", `/uptime/checks/${id}/alerts`, sent);
        expect(made.status).toBe(201);
        expect(made.body.alert).not.toHaveProperty("comparison");
        const one = `/uptime/checks/${id}/alerts/${made.body.alert.id}`;
        expect((await api.request("DELETE", one)).status).toBe(204);
        expect((await api.request("DELETE", one)).status).toBe(404);
        const other = `/uptime/checks/${unknownId}/alerts`;
        expect((await api.request("POST", other, alert)).status).toBe(404);
    });

    it.each([
        ["type", { type: "tcp" }, "invalid value for field 'type': unsupported type value 'tcp'"],
        [
            "regions",
            { regions: ["moon"] },
            "invalid value for field 'regions': unsupported regions value 'moon'",
        ],
        ["target", { target: "nonsense" }, "invalid value for field 'target': invalid target 'nonsense'"],
        ["target", { target: "ftp://x.example" }, "invalid value for field 'target'"],
        ["name", { name: "" }, "invalid value for field 'name'"],
    ])("with a wrong %s are refused: %j", async (_field, wrong, message) => {
        const api = await startApi();
        const answer = await api.request("POST", "/uptime/checks", { ...check, ...wrong });
        expect(answer).toMatchObject({ status: 400, body: { id: "bad_request", message: text(message) } });
    });

    // As the real service words them: digitalocean/openapi#830, digitalocean/terraform-provider-digitalocean#1099
    it.each([
        [
            { notifications: { email: ["bob@gmail.com"], slack: [] } },
            "invalid value for field 'notifications.email[0]': invalid email 'bob@gmail.com'",
        ],
        [{ period: "1hr" }, "invalid value for field 'period': unsupported period value '1hr'"],
        [{ type: "up" }, "invalid value for field 'type': unsupported type value 'up'"],
        [{ type: "ssl_expiry", threshold: 0 }, "invalid value for field 'threshold'"],
        [{ type: "latency", comparison: "" }, "invalid value for field 'comparison'"],
        [{ name: "" }, "invalid value for field 'name'"],
    ])("refuse an alert that is wrong: %j", async (wrong, message) => {
        const api = await startApi();
        const { id } = await make(api);
        const answer = await api.request("POST", `/uptime/checks/${id}/alerts`, { ...alert, ...wrong });
        expect(answer).toMatchObject({ status: 400, body: { id: "bad_request", message: text(message) } });
        expect((await api.request("GET", `/uptime/checks/${id}/alerts`)).body.meta.total).toBe(0);
    });
});

describe("an uptime check's state", () => {
    const state = async (api: TestApi, id: string) =>
        (await api.request("GET", `/uptime/checks/${id}/state`)).body.state;

    it("follows the site: up, down, and up again with the outage that was", async () => {
        let isUp = true;
        const asked: string[] = [];
        const answers = (target: string) => {
            asked.push(target);
            return Promise.resolve(isUp);
        };
        const api = await startApi({ machines: { answers }, uptimeSeconds: 0.05 });
        const { id } = (await api.request("POST", "/uptime/checks", check)).body.check;
        const is = (status: string) =>
            until(
                () => state(api, id),
                ({ regions }) => regions.us_east?.status === status,
            );
        const up = await is("UP");
        expect(asked).toContain("http://192.0.2.1");
        expect(Object.keys(up.regions)).toEqual(check.regions);
        expect(up.regions.eu_west).toEqual({
            ...{ status: "UP", thirty_day_uptime_percentage: 100 },
            status_changed_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}Z$/) as string,
        });
        expect(up).not.toHaveProperty("previous_outage");
        isUp = false;
        const down = await is("DOWN");
        expect(down.regions.us_east?.thirty_day_uptime_percentage).toBeLessThan(100);
        isUp = true;
        expect((await is("UP")).previous_outage).toMatchObject({
            ...{ region: "us_east", duration_seconds: expect.any(Number) as number },
        });
        expect(api.log.filter((line) => line.includes("nobody is told"))).toEqual([
            ...["UP", "DOWN", "UP"].map((now) => text(`http://192.0.2.1 is ${now}`)),
        ]);
    });

    it("is CHECKING where there are no machines, and for one that is switched off", async () => {
        const api = await startApi({ uptimeSeconds: 0.02 });
        const { id } = (await api.request("POST", "/uptime/checks", check)).body.check;
        const answers = () => Promise.resolve(true);
        const other = await startApi({ uptimeSeconds: 0.02, machines: { answers } });
        const off = (await other.request("POST", "/uptime/checks", { ...check, enabled: false })).body.check;
        await new Promise((resolve) => setTimeout(resolve, 100));
        for (const seen of [await state(api, id), await state(other, off.id)])
            expect(seen.regions.us_east).toEqual({
                ...{ status: "CHECKING", status_changed_at: expect.any(String) as string },
            });
    });
});
