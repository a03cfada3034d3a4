import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import path from "node:path";

import { describe, expect, it, onTestFinished, vi } from "vitest";

import { activeDroplet, finishedAction, startApi, stateFolder, until, wish } from "./api-harness.ts";

const never = new Promise<never>(() => undefined);

describe("state", () => {
    it("survives a restart whole; ids go on", async () => {
        const stateDir = stateFolder();
        const first = await startApi({ stateDir });
        const { id } = await activeDroplet(first, { tags: ["web"], user_data: "#!/bin/sh\n# secret" });
        await first.request("POST", "/reserved_ips", { droplet_id: id });
        await first.request("POST", "/firewalls", {
            name: "fw",
            tags: ["web"],
            inbound_rules: [{ protocol: "tcp", ports: "22", sources: { tags: ["web"] } }],
        });
        const paths = ["/droplets", "/vpcs", "/firewalls", "/reserved_ips", "/tags", "/account", "/actions"];
        const settled = () =>
            first.request("GET", "/reserved_ips").then((it) => it.body.reserved_ips[0]?.locked);
        await until(settled, (locked) => !locked);
        const before = await Promise.all(
            paths.map(async (where) => (await first.request("GET", where)).body),
        );
        await first.request("DELETE", `/droplets/${(await activeDroplet(first)).id}`);
        const highest = (await activeDroplet(first)).id;
        await first.request("DELETE", `/droplets/${highest}`);
        await first.close();

        const second = await startApi({ stateDir });
        const after = await Promise.all(
            paths.map(async (where) => (await second.request("GET", where)).body),
        );
        expect(after.slice(0, -1)).toEqual(before.slice(0, -1));
        expect((await activeDroplet(second)).id).toBeGreaterThan(highest);
        const file = path.join(stateDir, "cloud.json");
        expect(statSync(file).mode & 0o777).toBe(0o600);
        expect(first.log.join("\n")).not.toContain("secret");
    });

    it("that is broken is named, with the way out", async () => {
        const stateDir = stateFolder();
        writeFileSync(path.join(stateDir, "cloud.json"), "{");
        await expect(startApi({ stateDir })).rejects.toThrow(
            /cloud\.json is not what the sandbox wrote.*--purge/,
        );
    });
});

describe("after a restart", () => {
    it("a droplet that does not run is off, one that runs is active", async () => {
        const stateDir = stateFolder();
        const first = await startApi({ stateDir });
        const [died, lives] = [await activeDroplet(first), await activeDroplet(first)];
        await first.close();
        const second = await startApi({
            stateDir,
            machines: { start: () => Promise.resolve(new Set([lives.id])) },
        });
        const status = async (id: number) =>
            (await second.request("GET", `/droplets/${id}`)).body.droplet.status;
        expect([await status(died.id), await status(lives.id)]).toEqual(["off", "active"]);
        await finishedAction(second, died.id, { type: "power_on" });
        expect(await status(died.id)).toBe("active");
    });

    it("an action that was under way is errored, and its droplet is free", async () => {
        const stateDir = stateFolder();
        const first = await startApi({ stateDir, machines: { powerOff: () => never } });
        const { id } = await activeDroplet(first);
        const { body } = await first.request("POST", `/droplets/${id}/actions`, { type: "power_off" });
        await first.close();
        const second = await startApi({ stateDir });
        expect((await second.request("GET", `/actions/${body.action.id}`)).body.action.status).toBe(
            "errored",
        );
        await finishedAction(second, id, { type: "power_off" });
    });

    it("a droplet that was new is made again from nothing, under the action that its client polls", async () => {
        const stateDir = stateFolder();
        const first = await startApi({ stateDir, machines: { create: () => never } });
        const { body } = await first.request("POST", "/droplets", wish);
        await first.close();
        const calls: string[] = [];
        const second = await startApi({
            stateDir,
            machines: {
                destroy: ({ id }) => Promise.resolve(void calls.push(`destroy ${id}`)),
                create: ({ id }) => Promise.resolve(void calls.push(`create ${id}`)),
            },
        });
        const { id } = body.droplet;
        await until(
            () => second.request("GET", `/droplets/${id}`),
            (it) => it.body.droplet.status === "active",
        );
        expect(calls).toEqual([`destroy ${id}`, `create ${id}`]);
        const action = await second.request("GET", `/actions/${body.links.actions[0]?.id}`);
        expect(action.body.action.status).toBe("completed");
    });

    it("a creation that failed only because the sandbox stopped is not taken for a failure", async () => {
        const stateDir = stateFolder();
        let fail: (error: Error) => void = () => undefined;
        const create = () => new Promise<void>((_resolve, reject) => (fail = reject));
        const first = await startApi({ stateDir, machines: { create } });
        const { body } = await first.request("POST", "/droplets", wish);
        await first.close();
        fail(new Error("killed"));
        await new Promise((resolve) => setTimeout(resolve, 20));
        const second = await startApi({ stateDir });
        expect((await second.request("GET", `/droplets/${body.droplet.id}`)).status).toBe(200);
    });
});

describe("a machine that ends by itself", () => {
    it("makes its droplet off, also when it ends while it is switched on", async () => {
        let ended: (dropletId: number) => void = () => undefined;
        const api = await startApi({
            machines: {
                onExit: (listener) => (ended = listener),
                powerOn: ({ id }) => {
                    ended(id);
                    return Promise.resolve();
                },
            },
        });
        const { id } = await activeDroplet(api);
        const status = async () => (await api.request("GET", `/droplets/${id}`)).body.droplet.status;
        ended(id);
        expect(await status()).toBe("off");
        await finishedAction(api, id, { type: "power_on" });
        expect(await status()).toBe("off");
        expect(api.log.join("\n")).toContain(`droplet ${id} (web-1) ended by itself`);
        ended(4711);
    });
});

describe("the process", () => {
    const main = path.join(import.meta.dirname, "..", "..", "main.ts");

    function start(stateDir: string, ...more: string[]) {
        const options = ["--name", "test", "--index", "250", "--kind", "loopback"];
        const child = spawn(
            process.execPath,
            ["--import", "tsx", main, ...options, "--state-dir", stateDir, "--port", "0", ...more],
            { cwd: path.dirname(main) },
        );
        let output = "";
        for (const stream of [child.stdout, child.stderr])
            stream.on("data", (text) => (output += String(text)));
        const exit = once(child, "exit") as Promise<[number | null]>;
        onTestFinished(() => void child.kill("SIGKILL"));
        const ready = async () => {
            await until(
                () => Promise.resolve(output),
                (text) => text.includes(" is ready"),
            );
            const info = readFileSync(path.join(stateDir, "sandbox.json"), "utf8");
            return JSON.parse(info) as { pid: number; port: number };
        };
        return { child, exit, ready, output: () => output };
    }

    const tokenOf = (stateDir: string) => readFileSync(path.join(stateDir, "token"), "utf8").trim();

    it("says where it is, keeps its token and state, refuses a second one, ends at SIGTERM", async () => {
        const stateDir = stateFolder();
        const first = start(stateDir, "--droplet-limit", "7");
        const info = await first.ready();
        expect(info).toMatchObject({ pid: first.child.pid, kind: "loopback", index: 250, name: "test" });
        const url = `http://127.0.0.1:${info.port}/v2`;
        const token = tokenOf(stateDir);
        expect(token).toMatch(/^dop_v1_[0-9a-f]{64}$/);
        expect(statSync(path.join(stateDir, "token")).mode & 0o777).toBe(0o600);
        const headers = { authorization: `Bearer ${token}` };
        const answer = await fetch(`${url}/account`, { headers });
        expect(await answer.json()).toMatchObject({ account: { droplet_limit: 7 } });
        await fetch(`${url}/tags`, {
            method: "POST",
            headers: { ...headers, "content-type": "application/json" },
            body: '{"name":"kept"}',
        });

        const second = start(stateDir);
        expect((await second.exit)[0]).toBe(1);
        expect(second.output().trim()).toMatch(
            new RegExp(`^sandbox: ${stateDir} is in use by the sandbox with pid ${first.child.pid}: .*$`),
        );

        first.child.kill("SIGTERM");
        expect((await first.exit)[0]).toBe(0);
        expect(existsSync(path.join(stateDir, "sandbox.json"))).toBe(false);
        expect(first.output()).not.toContain(token);

        const third = start(stateDir);
        const { port } = await third.ready();
        expect(tokenOf(stateDir)).toBe(token);
        const tags = await fetch(`http://127.0.0.1:${port}/v2/tags`, { headers });
        expect(await tags.json()).toMatchObject({ tags: [{ name: "kept" }] });
        third.child.kill("SIGINT");
        expect((await third.exit)[0]).toBe(0);

        const purge = start(stateDir, "--purge");
        expect((await purge.exit)[0]).toBe(0);
        expect(existsSync(path.join(stateDir, "cloud.json"))).toBe(false);
        expect(existsSync(path.join(stateDir, "token"))).toBe(false);
    });

    it("is its owner's alone: on loopback, with a token of its own, in a folder that nobody else reads", async () => {
        const folders = [stateFolder(), stateFolder()];
        const [first, second] = await Promise.all(
            folders.map((folder) => {
                chmodSync(folder, 0o755);
                return start(folder).ready();
            }),
        );
        const url = (host: string) => `http://${host}:${first?.port ?? 0}/v2/account`;
        const statuses = await Promise.all(
            folders.map(async (folder) => {
                const headers = { authorization: `Bearer ${tokenOf(folder)}` };
                return (await fetch(url("127.0.0.1"), { headers })).status;
            }),
        );
        expect(statuses).toEqual([200, 401]);
        expect(second?.port).not.toBe(first?.port);
        const others = Object.values(networkInterfaces())
            .flatMap((list) => list ?? [])
            .filter(({ family, internal }) => family === "IPv4" && !internal);
        for (const { address } of others) await expect(fetch(url(address)), address).rejects.toThrow();
        for (const folder of folders) expect(statSync(folder).mode & 0o777).toBe(0o700);
    });

    it("starts again after it was killed", async () => {
        const stateDir = stateFolder();
        const first = start(stateDir);
        await first.ready();
        first.child.kill("SIGKILL");
        await first.exit;
        const second = start(stateDir);
        expect((await second.ready()).pid).toBe(second.child.pid);
        // It comes by a pipe of its own.
        await vi.waitFor(() => {
            expect(second.output()).toContain("the last sandbox did not end in order");
        }, 10_000);
    });

    it("names the port that is in use, and what to do", async () => {
        const server = createServer().listen(0, "127.0.0.1");
        await once(server, "listening");
        onTestFinished(() => void server.close());
        const { port } = server.address() as AddressInfo;
        const { exit, output } = start(stateFolder(), "--port", String(port));
        expect((await exit)[0]).toBe(1);
        expect(output().trim()).toBe(`sandbox: port ${port} on 127.0.0.1 is in use: stop what listens there`);
    });

    it.each([
        [["--index", "256"], "It should be a whole number from 0 to 255."],
        [["--kind", "vm"], "Allowed choices are nspawn, loopback."],
        [["--port", "x"], "It should be a whole number from 0 to 65535."],
    ])("refuses %j in one line", async (more, message) => {
        const { exit, output } = start(stateFolder(), ...more);
        expect((await exit)[0]).toBe(1);
        expect(output()).toContain(message);
        expect(output().trim().split("\n")).toHaveLength(1);
    });
});
