import { describe, expect, it } from "vitest";

import { startApi, type TestApi, wish } from "./api-harness.ts";

/** A token with these scopes. */
async function tokenFor(api: TestApi, scopes: string): Promise<{ authorization: string }> {
    const { status, body } = await api.request("POST", "/../sandbox/tokens", { scopes: scopes.split(" ") });
    expect(status, JSON.stringify(body)).toBe(201);
    return { authorization: `Bearer ${(body as unknown as { token: string }).token}` };
}

const forbidden = {
    status: 403,
    body: { id: "Forbidden", message: "You are not authorized to perform this operation" },
};
/** What every token that may read droplets has. */
const droplets = "droplet:read regions:read sizes:read actions:read image:read";

describe("a token of some scopes", () => {
    it.each([
        ["GET", "/account", {}, "account:read"],
        ["GET", "/account/keys", {}, "ssh_key:read"],
        ["DELETE", "/account/keys/1", {}, "ssh_key:delete ssh_key:read"],
        ["GET", "/droplets", {}, droplets],
        ["GET", "/droplets/1/firewalls", {}, "firewall:read"],
        ["POST", "/droplets", {}, `droplet:create ${droplets}`],
        ["DELETE", "/droplets/1", {}, `droplet:delete ${droplets}`],
        ["POST", "/droplets/1/actions", {}, `droplet:update ${droplets}`],
        ["POST", "/reserved_ips/127.0.0.1/actions", {}, `reserved_ip:update reserved_ip:read ${droplets}`],
        ["PUT", "/firewalls/1", {}, "firewall:update firewall:read"],
        ["POST", "/tags/a/resources", {}, "tag:create tag:read"],
        ["DELETE", "/snapshots/1", {}, "image:delete image:read snapshot:delete snapshot:read"],
        ["GET", "/sizes", {}, "sizes:read regions:read"],
        ["GET", "/domains/example.com/records", {}, "domain:read"],
        ["POST", "/domains", {}, "domain:create domain:read"],
        ["POST", "/domains/example.com/records", {}, "domain:create domain:read"],
        ["POST", "/domains/example.com/records", {}, "domain:update domain:read"],
        ["PUT", "/domains/example.com/records/1", {}, "domain:update domain:read"],
        ["PATCH", "/domains/example.com/records/1", {}, "domain:update domain:read"],
        ["DELETE", "/domains/example.com/records/1", {}, "domain:delete domain:read"],
        ["DELETE", "/domains/example.com/records/1", {}, "domain:update domain:read"],
        ["DELETE", "/domains/example.com", {}, "domain:delete domain:read"],
        ["GET", "/monitoring/metrics/droplet/cpu", {}, `monitoring:read ${droplets}`],
        ["GET", "/monitoring/alerts", {}, `monitoring:read ${droplets}`],
        ["POST", "/monitoring/alerts", {}, `monitoring:create monitoring:read ${droplets}`],
        ["PUT", "/monitoring/alerts/1", {}, `monitoring:update monitoring:read ${droplets}`],
        ["DELETE", "/monitoring/alerts/1", {}, `monitoring:delete monitoring:read ${droplets}`],
        ["GET", "/uptime/checks", {}, "uptime:read"],
        ["POST", "/uptime/checks", {}, "uptime:create uptime:read"],
        ["POST", "/uptime/checks/1/alerts", {}, "uptime:create uptime:update uptime:read"],
        ["PUT", "/uptime/checks/1/alerts/1", {}, "uptime:update uptime:read"],
        ["DELETE", "/uptime/checks/1/alerts/1", {}, "uptime:delete uptime:update uptime:read"],
        ["POST", "/vpcs", {}, "vpc:create vpc:read regions:read sizes:read actions:read"],
    ])("may %s %s with its own, and not with any other", async (method, path, body, scopes) => {
        const api = await startApi();
        const own = await tokenFor(api, scopes);
        const sent = method === "GET" || method === "DELETE" ? undefined : body;
        expect((await api.request(method, path, sent, own)).status).not.toBe(403);
        const others = await tokenFor(api, scopes.includes("tag:") ? "firewall:read" : "tag:read");
        expect(await api.request(method, path, sent, others)).toMatchObject(forbidden);
    });

    it("of domain:update alone can't make or delete a domain", async () => {
        const api = await startApi();
        const updater = await tokenFor(api, "domain:update domain:read");
        expect(await api.request("POST", "/domains", { name: "example.com" }, updater)).toMatchObject(
            forbidden,
        );
        expect(await api.request("DELETE", "/domains/example.com", undefined, updater)).toMatchObject(
            forbidden,
        );
        await api.request("POST", "/domains/example.com/records", {}, updater);
        const { body } = await api.request("GET", "/../sandbox/tokens", undefined, updater);
        expect(body).toEqual({ used: ["domain:create", "domain:delete", "domain:update"] });
    });

    it.each([
        ["tags", ["web"], "tag:create", "tag:create tag:read"],
        ["ssh_keys", [], "", ""],
        ["ssh_keys", [1], "ssh_key:read", "ssh_key:read"],
        ["vpc_uuid", "0d3db13e-a604-4944-9827-7ec2642d32ac", "vpc:read", "vpc:read"],
    ])("makes a droplet with %s %j only with %s", async (field, value, scope, more) => {
        const api = await startApi();
        const body = { ...wish, [field]: value };
        const without = await tokenFor(api, `droplet:create ${droplets}`);
        if (scope !== "")
            expect(await api.request("POST", "/droplets", body, without)).toMatchObject(forbidden);
        const enough = await tokenFor(api, `droplet:create ${droplets} ${more}`.trim());
        expect((await api.request("POST", "/droplets", body, enough)).status).not.toBe(403);
    });

    it("changes nothing where it is refused, and hears nothing of what is wrong with the body", async () => {
        const api = await startApi();
        const reader = await tokenFor(api, "tag:read");
        expect(await api.request("POST", "/tags", { name: "web" }, reader)).toMatchObject(forbidden);
        expect(await api.request("POST", "/tags", { nonsense: 1 }, reader)).toMatchObject(forbidden);
        expect((await api.request("GET", "/tags", undefined, reader)).body.tags).toEqual([]);
    });

    it("can't be had without the scopes that its scopes require", async () => {
        const api = await startApi();
        const answer = await api.request("POST", "/../sandbox/tokens", { scopes: ["droplet:create"] });
        expect(answer).toMatchObject({
            status: 422,
            body: { message: "droplet:create can be had only together with droplet:read" },
        });
    });

    it("can't make another one", async () => {
        const api = await startApi();
        const reader = await tokenFor(api, "tag:read");
        expect(await api.request("POST", "/../sandbox/tokens", { scopes: [] }, reader)).toMatchObject(
            forbidden,
        );
    });

    it("shows what its requests took, the refused ones too, and nobody else's", async () => {
        const api = await startApi();
        const reader = await tokenFor(api, "tag:read");
        await api.request("GET", "/tags", undefined, reader);
        await api.request("POST", "/vpcs", {}, reader);
        await api.request("GET", "/firewalls");
        const { body } = await api.request("GET", "/../sandbox/tokens", undefined, reader);
        expect(body).toEqual({ used: ["tag:read", "vpc:create"] });
        expect(api.log.join("\n")).not.toContain("dop_v1");
    });
});
