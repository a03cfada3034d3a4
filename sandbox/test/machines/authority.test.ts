import { Resolver } from "node:dns/promises";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { claimIndex } from "../../claim-index.ts";
import { instance as makeInstance, type Instance } from "../../instance.ts";
import { purgeSandbox, type RunningSandbox, startSandbox, stopSandbox } from "../../process.ts";
import { rootsFile } from "../../region/authority.ts";
import { authorityNetns } from "../../region/names.ts";
import { tracesOf } from "./region-harness.ts";

const USER_DATA = "#cloud-config\npackages: [lego, socat]\n";
const NAME = "www.example.com";
const STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory";

interface Droplet {
    id: number;
    status: string;
    networks: { v4: { type: string; ip_address: string }[] };
}
interface Answer {
    droplet: Droplet;
    ssh_key: { id: number };
    reserved_ip: { ip: string; locked: boolean };
    domain_record: { id: number };
}

let folder: string;
let claim: Awaited<ReturnType<typeof claimIndex>>;
let instance: Instance;
let sandbox: RunningSandbox;
let publicIp: string;
let reservedIp: string;

async function call(method: string, where: string, body?: object): Promise<Answer> {
    const answer = await fetch(`${sandbox.url}/v2${where}`, {
        method,
        headers: { authorization: `Bearer ${sandbox.token}`, "content-type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${where}: ${answer.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as Answer;
}

async function until<T>(what: string, ask: () => Promise<T | undefined>, seconds = 90): Promise<T> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
        const value = await ask().catch((error: unknown) => {
            if (Date.now() > deadline) throw error;
            return undefined;
        });
        if (value !== undefined) return value;
        if (Date.now() > deadline) throw new Error(`${what}: not within ${seconds} s`);
        await sleep(300);
    }
}

/** Runs a shell command in the droplet. */
async function inside(command: string): Promise<string> {
    const options = [
        ...["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"],
        ...["ConnectTimeout=2", "LogLevel=ERROR"],
    ].flatMap((option) => ["-o", option]);
    const { stdout } = await execa("ssh", [
        "-i",
        path.join(folder, "key"),
        ...options,
        `root@${publicIp}`,
        command,
    ]);
    return stdout;
}

/** curl on this machine, as a person would call it. */
async function curl(...args: string[]): Promise<string> {
    const trust = ["--cacert", rootsFile(instance), "--resolve", `${NAME}:443:${reservedIp}`];
    return (await execa("curl", ["-sS", "--max-time", "5", ...trust, ...args])).stdout;
}

beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "dropscale-authority-"));
    claim = await claimIndex();
    const stateDir = path.join(folder, "state");
    instance = makeInstance({ name: "test", index: claim.index, stateDir, kind: "nspawn" });
    sandbox = await startSandbox(instance, { port: 0 });
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(folder, "key")]);
    const public_key = await readFile(path.join(folder, "key.pub"), "utf8");
    const { ssh_key } = await call("POST", "/account/keys", { name: "test", public_key });
    const { droplet } = await call("POST", "/droplets", {
        ...{ name: "lb", region: "fra1", size: "s-1vcpu-512mb-10gb", image: "debian-12-x64" },
        ...{ ssh_keys: [ssh_key.id], user_data: USER_DATA },
    });
    publicIp = await until("an address", async () => {
        const { networks } = (await call("GET", `/droplets/${droplet.id}`)).droplet;
        return networks.v4.find(({ type }) => type === "public")?.ip_address;
    });
    reservedIp = (await call("POST", "/reserved_ips", { droplet_id: droplet.id })).reserved_ip.ip;
    await until("user data", () => inside("cloud-init status --wait >&2 && command -v lego socat"), 240);
});

afterAll(async () => {
    await purgeSandbox(instance);
    expect(await tracesOf(instance)).toEqual([]);
    await claim.release();
    await rm(folder, { recursive: true, force: true });
});

describe("the region's certificate authority", () => {
    it("is not there before the account has a domain", async () => {
        expect(existsSync(`/run/netns/${authorityNetns(instance)}`)).toBe(false);
        await expect(inside("getent hosts acme-v02.api.letsencrypt.org")).rejects.toThrow();
    });

    it("is Let's Encrypt to a droplet that runs already, which trusts it by its system's trust store", async () => {
        await call("POST", "/domains", { name: "example.com" });
        const directory = () => inside("curl -sS https://acme-v02.api.letsencrypt.org/directory");
        expect(await until("a trusted answer", directory)).toContain(
            '"newOrder": "https://acme-v02.api.letsencrypt.org/order-plz"',
        );
    });

    it("issues for a record that leads to a reserved IP: lego as installed, with nothing set but names", async () => {
        const record = { type: "A", name: "www", data: reservedIp, ttl: 60 };
        await call("POST", "/domains/example.com/records", record);
        expect(await inside(`getent ahostsv4 ${NAME}`)).toContain(reservedIp);
        const resolver = new Resolver();
        resolver.setServers([instance.addresses.uplinkRouter]);
        expect(await resolver.resolve4(NAME, { ttl: true })).toEqual([{ address: reservedIp, ttl: 60 }]);

        await inside(`lego --accept-tos --email a@example.com --domains ${NAME} --http run >&2`);
        const serve =
            `cd .lego/certificates && systemd-run -q --unit=site -p WorkingDirectory=$PWD ` +
            `openssl s_server -accept 443 -www -cert ${NAME}.crt -cert_chain ${NAME}.crt -key ${NAME}.key`;
        await inside(serve);
        expect(await until("HTTPS", () => curl(`https://${NAME}/`))).toContain("s_server");
        expect(await inside(`curl -sS --resolve ${NAME}:443:127.0.0.1 https://${NAME}/`)).toContain(
            "s_server",
        );
        const times = await inside(
            `openssl x509 -noout -checkend ${80 * 86_400} -in .lego/certificates/${NAME}.crt`,
        );
        expect(times).toContain("will not expire");
    });

    it("issues for five minutes under staging's name, and renews", async () => {
        const lego = `lego --path staging --accept-tos --email a@example.com --server ${STAGING} --domains ${NAME} --http`;
        const serial = () => inside(`openssl x509 -noout -serial -in staging/certificates/${NAME}.crt`);
        await inside(`${lego} run >&2`);
        const first = await serial();
        await expect(
            inside(`openssl x509 -noout -checkend 301 -in staging/certificates/${NAME}.crt`),
        ).rejects.toThrow();
        await inside(`${lego} renew --days 1 --no-random-sleep >&2`);
        expect(await serial()).not.toBe(first);
    });

    it("is refused by a firewall that lets nobody in, and by a name that leads elsewhere", async () => {
        const rejected = (name: string) =>
            inside(
                `lego --path refused --accept-tos --email a@example.com --domains ${name} --http run 2>&1 || true`,
            );
        await call("POST", "/domains/example.com/records", { type: "A", name: "gone", data: "192.0.2.1" });
        expect(await rejected("gone.example.com")).toMatch(/acme:error:connection|acme:error:unauthorized/);
        expect(await rejected("nothing.example.com")).toMatch(/acme:error/);
        const outbound = ["tcp", "udp"].map((protocol) => ({
            ...{ protocol, ports: "all", destinations: { addresses: ["0.0.0.0/0"] } },
        }));
        await call("POST", "/firewalls", {
            name: "ssh-only",
            inbound_rules: [{ protocol: "tcp", ports: "22", sources: { addresses: ["0.0.0.0/0"] } }],
            outbound_rules: outbound,
            droplet_ids: [(await droplets())[0]?.id],
        });
        await call("POST", "/domains/example.com/records", { type: "A", name: "shut", data: reservedIp });
        expect(await rejected("shut.example.com")).toMatch(/acme:error:connection/);
    });

    it("outlives the sandbox's process, and is trusted from boot", async () => {
        const roots = await readFile(rootsFile(instance), "utf8");
        await stopSandbox(instance.stateDir);
        sandbox = await startSandbox(instance, { port: 0 });
        expect(await readFile(rootsFile(instance), "utf8")).toBe(roots);
        await inside("rm /usr/local/share/ca-certificates/* && update-ca-certificates --fresh >&2");
        const directory = "curl -sS https://acme-v02.api.letsencrypt.org/directory";
        await expect(inside(directory)).rejects.toThrow(/certificate/);
        const started = "cut -d ' ' -f 22 /proc/1/stat";
        const before = await inside(started);
        await call("POST", `/droplets/${(await droplets())[0]?.id}/actions`, { type: "reboot" });
        await until("a reboot", async () => ((await inside(started)) === before ? undefined : true));
        expect(await until("trust", () => inside(directory), 20)).toContain("newOrder");
    });
});

async function droplets(): Promise<Droplet[]> {
    return ((await call("GET", "/droplets")) as unknown as { droplets: Droplet[] }).droplets;
}
