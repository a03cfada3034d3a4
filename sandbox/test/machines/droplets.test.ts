import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { emptyCloud } from "../../api/cloud.ts";
import { claimIndex } from "../../claim-index.ts";
import { createMachines } from "../../droplets/machines.ts";
import { instance as makeInstance, type Instance } from "../../instance.ts";
import type { Machines, Usage } from "../../machines.ts";
import type { Cloud, Droplet, SizeSpec, Snapshot } from "../../model.ts";

const SMALL: SizeSpec = { slug: "s-1vcpu-512mb-10gb", vcpus: 1, memoryMiB: 512, diskGiB: 10 };
const LARGE: SizeSpec = { slug: "s-2vcpu-2gb", vcpus: 2, memoryMiB: 2048, diskGiB: 60 };
const NGINX = `#cloud-config
packages: [nginx]
write_files:
  - path: /var/www/html/index.html
    content: PAGE
runcmd:
  - echo run >>/root/first-boots
`;

let one: Droplet;
let two: Droplet;
let copy: Droplet;
let claim: Awaited<ReturnType<typeof claimIndex>>;
let folder: string;
let instance: Instance;
let cloud: Cloud;
let machines: Machines;
let publicKey: string;
let exits: number[] = [];

function droplet(id: number, userData: string, change: Partial<Droplet> = {}): Droplet {
    return {
        id,
        name: `web-${id}`,
        hostname: `web-${id}`,
        region: "fra1",
        size: SMALL.slug,
        diskGiB: SMALL.diskGiB,
        image: { slug: "debian-12-x64" },
        status: "new",
        locked: false,
        createdAt: "2026-01-01T00:00:00Z",
        vpcUuid: "vpc",
        tags: [],
        sshKeyIds: [],
        userData,
        features: [],
        publicIp: `198.18.${instance.index}.${id}`,
        privateIp: `10.114.0.${id}`,
        anchorIp: `10.17.0.${id}`,
        ...change,
    };
}

function cloudWithVpc(): Cloud {
    const vpc = { id: "vpc", name: "default-fra1", description: "", region: "fra1" };
    const vpcs = [{ ...vpc, ipRange: "10.114.0.0/20", default: true, createdAt: "2026-01-01T00:00:00Z" }];
    return { ...emptyCloud(), vpcs };
}

function manager(): Machines {
    const made = createMachines(instance, (line) => {
        console.log(line);
    });
    made.onExit((id) => {
        exits.push(id);
    });
    return made;
}

async function create(of: Droplet, size = SMALL, snapshot?: Snapshot): Promise<void> {
    cloud.droplets.push(of);
    await machines.sync(cloud);
    await machines.create(of, { size, publicKeys: [publicKey], ...(snapshot && { snapshot }) });
}

/** Runs a command in a droplet by SSH as root; waits for sshd. */
async function inside({ publicIp }: Droplet, command: string, options: string[] = []): Promise<string> {
    const fixed = [
        "BatchMode=yes",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "ConnectTimeout=2",
    ];
    const flags = [...options, ...fixed].flatMap((option) => ["-o", option]);
    for (let attempt = 1; ; attempt++) {
        const key = path.join(folder, "key");
        const result = await execa("ssh", ["-i", key, ...flags, `root@${publicIp}`, command], {
            reject: false,
        });
        if (result.exitCode === 0) return result.stdout;
        const notYet =
            result.exitCode === 255 &&
            /refused|timed out|reset|unreachable|closed|No route/.test(result.stderr);
        if (!notYet || attempt > 60)
            throw new Error(`${command}: ${String(result.exitCode)} ${result.stderr} ${result.stdout}`);
        await sleep(500);
    }
}

async function until(what: string, done: () => boolean | Promise<boolean>, seconds = 20): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    while (!(await done())) {
        await sleep(50);
        if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    }
}

/** Everything on this host that carries the instance's name. */
async function traces(): Promise<string[]> {
    const netns = (await readdir("/run/netns").catch(() => [])).filter((name) =>
        name.startsWith(instance.id),
    );
    const cgroups = (
        await execa("find", ["/sys/fs/cgroup", "-path", `*/${instance.id}/*`, "-o", "-name", instance.id])
    ).stdout;
    const nspawn = (await readdir("/run/systemd/nspawn/propagate").catch(() => [])).filter((name) =>
        name.startsWith(`${instance.id}-`),
    );
    const mounts = (await readFile("/proc/mounts", "utf8"))
        .split("\n")
        .filter((line) => line.includes(instance.stateDir));
    const processes = (await execa("ps", ["-eo", "args"])).stdout
        .split("\n")
        .filter((line) => line.includes(`${instance.id}-`) || line.includes(instance.stateDir));
    const files = existsSync(instance.stateDir) ? await readdir(instance.stateDir) : [];
    return [...netns, ...nspawn, ...cgroups.split("\n").filter(Boolean), ...mounts, ...processes, ...files];
}

beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "droplets-"));
    claim = await claimIndex();
    const { index } = claim;
    instance = makeInstance({
        name: "test",
        index,
        stateDir: path.join(folder, "state"),
        kind: "nspawn",
    });
    await mkdir(instance.stateDir);
    await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(folder, "key")]);
    publicKey = (await readFile(path.join(folder, "key.pub"), "utf8")).trim();
    one = droplet(11, NGINX.replace("PAGE", "one"));
    two = droplet(12, NGINX.replace("PAGE", "two"));
    copy = droplet(13, "#!/bin/sh\necho script >/root/script\n");
    cloud = cloudWithVpc();
    machines = manager();
    expect(await machines.start(cloud)).toEqual(new Set());
});

afterAll(async () => {
    await machines.purge();
    await claim.release();
    await rm(folder, { recursive: true, force: true });
});

describe("droplets that boot", () => {
    it("run their user data, install packages and serve", async () => {
        const started = Date.now();
        await Promise.all([create(one), create(two)]);
        for (const [of, page] of [
            [one, "one"],
            [two, "two"],
        ] as const) {
            expect(await inside(of, "cloud-init status --wait")).toMatch(/status: done$/);
            expect(await (await fetch(`http://${of.publicIp}/`)).text()).toBe(page);
        }
        console.log(`two droplets with nginx: done after ${(Date.now() - started) / 1000} s`);
    });

    it("let root in by key, and have no password", async () => {
        expect(await inside(one, "getent shadow root")).toMatch(/^root:\*:/);
        await expect(inside(one, "true", ["PubkeyAuthentication=no"])).rejects.toThrow(
            /Permission denied \(publickey\)/,
        );
    });

    it("have the host name, memory, processes' limits and addresses of their droplet", async () => {
        expect(await inside(one, "hostname; cat /etc/hostname")).toBe("web-11\nweb-11");
        expect(await inside(one, "free -m | awk '/Mem/{print $2}'")).toBe("512");
        const addresses = await inside(one, "ip -4 -o addr | awk '{print $2, $4}'");
        expect(addresses.split("\n")).toEqual([
            "lo 127.0.0.1/8",
            `eth0 ${one.publicIp}/24`,
            `eth0 ${one.anchorIp}/16`,
            `eth1 ${one.privateIp}/20`,
        ]);
        expect(await inside(one, "systemctl --failed --plain --no-legend")).toBe("");
        expect(await inside(one, 'python3 -c "x = bytearray(700 << 20)"; echo $?')).toMatch(/^137$/m); // killed
    });

    it("have what they write to their disk counted, and the tasks that run", async () => {
        const before = (await machines.usage(one))?.diskBytes ?? NaN;
        // With the base image.
        expect(before).toBeGreaterThan(200 << 20);
        await inside(
            one,
            "head -c 32M /dev/urandom >/root/file; systemd-run --quiet --unit=busy sh -c 'while :; do :; done'",
        );
        expect(((await machines.usage(one))?.diskBytes ?? NaN) - before).toBeGreaterThanOrEqual(32 << 20);
        await expect.poll(() => machines.activeTasks(one)).toBeGreaterThanOrEqual(1);
        await inside(one, "systemctl stop busy; rm /root/file");
    });

    it("have their processor time, memory and traffic counted", async () => {
        const sum = (usage?: Usage) => (usage ? usage.cpu.user + usage.cpu.system : NaN);
        const before = await machines.usage(one);
        const burn = "import time\nx = bytearray(64 << 20)\nwhile time.process_time() < 1: pass";
        await inside(one, `python3 -c '${burn}'; head -c 8M /dev/zero`);
        const after = await machines.usage(one);
        const sent = (usage?: Usage) => usage?.traffic.public.outbound ?? NaN;
        // With SSH's own, and its padding.
        expect(sent(after) - sent(before)).toBeGreaterThan(8 << 20);
        expect(sent(after) - sent(before)).toBeLessThan(12 << 20);
        const { usedBytes = NaN, cachedBytes = NaN } = after?.memory ?? {};
        expect(usedBytes).toBeGreaterThan(16 << 20);
        expect(usedBytes).toBeLessThan(1024 << 20);
        expect(cachedBytes).toBeLessThan(usedBytes);
        const taken = sum(after) - sum(before);
        // A second of Python's, and what SSH and the machine's services took meanwhile.
        expect(taken).toBeGreaterThan(1);
        expect(taken).toBeLessThan(3);
    });

    it("reach each other on both networks, and their metadata", async () => {
        expect(await inside(one, `curl -s http://${two.privateIp}/ http://${two.publicIp}/`)).toBe("twotwo");
        expect(await inside(one, "curl -s http://169.254.169.254/metadata/v1/id")).toBe("11");
    });

    it("tell when they power off by themselves; the disk stays, and user data does not run again", async () => {
        await inside(
            one,
            "echo kept >/root/kept; nohup sh -c 'sleep 0.3; systemctl poweroff' >/dev/null 2>&1 &",
        );
        await until("exit told", () => exits.length > 0);
        await machines.powerOn(one);
        expect(
            await inside(one, "cloud-init status --wait >/dev/null; cat /root/kept /root/first-boots"),
        ).toBe("kept\nrun");
        expect(await (await fetch(`http://${one.publicIp}/`)).text()).toBe("one");
        expect(exits).toEqual([11]);
    });

    it("stop and start when told to, without a word of it", async () => {
        exits = [];
        await machines.powerOff(one);
        expect(await machines.usage(one)).toBeUndefined();
        await expect(
            fetch(`http://${one.publicIp}/`, { signal: AbortSignal.timeout(3000) }),
        ).rejects.toThrow();
        await machines.powerOn(one);
        await inside(one, "true");
        await machines.shutdown(one, 60);
        await expect(
            fetch(`http://${one.publicIp}/`, { signal: AbortSignal.timeout(3000) }),
        ).rejects.toThrow();
        await machines.powerOn(one);
        expect(await inside(one, "cat /root/kept")).toBe("kept");
        expect(exits).toEqual([]);
    });

    it("reboot, from outside and from inside", async () => {
        const bootId = () => inside(one, "cat /proc/1/stat | cut -d' ' -f22");
        const first = await bootId();
        await machines.reboot(one);
        const second = await bootId();
        expect(second).not.toBe(first);
        await inside(one, "nohup sh -c 'sleep 0.3; systemctl reboot' >/dev/null 2>&1 &");
        await until("rebooted", async () => (await bootId().catch(() => second)) !== second, 40);
        expect(exits).toEqual([]);
    });

    it("have another size after a resize", async () => {
        await machines.powerOff(one);
        await machines.resize(one, LARGE);
        await machines.powerOn(one);
        expect(await inside(one, "free -m | awk '/Mem/{print $2}'")).toBe("2048");
    });

    it("say why they can't start", async () => {
        await machines.powerOff(one);
        const file = path.join(instance.stateDir, "droplets/11/machine.json");
        const spec = await readFile(file, "utf8");
        await writeFile(file, spec.replace('"lowerdir":"', '"lowerdir":"/no/such'));
        await expect(machines.powerOn(one)).rejects.toThrow(
            /^droplet 11 can't start: its base image \/no\/such.* is gone/,
        );
        await writeFile(file, spec.replace(/"hostname":"[^"]*"/, '"hostname":"not a host name"'));
        await expect(machines.powerOn(one)).rejects.toThrow(
            /^droplet 11 did not start: Invalid hostname: not a host name/,
        );
        await writeFile(file, spec);
        await machines.powerOn(one);
        expect(await inside(one, "hostname")).toBe("web-11");
        expect(exits).toEqual([]);
    });

    it("refuse a shutdown that does not happen in time, and stay", async () => {
        await inside(two, "systemd-run --property=ExecStop='/bin/sleep 8' --remain-after-exit true");
        await expect(machines.shutdown(two, 1)).rejects.toThrow(/droplet 12 did not shut down within 1 s/);
        await until("exit told", () => exits.includes(12), 60);
        await machines.powerOn(two);
        await inside(two, "true");
        exits = [];
    });
});

describe("snapshots", () => {
    it("copy a running droplet; one made from it is a machine of its own", async () => {
        // What was deleted must stay deleted, also a folder that was made anew.
        await inside(one, "rm -rf /etc/cron.d && mkdir /etc/cron.d && rm /etc/issue && sync");
        const { sizeGiB } = await machines.snapshot(one, 50);
        expect(sizeGiB).toBeGreaterThan(0);
        expect(await inside(one, "cat /root/kept")).toBe("kept");

        const snapshot = {
            id: 50,
            name: "golden",
            dropletId: 11,
            baseSlug: "debian-12-x64",
            region: "fra1",
        };
        const rest = { createdAt: "2026-01-01T00:00:00Z", minDiskGiB: 10, sizeGiB, tags: [] };
        cloud.snapshots.push({ ...snapshot, ...rest });
        await create(copy, SMALL, cloud.snapshots[0]);
        await machines.deleteSnapshot(50);
        cloud.snapshots = [];

        expect(await inside(copy, "cloud-init status --wait")).toMatch(/status: done$/);
        expect(
            await inside(copy, "cat /root/kept /root/script; ls -A /etc/cron.d; ls /etc/issue || true"),
        ).toBe("kept\nscript");
        expect(await inside(copy, "hostname; free -m | awk '/Mem/{print $2}'")).toBe("web-13\n512");
        const both = async (file: string) => [
            await inside(one, `cat ${file}`),
            await inside(copy, `cat ${file}`),
        ];
        const [ownKey, copiedKey] = await both("/etc/ssh/ssh_host_ed25519_key.pub");
        expect(copiedKey).not.toBe(ownKey);
        // Whoever makes an image empties it before: the service copies a disk as it is.
        const [ownId, copiedId] = await both("/etc/machine-id");
        expect(copiedId).toMatch(/^[0-9a-f]{32}$/);
        expect(copiedId).toBe(ownId);
        expect(await inside(copy, "ip -4 -o addr show eth0 | awk '{print $4}'")).toBe(
            `${copy.publicIp}/24\n${copy.anchorIp}/16`,
        );
        expect(await (await fetch(`http://${copy.publicIp}/`)).text()).toBe("one");
    });
});

describe("a manager that ended", () => {
    it("leaves droplets running; the next adopts them, and removes what its cloud does not know", async () => {
        const bootTime = "cut -d' ' -f22 /proc/1/stat";
        await machines.powerOff(two);
        const first = await inside(one, bootTime);
        await machines.detach();
        expect(await (await fetch(`http://${one.publicIp}/`)).text()).toBe("one");
        await inside(one, "nohup sh -c 'sleep 0.3; systemctl reboot' >/dev/null 2>&1 &");
        await until("rebooted", async () => (await inside(one, bootTime).catch(() => first)) !== first, 40);
        const before = await inside(one, bootTime);

        cloud = { ...cloud, droplets: [one, two] };
        machines = manager();
        expect(await machines.start(cloud)).toEqual(new Set([one.id]));
        expect(
            (await traces()).filter(
                (trace) => trace.includes(`/${copy.id}`) || trace.endsWith(`-${copy.id}`),
            ),
        ).toEqual([]);
        expect(await readdir(path.join(instance.stateDir, "droplets"))).toEqual(["11", "12"]);
        expect(await inside(one, bootTime)).toBe(before);

        exits = [];
        await inside(one, "nohup sh -c 'sleep 0.3; systemctl poweroff' >/dev/null 2>&1 &");
        await until("exit of an adopted droplet told", () => exits.length > 0);
        await machines.powerOn(two);
        expect(await inside(two, "hostname")).toBe("web-12");
    });

    it("takes nothing with it when it destroys, and purges everything", async () => {
        await machines.destroy(one);
        expect((await traces()).filter((trace) => /(\/|-)11(\b|$)/.test(trace))).toEqual([]);
        expect(await inside(two, "hostname")).toBe("web-12");
        await machines.purge();
        await until("no trace is left", async () => (await traces()).length === 0);
    });
});
