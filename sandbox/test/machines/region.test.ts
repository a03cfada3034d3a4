import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import dnsPacket from "dns-packet";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { claimIndex } from "../../claim-index.ts";
import { run } from "../../host.ts";
import { instance, type Instance } from "../../instance.ts";
import type { Cloud, Droplet, Firewall } from "../../model.ts";
import { netnsOf } from "../../region/names.ts";
import { Region } from "../../region/region.ts";
import {
    ALL_OUT,
    dropletOf,
    EVERYONE,
    exampleCloud,
    firewall,
    rule,
    withReservedIp,
} from "../region-cloud.ts";
import { Agent, configure, tracesOf } from "./region-harness.ts";

const PORTS = [22, 80, 8080];
const METADATA = "http://169.254.169.254/metadata/v1/";
/** What a dial says when nothing answers, or when the router says no. */
const BLOCKED = /^(timeout|EHOSTUNREACH|ENETUNREACH|EACCES|ECONNREFUSED)$/;

let folder: string;
let release: () => Promise<void>;
let sandbox: Instance;
let region: Region;
let cloud: Cloud;
let host: Agent;
const agents = new Map<number, Agent>();

beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "dropscale-region-"));
    const claim = await claimIndex();
    release = claim.release;
    sandbox = instance({ name: "test", index: claim.index, stateDir: folder, kind: "nspawn" });
    region = new Region(sandbox);
    await region.purge(); // what a crashed test left under this index
    cloud = exampleCloud(sandbox);
    await region.start(cloud);
    host = new Agent();
    await Promise.all(cloud.droplets.map((droplet) => boot(droplet)));
});

afterAll(async () => {
    await Promise.all([host, ...agents.values()].map((agent) => agent.end()));
    await region.purge();
    await release();
    await rm(folder, { recursive: true });
});

beforeEach(async () => {
    cloud = exampleCloud(sandbox);
    await region.sync(cloud);
});

/** A namespace with servers stands for a droplet. */
async function boot(droplet: Droplet): Promise<void> {
    await region.attach(droplet);
    await configure(sandbox, cloud, droplet);
    const agent = new Agent(netnsOf(sandbox, droplet.id));
    await agent.serve(droplet.name, PORTS);
    agents.set(droplet.id, agent);
}

function droplet(id: number): Droplet & { agent: Agent } {
    const agent = agents.get(id);
    if (!agent) throw new Error(`droplet ${id} was not booted`);
    return { ...dropletOf(cloud, id), agent };
}

/** What the API does at a change of firewalls. */
async function setFirewalls(...firewalls: Firewall[]): Promise<void> {
    cloud = { ...cloud, firewalls };
    await region.sync(cloud);
}

async function retag(id: number, tags: string[]): Promise<void> {
    cloud = { ...cloud, droplets: cloud.droplets.map((d) => (d.id === id ? { ...d, tags } : d)) };
    await region.sync(cloud);
}

async function assign(dropletId: number | null): Promise<string> {
    cloud = withReservedIp(cloud, dropletId);
    await region.sync(cloud);
    return cloud.reservedIps.map(({ ip }) => ip).join();
}

/** Counts packets to `range` that the host wants to send (`tried`) and sends (`left`) on anything but `uplink`. */
async function watchPackets(name: string, range: string, uplink: string) {
    const count = (hook: string, priority: number) =>
        `chain ${hook} { type filter hook ${hook} priority ${priority};\n` +
        `oifname != { "${uplink}", "lo" } ip daddr ${range} counter\n}\n`;
    await run("nft", ["-f", "-"], {
        input: `table inet ${name}\ndelete table inet ${name}\ntable inet ${name} {\n${count("output", -300)}${count("postrouting", 300)}}\n`,
    });
    return {
        async packets() {
            const text = await run("nft", ["list", "table", "inet", name]);
            const [tried, left] = [...text.matchAll(/counter packets (\d+)/g)].map(([, count]) =>
                Number(count),
            );
            return { tried, left };
        },
        remove: () => run("nft", ["delete", "table", "inet", name]),
    };
}

describe("cloud firewalls", () => {
    it("are absent without one: all ports answer, from outside, by VPC and by public address", async () => {
        const [lb, web] = [droplet(5), droplet(6)];
        for (const port of PORTS) expect(await host.dial(web.publicIp, port)).toBe(web.name);
        expect(await lb.agent.dial(web.privateIp, 80)).toBe(web.name);
        expect(await lb.agent.dial(web.publicIp, 80)).toBe(web.name);
    });

    it("deny by default, on the public and on the VPC side", async () => {
        await setFirewalls(firewall("shut", { tags: ["web"] }, { outbound: ALL_OUT }));
        const [lb, web] = [droplet(5), droplet(6)];
        expect(await host.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        expect(await lb.agent.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        expect(await lb.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);
        expect(await web.agent.dial(lb.privateIp, 80), "replies to its own flows come in").toBe(lb.name);
    });

    it("allow by address and port, and nothing beside", async () => {
        const { uplinkHost } = sandbox.addresses;
        const inbound = [
            rule("tcp", "22", { addresses: [`${uplinkHost}/32`] }),
            rule("tcp", "8000-9000", { addresses: ["203.0.113.0/24", "::/0"] }),
        ];
        await setFirewalls(firewall("ssh", { dropletIds: [6] }, { inbound, outbound: ALL_OUT }));
        const [lb, web] = [droplet(5), droplet(6)];
        expect(await host.dial(web.publicIp, 22)).toBe(web.name);
        expect(await host.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        expect(await host.dialInVain(web.publicIp, 8080)).toMatch(BLOCKED);
        expect(await lb.agent.dialInVain(web.publicIp, 22)).toMatch(BLOCKED);
    });

    it("follow tags at once, as members and as sources", async () => {
        const inbound = [rule("tcp", "all", { tags: ["lb"] })];
        await setFirewalls(firewall("backends", { tags: ["web"] }, { inbound, outbound: ALL_OUT }));
        const [lb, web, other] = [droplet(5), droplet(6), droplet(7)];
        expect(await lb.agent.dial(web.privateIp, 80)).toBe(web.name);
        expect(await lb.agent.dial(web.publicIp, 8080)).toBe(web.name);
        expect(await host.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        expect(await other.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);

        await retag(7, ["web", "lb"]);
        expect(await other.agent.dial(web.privateIp, 80)).toBe(web.name);
        await retag(5, []);
        expect(await lb.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);
        await retag(6, []);
        expect(await lb.agent.dial(web.privateIp, 80)).toBe(web.name);
        expect(await host.dial(web.publicIp, 80)).toBe(web.name);
    });

    it("let nothing out without an outbound rule; metadata and DNS go on", async () => {
        await setFirewalls(
            firewall("silent", { tags: ["web"] }, { inbound: [rule("tcp", "all", EVERYONE)] }),
        );
        const [lb, web] = [droplet(5), droplet(6)];
        expect(await web.agent.dialInVain(lb.privateIp, 80)).toMatch(BLOCKED);
        expect(await web.agent.dialInVain(lb.publicIp, 80)).toMatch(BLOCKED);
        expect(await host.dial(web.publicIp, 80), "replies to others' flows go out").toBe(web.name);
        expect((await web.agent.get(`${METADATA}id`)).text).toBe("6");
    });

    it("ask both ends: the sender's outbound and the receiver's inbound rules", async () => {
        const from = (port: string) =>
            firewall("from", { tags: ["lb"] }, { outbound: [rule("tcp", port, { tags: ["web"] })] });
        const to = firewall("to", { tags: ["web"] }, { inbound: [rule("tcp", "80", { dropletIds: [5] })] });
        await setFirewalls(from("80"), to);
        const [lb, web, stranger] = [droplet(5), droplet(6), droplet(8)];
        expect(await lb.agent.dial(web.privateIp, 80)).toBe(web.name);
        expect(await lb.agent.dialInVain(stranger.publicIp, 80)).toMatch(BLOCKED);
        expect(await stranger.agent.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        await setFirewalls(from("22"), to);
        expect(await lb.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);
    });

    it("are not deceived by another's address, whatever the host's own rp_filter is", async () => {
        await run("nsenter", [
            `--net=/run/netns/${sandbox.id}`,
            "sysctl",
            "-qw",
            "net.ipv4.conf.default.rp_filter=2",
        ]);
        await agents.get(7)?.end();
        await boot(dropletOf(cloud, 7));
        const inbound = [rule("udp", "514", { tags: ["lb"] })];
        await setFirewalls(firewall("log", { dropletIds: [6] }, { inbound, outbound: ALL_OUT }));
        const [friend, log, liar] = [droplet(5), droplet(6), droplet(7)];
        await log.agent.hear(514);
        for (const [device, own, victims, target] of [
            ["eth0", liar.publicIp, friend.publicIp, log.publicIp],
            ["eth1", liar.privateIp, friend.privateIp, log.privateIp],
        ] as const) {
            await run("ip", ["-n", netnsOf(sandbox, 7), "addr", "add", `${victims}/32`, "dev", device]);
            await liar.agent.whisper(target, 514, victims);
            await liar.agent.whisper(target, 514, own);
            await run("ip", ["-n", netnsOf(sandbox, 7), "addr", "del", `${victims}/32`, "dev", device]);
            expect(await log.agent.heard()).not.toContain(victims);
            await friend.agent.whisper(target, 514, victims);
            expect((await log.agent.heard()).at(-1)).toBe(victims);
            expect(await log.agent.heard()).not.toContain(own);
        }
    });

    it("let flows that exist go on when the rules change", async () => {
        const web = droplet(6);
        expect(await host.hold(web.publicIp, 80)).toBe(web.name);
        await setFirewalls(firewall("shut", { tags: ["web"] }, {}));
        expect(await host.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
        expect(await host.say(web.publicIp, 80, "still there?")).toBe("still there?");
    });

    it("are changed without losing a packet", async () => {
        const web = droplet(6);
        const open = firewall("open", { tags: ["web"] }, { inbound: [rule("tcp", "80", EVERYONE)] });
        const closed = firewall("shut", { tags: ["lb"] }, {});
        await setFirewalls(open);
        const answers = new Map<string, number>();
        let rounds = 20;
        const change = async () => {
            for (; rounds > 0; rounds--) await setFirewalls(...(rounds % 2 ? [open] : [open, closed]));
        };
        const dial = async () => {
            while (rounds > 0) {
                const answer = await host.dialInVain(web.publicIp, 80);
                answers.set(answer, (answers.get(answer) ?? 0) + 1);
            }
        };
        await Promise.all([change(), dial()]);
        expect([...answers.keys()]).toEqual([web.name]);
        expect(answers.get(web.name)).toBeGreaterThan(20);
    });

    it("accept 50 droplets and 21 firewalls in well under a second", async () => {
        const model = dropletOf(cloud, 6);
        const droplets = Array.from({ length: 50 }, (_, n) => ({
            ...model,
            id: 1000 + n,
            tags: [`t${n % 20}`],
        }));
        const firewalls = Array.from({ length: 21 }, (_, n) =>
            firewall(
                `f${n}`,
                { tags: [`t${n}`] },
                { inbound: [rule("tcp", "80", { tags: [`t${n + 1}`] })], outbound: ALL_OUT },
            ),
        );
        const started = performance.now();
        await region.sync({ ...cloud, droplets: [...cloud.droplets, ...droplets], firewalls });
        expect(performance.now() - started).toBeLessThan(1000);
    });
});

describe("VPCs", () => {
    it("do not meet: neither by private addresses nor from public to private", async () => {
        const [web, stranger] = [droplet(6), droplet(8)];
        expect(await stranger.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);
        expect(await web.agent.dialInVain(stranger.privateIp, 80)).toMatch(BLOCKED);
        expect(await stranger.agent.dial(web.publicIp, 80)).toBe(web.name);

        // Two that know of each other's range, and send there by their private side.
        for (const [from, to] of [
            [web, stranger],
            [stranger, web],
        ] as const) {
            const route = ["route", "add", `${to.privateIp}/32`, "dev", "eth1"];
            await run("ip", ["-n", netnsOf(sandbox, from.id), ...route]);
        }
        expect(await stranger.agent.dialInVain(web.privateIp, 80)).toMatch(BLOCKED);
        expect(await web.agent.dialInVain(stranger.privateIp, 80)).toMatch(BLOCKED);
    });

    it("are shown to their droplets by the gateway and no one else", async () => {
        const { agent } = droplet(6);
        expect(await agent.dialInVain("10.114.0.99", 80)).toMatch(BLOCKED);
        expect(
            await agent.dialInVain(droplet(5).anchorIp, 80),
            "an anchor answers only to its reserved IP",
        ).toMatch(BLOCKED);
    });
});

describe("a reserved IP", () => {
    it("answers for the droplet that holds it, to the host and to droplets", async () => {
        const ip = await assign(6);
        expect(await host.dial(ip, 80)).toBe("droplet-6");
        expect(await droplet(5).agent.dial(ip, 80)).toBe("droplet-6");
        expect((await droplet(6).agent.get(`${METADATA}reserved_ip/ipv4/ip_address`)).text).toBe(ip);
    });

    it("obeys its droplet's firewall", async () => {
        const ip = await assign(6);
        await setFirewalls(firewall("web", { tags: ["web"] }, { inbound: [rule("tcp", "80", EVERYONE)] }));
        expect(await host.dial(ip, 80)).toBe("droplet-6");
        expect(await host.dialInVain(ip, 22)).toMatch(BLOCKED);
    });

    it("moves: new connections reach the new droplet, old ones are reset and no longer reach the old one", async () => {
        const ip = await assign(6);
        expect(await host.hold(ip, 80)).toBe("droplet-6");
        await assign(7);
        expect(await host.say(ip, 80, "who are you?")).toBe("ECONNRESET");
        expect(await host.dial(ip, 80)).toBe("droplet-7");
        expect((await droplet(6).agent.get(`${METADATA}reserved_ip/ipv4/active`)).text).toBe("false");
    });

    it("keeps its connections when something else changes", async () => {
        const ip = await assign(6);
        await host.hold(ip, 80);
        await setFirewalls(firewall("shut", { tags: ["lb"] }, {}));
        expect(await host.say(ip, 80, "who are you?")).toBe("who are you?");
    });

    it("answers nobody while no droplet holds it", async () => {
        const ip = await assign(6);
        expect(await host.hold(ip, 80)).toBe("droplet-6");
        await region.sync({ ...cloud, reservedIps: [] });
        expect(await host.sayInVain(ip, 80, "still there?")).toMatch(BLOCKED);
        expect(await host.dialInVain(ip, 80)).toMatch(BLOCKED);
    });
});

describe("at 169.254.169.254", () => {
    it("each droplet finds its own metadata", async () => {
        for (const { id, name, agent } of [droplet(5), droplet(8)]) {
            expect((await agent.get(`${METADATA}hostname`)).text).toBe(name);
            const { headers, text } = await agent.get("http://169.254.169.254/metadata/v1.json");
            expect(headers["content-type"]).toMatch(/^application\/json/);
            expect(JSON.parse(text)).toMatchObject({ droplet_id: id });
        }
        const { agent } = droplet(5);
        expect(await agent.get(`${METADATA}nothing`)).toMatchObject({ status: 404 });
        expect(await agent.get(METADATA.slice(0, -1))).toMatchObject({ status: 301 });
        expect((await agent.get(`${METADATA}user-data`)).headers["content-type"]).toMatch(/^text\/plain/);
    });

    it("a droplet's MAC addresses are those it has", async () => {
        for (const [side, link] of [
            ["public", "eth0"],
            ["private", "eth1"],
        ] as const) {
            const mac = (await droplet(6).agent.get(`${METADATA}interfaces/${side}/0/mac`)).text;
            expect(await run("ip", ["-n", netnsOf(sandbox, 6), "link", "show", link])).toContain(mac);
        }
    });

    it("a droplet that takes another's address learns nothing", async () => {
        const [liar, victim] = [droplet(6), droplet(5)];
        const netns = netnsOf(sandbox, liar.id);
        await run("ip", ["-n", netns, "addr", "add", `${victim.publicIp}/32`, "dev", "eth0"]);
        const { status, text } = await liar.agent.get(`${METADATA}user-data`, { from: victim.publicIp });
        await run("ip", ["-n", netns, "addr", "del", `${victim.publicIp}/32`, "dev", "eth0"]);
        expect([status, text]).toEqual([0, "timeout"]);
        expect((await liar.agent.get(`${METADATA}id`, { from: liar.publicIp })).text).toBe("6");
    });

    it("names are refused at once", async () => {
        const query = dnsPacket.encode({
            type: "query",
            id: 7,
            questions: [{ type: "A", name: "example.com" }],
        });
        const started = performance.now();
        const answer = await droplet(6).agent.datagram("169.254.169.254", 53, query.toString("hex"));
        expect(performance.now() - started).toBeLessThan(1000);
        expect(dnsPacket.decode(Buffer.from(answer, "hex"))).toMatchObject({ id: 7, rcode: "NXDOMAIN" });
    });

    it("apt finds Debian's packages by proxy, whole, in part, and only when they are new", async () => {
        const pool = path.join(folder, "mirror/bookworm/debian/pool/bookworm/libs");
        await mkdir(pool, { recursive: true });
        await writeFile(path.join(pool, "libs+1_2~3.deb"), "0123456789");
        const { agent } = droplet(6);
        const fetch = (host: string, file: string, headers = {}) =>
            agent.get(`http://${host}/debian/pool/bookworm/${file}`, { proxy: "169.254.169.254", headers });
        const url = "libs/libs%2b1_2%7e3.deb";

        const whole = await fetch("deb.debian.org", url);
        expect(whole).toMatchObject({ status: 200, text: "0123456789" });
        expect(await fetch("deb.debian.org", url, { range: "bytes=4-" })).toMatchObject({
            status: 206,
            text: "456789",
        });
        const since = { "if-modified-since": whole.headers["last-modified"] };
        expect(await fetch("deb.debian.org", url, since)).toMatchObject({ status: 304 });
        expect(await fetch("deb.debian.org", "libs/missing.deb")).toMatchObject({ status: 404 });
        expect(await fetch("deb.debian.org", "../../../../../../etc/passwd")).not.toMatchObject({
            status: 200,
        });

        const foreign = await fetch("packages.example.com", url);
        expect(foreign.status).toBe(403);
        expect(foreign.text).toMatch(/^packages\.example\.com: the sandbox has no Internet.*\n$/);
        const tunnel = await agent.tunnel("169.254.169.254", "packages.example.com:443");
        expect(tunnel).toMatch(
            /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\npackages\.example\.com:443: the sandbox/,
        );
    });
});

describe("nothing gets out", () => {
    it("of a droplet: not to the host, not to its other addresses, not to the Internet's", async () => {
        const [port = 0] = await host.serve("the host", [0]);
        const own = Object.values(os.networkInterfaces()).flatMap((list) => list ?? []);
        const addresses = [
            ...own
                .filter(({ family, internal }) => family === "IPv4" && !internal)
                .map(({ address }) => address),
            sandbox.addresses.uplinkHost,
            sandbox.addresses.uplinkRouter,
            "192.0.2.80",
        ];
        expect(addresses).toContain(sandbox.addresses.uplinkHost);
        const before = await host.served();
        const { agent } = droplet(6);
        for (const address of addresses)
            expect(await agent.dialInVain(address, port), address).toMatch(BLOCKED);
        const router = new Agent(sandbox.id); // the host's own guard stands behind the router's rules
        expect(await router.dialInVain(sandbox.addresses.uplinkHost, port)).toBe("timeout");
        await router.end();
        expect(await host.served()).toBe(before);
        expect(await host.dial("127.0.0.1", port)).toBe("the host");
    });

    it("of the host for a droplet: not without the cable, not by another's route", async () => {
        const { id, addresses } = sandbox;
        const { publicIp } = droplet(6);
        const bait = `${id}-bait`; // a way out that would carry the packets, and leads nowhere
        await run("ip", ["link", "add", bait, "type", "veth", "peer", "name", "baited", "netns", id]);
        await run("ip", ["link", "set", bait, "up"]);
        const witness = await watchPackets(`witness-${id}`, addresses.publicCidr, `${id}-up`);
        try {
            await run("ip", ["link", "set", `${id}-up`, "down"]);
            expect(await host.dialInVain(publicIp, 80)).toMatch(/^E(HOST|NET)UNREACH$/);
            expect(await host.dialInVain(addresses.uplinkRouter, 80)).toMatch(/^E(HOST|NET)UNREACH$/);
            expect(await witness.packets()).toEqual({ tried: 0, left: 0 });

            await run("ip", ["route", "add", addresses.publicCidr, "dev", bait]);
            expect(await host.dialInVain(publicIp, 80)).toMatch(BLOCKED);
            const { tried, left } = await witness.packets();
            expect(tried).toBeGreaterThan(0);
            expect(left).toBe(0);
        } finally {
            await witness.remove();
            await run("ip", ["link", "del", bait]);
        }
        await region.sync(cloud);
        expect(await host.dial(publicIp, 80), "the next change fixes it").toBe("droplet-6");
    });

    it("of an instance next door with the same private addresses", async () => {
        const claim = await claimIndex();
        const neighbour = instance({ name: "b", index: claim.index, stateDir: folder, kind: "nspawn" });
        const other = new Region(neighbour);
        try {
            const web = dropletOf(exampleCloud(neighbour), 6);
            await other.purge();
            await other.start(exampleCloud(neighbour));
            await other.attach(web);
            await configure(neighbour, exampleCloud(neighbour), web);
            const agent = new Agent(netnsOf(neighbour, web.id));
            await agent.serve("neighbour", [80]);
            expect(await host.dial(web.publicIp, 80)).toBe("neighbour");
            expect(await droplet(5).agent.dial(web.privateIp, 80), "each has its own").toBe("droplet-6");
            expect(await agent.dialInVain(droplet(5).publicIp, 80)).toMatch(BLOCKED);
            expect(await droplet(5).agent.dialInVain(web.publicIp, 80)).toMatch(BLOCKED);
            expect((await agent.get(`${METADATA}id`)).text).toBe("6");
            await agent.end();
        } finally {
            await other.purge();
            await claim.release();
        }
        expect(await host.dial(droplet(6).publicIp, 80), "its end is not ours").toBe("droplet-6");
        expect(await tracesOf(neighbour)).toEqual([]);
    });
});

describe("a droplet's network", () => {
    it("is made anew at each attach, and is gone after detach, with its flows", async () => {
        const { publicIp } = droplet(7);
        expect(await host.hold(publicIp, 80)).toBe("droplet-7");
        await agents.get(7)?.end();
        await boot(droplet(7));
        expect(await host.dial(publicIp, 80)).toBe("droplet-7");

        await agents.get(7)?.end();
        await region.detach(7);
        expect(await host.dialInVain(publicIp, 80)).toMatch(BLOCKED);
        expect(await run("ip", ["-n", sandbox.id, "-o", "link"])).not.toMatch(/[pv]7[@:]/);
        expect((await tracesOf(sandbox)).filter((line) => line.includes(netnsOf(sandbox, 7)))).toEqual([]);
        const flows = await run("nsenter", [`--net=/run/netns/${sandbox.id}`, "conntrack", "-L"]);
        expect(flows).not.toContain(`=${publicIp} `);
        await region.detach(7); // nothing to do is no error
        await boot(dropletOf(cloud, 7));
        expect(await host.dial(publicIp, 80)).toBe("droplet-7");
    });

    it("passes nothing before a sync has told of the droplet", async () => {
        const { id, publicIp } = droplet(6);
        await region.sync({ ...cloud, droplets: cloud.droplets.filter((d) => d.id !== id) });
        expect(await host.dialInVain(publicIp, 80)).toMatch(BLOCKED);
    });

    it("is refused to a droplet of an unknown VPC", async () => {
        const lost = { ...dropletOf(cloud, 5), id: 55, vpcUuid: "green" };
        await expect(region.attach(lost)).rejects.toThrow(
            "droplet 55 is in VPC green, which the region was not told of",
        );
    });
});

describe("a region", () => {
    it("does not serve an instance that another process serves", async () => {
        await expect(new Region(sandbox).start(cloud)).rejects.toThrow(
            `metadata service of sandbox ${sandbox.id}: another process serves it already`,
        );
        expect((await droplet(6).agent.get(`${METADATA}id`)).text).toBe("6");
    });

    it("outlives its process: guarded and firewalled after SIGKILL, adopted by the next", async () => {
        await region.stop();
        const [port = 0] = await host.serve("the host", [0]);
        const shut = firewall("shut", { tags: ["web"] }, { inbound: [rule("tcp", "80", EVERYONE)] });
        cloud = { ...cloud, firewalls: [shut] };
        const script = `
            import { instance } from "./instance.ts";
            import { Region } from "./region/region.ts";
            const { sandbox, cloud } = JSON.parse(process.env.INPUT);
            new Region(instance(sandbox)).start(cloud).then(() => process.send("started"));`;
        const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script], {
            cwd: fileURLToPath(new URL("../..", import.meta.url)),
            env: { ...process.env, INPUT: JSON.stringify({ sandbox, cloud }) },
            stdio: ["ignore", "inherit", "inherit", "ipc"],
        });
        await once(child, "message");
        const { agent, publicIp } = droplet(6);
        expect((await agent.get(`${METADATA}id`)).text).toBe("6");
        child.kill("SIGKILL");
        await once(child, "exit");

        expect((await agent.get(`${METADATA}id`)).text).toBe("ECONNREFUSED");
        expect(await host.dial(publicIp, 80)).toBe("droplet-6");
        expect(await host.dialInVain(publicIp, 22)).toMatch(BLOCKED);
        expect(await agent.dialInVain(sandbox.addresses.uplinkHost, port)).toMatch(BLOCKED);
        expect(await run("ip", ["route", "show", "type", "unreachable"])).toContain(
            sandbox.addresses.publicCidr,
        );
        expect(await tracesOf(sandbox)).toContain(`table inet ${sandbox.id}`);

        await region.start(cloud);
        expect((await agent.get(`${METADATA}id`)).text).toBe("6");
        expect(await host.dialInVain(publicIp, 22)).toMatch(BLOCKED);
    });

    it("names the command that this host lacks", async () => {
        const script = `
            import { Region } from "./region/region.ts";
            const { sandbox, cloud } = JSON.parse(process.env.INPUT);
            new Region(sandbox).start(cloud).catch((error) => console.log(error.message));`;
        const shell = `mount -t tmpfs none /usr/sbin && exec "$0" --import tsx --input-type=module --eval "$1"`;
        const said = await run("unshare", ["--mount", "sh", "-c", shell, process.execPath, script], {
            cwd: fileURLToPath(new URL("../..", import.meta.url)),
            env: { INPUT: JSON.stringify({ sandbox, cloud }) },
        });
        expect(said).toBe("conntrack is not installed on this host: apt-get install conntrack");
    });

    it("leaves nothing of itself after purge, and purges what another process made", async () => {
        expect((await tracesOf(sandbox)).length).toBeGreaterThan(10);
        await region.stop();
        await new Region(sandbox).purge();
        expect(await tracesOf(sandbox)).toEqual([]);
        await new Region(sandbox).purge(); // nothing to do is no error
    });
});
