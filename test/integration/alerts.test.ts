import { readFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callApi } from "../faults.mts";
import { type DeployableWorld, makeDeployableWorld } from "../loopback-ssh.mts";
import { SecretSearch } from "../secrets.mts";
import { alertScopes, allScopes, makeToken, usedScopes, withRequired } from "../token.mts";
import { up, upEndsWell } from "../world.mts";

const url = "https://hooks.slack.com/services/T0123456/B0123456/s3cr3ts3cr3t";
const search = new SecretSearch([{ name: "webhook", value: url }]);
const alerts = { email: "test@sandbox.invalid", slack: { channel: "#ops" } };

interface Policy {
    uuid: string;
    description: string;
    value: number;
    alerts: { email: string[]; slack: { url: string }[] };
}

/** The real engine and the real API, without machines. The tests build on each other. */
describe("alerts", () => {
    let world: DeployableWorld;
    beforeAll(async () => {
        world = await makeDeployableWorld({ replicas: 2 });
    });
    afterAll(async () => {
        await world.close();
    });

    const policies = async () => (await world.api("monitoring/alerts")).policies as Policy[];
    const checks = async () => (await world.api("uptime/checks")).checks as { id: string; name: string }[];
    const alertsOf = async (check: string) =>
        (await world.api(`uptime/checks/${check}/alerts`)).alerts as { id: string; name: string }[];
    /** All that a command printed, or that stands in a file. */
    const said: Record<string, string> = {};
    const run = async (what: string, ...args: string[]) => {
        const { code, text } = await world.pulumi(args);
        expect(code, text).toBe(0);
        return (said[what] = text);
    };
    const plan = async (what: string) => {
        const file = (ending: string) => path.join(world.folder, `${what}.${ending}`);
        const { code, text } = await world.tool("plan", [
            ...["test", "--markdown", file("md"), "--json", file("json")],
        ]);
        expect(code, text).toBe(0);
        said[`plan of ${what}`] = text;
        for (const ending of ["md", "json"])
            said[`plan of ${what}.${ending}`] = readFileSync(file(ending), "utf8");
        return text;
    };

    it("are refused at preview while the webhook's URL is none, and while everybody can read it", async () => {
        await upEndsWell(world);
        await world.configure({ alerts });
        const without = await world.pulumi(["preview"]);
        expect(without.code).not.toBe(0);
        expect(without.text).toContain(
            "'alerts.slack.url' should be the URL of a webhook, https://hooks.slack",
        );
        await world.configure({ alerts: { ...alerts, slack: { ...alerts.slack, url } } });
        const readable = await world.pulumi(["preview"]);
        expect(readable.code).not.toBe(0);
        expect(readable.text).toContain(
            "'alerts.slack.url' should be a secret, got a text that everybody can read",
        );
        expect(search.inText("the refusal", without.text + readable.text)).toEqual([]);
    });

    it("say in a plan what comes, and what it costs", async () => {
        await world.configure({ alerts });
        await run("config", "config", "set", "--secret", "--path", "alerts.slack.url", url);
        const text = await plan("coming");
        expect(text).toMatch(/^ {2}\+ alerts-cpu +alert, new: CPU of a server over 85 % for 5 minutes$/m);
        expect(text).toMatch(
            /^ {2}\+ alerts-site +uptime check, new: the site, from outside, http:.*, \$1 a month$/m,
        );
        expect(text).toMatch(/^test: 2 servers, \$18 → \$19 a month, no request lost$/m);
        const env = { PULUMI_ENABLE_STREAMING_JSON_PREVIEW: "true" };
        said.events = (await world.pulumi(["preview", "--json"], env)).text;
        expect(said.events).toContain('"resOutputsEvent"');
    });

    it("name the scopes that a token lacks, and need no other", async () => {
        const token = async (scopes: readonly string[]) => ({
            DIGITALOCEAN_TOKEN: await makeToken(world.sandbox, withRequired(scopes)),
        });
        const few = await world.pulumi(["up", "--yes", "--skip-preview"], await token(allScopes));
        expect(few.code).not.toBe(0);
        expect(few.text).toContain("the token lacks the scope monitoring:create;");
        said["an up that is refused"] = few.text;
        const enough = await token([...allScopes, ...alertScopes]);
        const { code, text } = await world.pulumi(["up", "--yes", "--skip-preview"], enough);
        expect(code, text).toBe(0);
        said.up = text;
        const used = await usedScopes(world.sandbox, enough.DIGITALOCEAN_TOKEN);
        expect(used).toEqual(expect.arrayContaining(["monitoring:create", "uptime:create", "uptime:update"]));
    });

    it("are in the account, by tag, and tell whom the config names", async () => {
        const made = await policies();
        expect(made.map(({ description }) => description).sort()).toEqual([
            "dropscale-test: CPU of a server over 85 % for 5 minutes",
            "dropscale-test: CPU of the load balancer over 70 % for 5 minutes",
            "dropscale-test: disk of a server or the load balancer over 85 % for 5 minutes",
            "dropscale-test: memory of a server or the load balancer over 90 % for 5 minutes",
        ]);
        for (const one of made)
            expect(one.alerts).toEqual({ email: [alerts.email], slack: [{ channel: "#ops", url }] });
        const [site] = await checks();
        const { url: shown } = await world.outputs();
        expect(site).toMatchObject({ name: "dropscale-test: the site, from outside", target: shown });
        expect(await alertsOf(site?.id ?? "")).toMatchObject([{ type: "down_global", period: "2m" }]);
        await run("a second preview", "preview", "--refresh", "--expect-no-changes");
    });

    it("keep the webhook's URL to themselves: in nothing that is printed or kept", async () => {
        await run("export", "stack", "export");
        await run("outputs", "stack", "output", "--json");
        await run("shown config", "config", "--json");
        await run("history", "stack", "history", "--json");
        const { text } = await world.tool("history", [
            "test",
            "--json",
            path.join(world.folder, "history.json"),
        ]);
        said["make history"] = text;
        expect(Object.entries(said).flatMap(([what, words]) => search.inText(what, words))).toEqual([]);
        // What it would look like is found: the search can fail.
        const open = await world.pulumi(["stack", "export", "--show-secrets"]);
        expect(search.inText("", open.text)).not.toEqual([]);
        // The account's own store has what was sent to it; node_modules lead out of the world.
        const isAccount = (file: string) => file.endsWith("/cloud.json") || file.endsWith("/node_modules");
        expect(search.inFolder(path.dirname(world.folder), isAccount)).toEqual([]);
        expect(
            search.inText("the sandbox's log", readFileSync(`${world.instance.stateDir}/sandbox.log`)),
        ).toEqual([]);
    });

    it("are found changed, gone and left over by make drift, without the URL", async () => {
        const [cpu] = (await policies()).filter(({ description }) => description.includes("CPU of a server"));
        const path = `/v2/monitoring/alerts/${cpu?.uuid ?? ""}`;
        await callApi(world, "PUT", path, {
            ...cpu,
            value: 99,
            alerts: { email: [alerts.email], slack: [] },
        });
        const [site] = await checks();
        await callApi(world, "DELETE", `/v2/uptime/checks/${site?.id ?? ""}`);
        await callApi(world, "POST", "/v2/monitoring/alerts", { ...cpu, description: "dropscale-test: x" });
        const { code, text } = await world.tool("drift", ["test"]);
        expect(code, text).toBe(2);
        expect(text).toMatch(/^MonitorAlert alerts-cpu \(.*\) was changed: alerts, value$/m);
        expect(text).toMatch(/^ {4}-value: 85\n {4}\+value: 99$/m);
        expect(text).toMatch(/^UptimeCheck alerts-site \(.*\) is gone$/m);
        expect(text).toMatch(/^UptimeAlert alerts-down \(.*\) is gone$/m);
        expect(text).toMatch(/^Alert dropscale-test: x \(.*\) is not in the state$/m);
        expect(search.inText("make drift", text)).toEqual([]);
    });

    it("come back as they were meant, with --refresh and another config", async () => {
        await world.configure({ alerts: { ...alerts, slack: undefined, cpuPercent: 60 } });
        await upEndsWell(world, "--refresh");
        expect(await checks()).toHaveLength(1);
        const own = (await policies()).filter(({ description }) => !description.endsWith(": x"));
        expect(own).toHaveLength(4);
        for (const one of own) expect(one.alerts).toEqual({ email: [alerts.email], slack: [] });
        expect(own.map(({ value }) => value).sort()).toEqual([60, 70, 85, 90]);
    });

    it("that no state knows are deleted by make doctor, and nobody else's", async () => {
        const [own] = await policies();
        const [site] = await checks();
        const notifications = { email: [alerts.email], slack: [] };
        const down = { name: "dropscale-test: twice", type: "down_global", period: "2m", notifications };
        const check = { type: "http", target: "http://192.0.2.1", regions: ["us_east"], enabled: true };
        await callApi(world, "POST", `/v2/uptime/checks/${site?.id ?? ""}/alerts`, down);
        for (const name of ["dropscale-test: the site, from outside", "the shop", "dropscale-test: the shop"])
            await callApi(world, "POST", "/v2/uptime/checks", { ...check, name });
        await callApi(world, "POST", "/v2/monitoring/alerts", { ...own, description: "CPU" });
        const asked = await world.tool("doctor", ["test", "--yes"]);
        expect(asked.text).toMatch(/^wait {2}alert {2}dropscale-test: x /m);
        expect(asked.text).toMatch(
            /^- {2}uptime check {2}dropscale-test: the shop .*may be somebody else's/m,
        );
        expect(await checks()).toHaveLength(4);

        const { code, text } = await world.tool("doctor", ["test", "--yes", "--killed"]);
        expect(code, text).toBe(0);
        expect(text).toContain("deleted alert dropscale-test: x (");
        expect(text).toContain("deleted uptime alert dropscale-test: twice (");
        expect((await checks()).map(({ name }) => name).sort()).toEqual([
            ...["dropscale-test: the shop", "dropscale-test: the site, from outside", "the shop"],
        ]);
        expect(await alertsOf(site?.id ?? "")).toHaveLength(1);
        expect((await policies()).map(({ description }) => description)).toContain("CPU");
        expect(await policies()).toHaveLength(5);
    });

    it("with an address that nobody has verified fail, with what to do; they go with the config's", async () => {
        await world.configure({ alerts: { email: "bob@example.com" } });
        const { code, text } = await up(world);
        expect(code).not.toBe(0);
        expect(text).toContain(
            "error: DigitalOcean tells only addresses that a member of the account's team has verified",
        );
        await world.configure({ alerts: undefined });
        expect(await plan("leaving")).toMatch(/^test: 2 servers, \$19 → \$18 a month, no request lost$/m);
        await upEndsWell(world);
        expect((await policies()).map(({ description }) => description)).toEqual(["CPU"]);
        expect((await checks()).map(({ name }) => name).sort()).toEqual([
            ...["dropscale-test: the shop", "the shop"],
        ]);
    });
});
