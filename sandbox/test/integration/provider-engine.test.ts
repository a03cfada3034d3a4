import fs from "node:fs";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";

import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { loopbackMachines } from "../../api/loopback.ts";
import { createApi } from "../../api/server.ts";
import { openStore } from "../../api/store.ts";
import { instance } from "../../instance.ts";
import { findEngine } from "../../offline-engine/engine.ts";

/** A program of every resource, run by the real CLI through the stand-ins. The first run builds the CLI: minutes. */
const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";
import * as digitalocean from "@pulumi/digitalocean";
import * as command from "@pulumi/command";

const config = new pulumi.Config();
const size = config.require("size");
const region = "fra1";
const tag = new digitalocean.Tag("tag", { name: "tiny-web" });
// The first VPC of a region is its default, which can't be deleted.
const vpc = new digitalocean.Vpc("vpc", { region });
const key = new digitalocean.SshKey("key", { publicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBRvb2xpbmdrZXlmb3J0ZXN0c29ubHkxMjM0NTY3ODkw" });
const all = ["0.0.0.0/0", "::/0"];
const firewall = new digitalocean.Firewall("firewall", {
    tags: [tag.name],
    inboundRules: [{ protocol: "tcp", portRange: "22", sourceAddresses: ["192.0.2.0/24"] }],
    outboundRules: ["tcp", "udp"].map((protocol) => ({ protocol, portRange: "all", destinationAddresses: all })),
});
const web = [0, 1].map((slot) => new digitalocean.Droplet(\`web-\${slot}\`, {
    image: "debian-12-x64", region, size, vpcUuid: vpc.id, tags: [tag.name], sshKeys: [key.id], monitoring: true,
    userData: pulumi.secret("#cloud-config\\n# hidden-word\\n"),
}, { dependsOn: firewall, replaceOnChanges: ["size"] }));
const named = new digitalocean.Droplet("named", {
    name: "named", image: config.require("image"), region, size: "s-1vcpu-1gb", vpcUuid: vpc.id, tags: [tag.name],
});
const ip = new digitalocean.ReservedIp("ip", { region });
const ready = new command.local.Command("ready", {
    create: "cat; echo checked >&2", stdin: pulumi.all(web.map((one) => one.ipv4AddressPrivate)).apply((ips) => ips.join(" ")),
});
// Once and for all, as a key is made.
const once = new command.local.Command("once", { create: "echo made with " + size }, { ignoreChanges: ["*"] });
export const made = once.stdout;
new digitalocean.ReservedIpAssignment("assignment", {
    ipAddress: ip.ipAddress, dropletId: web[0]!.id.apply(Number),
}, { dependsOn: ready });
export const addresses = web.map((one) => one.ipv4Address);
export const seen = ready.stdout;
export const price = digitalocean.getSizesOutput().apply((found) => found.sizes.find(({ slug }) => slug === size)!.priceMonthly);
`;

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "provider-engine-"));
const project = path.join(folder, "project");
const store = openStore(path.join(folder, "api"));
const requests: string[] = [];
const api = createApi({
    instance: instance({ name: "test", index: 248, stateDir: path.join(folder, "api"), kind: "loopback" }),
    store,
    token: "dop_v1_test",
    budget: { perHour: 100_000, perMinute: 100_000, keyListsPerMinute: 1000 },
    machines: loopbackMachines(),
});
api.addHook("onRequest", (request, _reply, done) => {
    if (request.method !== "GET") requests.push(`${request.method} ${request.url}`);
    done();
});
let env: Record<string, string>;

beforeAll(async () => {
    await api.listen({ host: "127.0.0.1", port: 0 });
    // Whatever `pulumi` this machine has: the first one on PATH is too old, so that the offline engine is used.
    const old = path.join(folder, "old");
    fs.mkdirSync(old);
    fs.writeFileSync(path.join(old, "pulumi"), "#!/bin/sh\necho v3.0.0\n", { mode: 0o755 });
    const engine = await findEngine({
        home: path.join(folder, "home"),
        log: console.log,
        env: { ...process.env, PATH: [old, process.env.PATH].join(path.delimiter) },
    });
    expect(engine.kind).toBe("offline");
    env = {
        ...engine.env,
        PULUMI_BACKEND_URL: `file://${folder}/state`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        DIGITALOCEAN_API_URL: `http://127.0.0.1:${(api.server.address() as AddressInfo).port}`,
        DIGITALOCEAN_TOKEN: "dop_v1_test",
    };
    for (const name of ["state", "project"]) fs.mkdirSync(path.join(folder, name));
    fs.symlinkSync(path.resolve("node_modules"), path.join(project, "node_modules"));
    const compilerOptions = { target: "es2022", module: "nodenext", strict: true, noCheck: true };
    write("package.json", JSON.stringify({ name: "tiny", main: "index.ts" }));
    write("tsconfig.run.json", JSON.stringify({ compilerOptions }));
    write("Pulumi.yaml", "name: tiny\nruntime: {name: nodejs, options: {tsconfig: tsconfig.run.json}}\n");
    write("index.ts", PROGRAM);
    await pulumi("stack", "init", "dev");
    await pulumi("config", "set", "size", "s-1vcpu-1gb");
    await pulumi("config", "set", "image", "debian-12-x64");
    // The region's default VPC, so that the program's own is not.
    const body = JSON.stringify({ name: "default", region: "fra1" });
    const headers = { authorization: "Bearer dop_v1_test", "content-type": "application/json" };
    await fetch(`${env.DIGITALOCEAN_API_URL}/v2/vpcs`, { method: "POST", headers, body });
}, 1_200_000);

afterAll(async () => {
    await api.close();
    fs.rmSync(folder, { recursive: true });
});

function write(file: string, text: string): void {
    fs.writeFileSync(path.join(project, file), text);
}

async function pulumi(...args: string[]): Promise<string> {
    requests.length = 0;
    const run = await execa("pulumi", [...args, "--non-interactive"], {
        cwd: project,
        env,
        all: true,
        reject: false,
    });
    expect(run.exitCode, run.all).toBe(0);
    return run.all;
}

interface Deployed {
    urn: string;
    id: string;
    inputs: Record<string, unknown>;
    outputs: Record<string, unknown>;
}

async function resources(): Promise<Record<string, Deployed>> {
    const { deployment } = JSON.parse(await pulumi("stack", "export")) as {
        deployment: { resources: Deployed[] };
    };
    return Object.fromEntries(deployment.resources.map((one) => [one.urn.split("::").at(-1) ?? "", one]));
}

const droplets = () => store.cloud.droplets.map(({ name }) => name).sort();
const UP = ["up", "--yes", "--skip-preview"];

describe("the real CLI", () => {
    test("a preview changes nothing, and shows what is unknown as such", async () => {
        const text = await pulumi("preview", "--diff");
        expect(requests).toEqual([]);
        expect(text).toMatch(/\+ digitalocean:index\/droplet:Droplet: \(create\)/);
        expect(text).toMatch(/addresses\s*: \[\s+\[0\]: \[unknown\]/);
        expect(text).toMatch(/price\s*: 6/);
        expect(text).not.toContain("hidden-word");
    });

    test("up makes everything, in the order of its dependencies", async () => {
        await pulumi(...UP);
        expect(droplets()).toEqual([
            expect.stringMatching(/^named$/),
            expect.stringMatching(/^web-0-[0-9a-f]{7}$/),
            expect.stringMatching(/^web-1-[0-9a-f]{7}$/),
        ]);
        const [ip] = store.cloud.reservedIps;
        const state = await resources();
        expect(ip?.dropletId).toBe(Number(state["web-0"]?.id));
        const privateIps = ["web-0", "web-1"].map((name) => state[name]?.outputs.ipv4AddressPrivate);
        expect(state.ready?.outputs).toMatchObject({ stdout: privateIps.join(" "), stderr: "checked" });
        expect(JSON.stringify(state)).not.toContain("hidden-word");
        expect(state["web-0"]?.inputs.userData).toHaveProperty("ciphertext");
    });

    test("a second up, a refresh and an up after it change nothing", async () => {
        await pulumi(...UP, "--expect-no-changes");
        expect(requests).toEqual([]);
        await pulumi("refresh", "--yes", "--skip-preview");
        await pulumi(...UP, "--expect-no-changes");
        expect(requests).toEqual([]);
    });

    test("a size with replaceOnChanges: new ones, then the command, then the address, then the old ones go", async () => {
        const before = droplets();
        await pulumi("config", "set", "size", "s-1vcpu-2gb");
        const text = await pulumi("preview", "--diff");
        expect(text).toMatch(/~ size\s*: "s-1vcpu-1gb" => "s-1vcpu-2gb"/);
        expect(text).toMatch(/\+-digitalocean:index\/droplet:Droplet: \(replace\)/);
        await pulumi(...UP);
        const steps = requests.map((line) => line.replace(/\/\d[\d.]*/, "/N"));
        expect(await pulumi("stack", "output", "made")).toContain("made with s-1vcpu-1gb");
        expect(steps).toEqual([
            "POST /v2/droplets",
            "POST /v2/droplets",
            "POST /v2/reserved_ips/N/actions",
            "DELETE /v2/droplets/N",
            "DELETE /v2/droplets/N",
        ]);
        expect(droplets().filter((name) => before.includes(name))).toEqual(["named"]);
    });

    test("a droplet with a name of its own is deleted before it is replaced", async () => {
        await pulumi("config", "set", "image", "ubuntu-24-04-x64");
        await pulumi(...UP);
        expect(requests.map((line) => line.replace(/\/\d+$/, ""))).toEqual([
            "DELETE /v2/droplets",
            "POST /v2/droplets",
        ]);
        expect(droplets()).toContain("named");
    });

    test("what was deleted behind Pulumi's back is made again after a refresh", async () => {
        const { named } = await resources();
        const headers = { authorization: "Bearer dop_v1_test" };
        await fetch(`${env.DIGITALOCEAN_API_URL}/v2/droplets/${named?.id}`, { method: "DELETE", headers });
        await expect.poll(droplets).not.toContain("named");
        await pulumi("up", "--yes", "--skip-preview", "--refresh");
        expect(requests).toEqual(["POST /v2/droplets"]);
    });

    test("destroy leaves nothing", async () => {
        await pulumi("destroy", "--yes", "--skip-preview");
        const { droplets: left, firewalls, sshKeys, tags, reservedIps, vpcs } = store.cloud;
        expect({ left, firewalls, sshKeys, tags, reservedIps }).toEqual({
            left: [],
            firewalls: [],
            sshKeys: [],
            tags: [],
            reservedIps: [],
        });
        expect(vpcs.map(({ name }) => name)).toEqual(["default"]);
    });
});
