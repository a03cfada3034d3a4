import { statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { httpsConfig } from "../certificates";
import { callApi } from "../faults.mts";
import {
    type Host,
    hostsOf,
    inside,
    listening,
    METADATA_ADDRESS,
    MIRROR_PORT,
    onTheInternet,
    scan,
    type Vantage,
    watchPorts,
} from "../scan.mts";
import { makeWorld, upEndsWell, type World } from "../world.mts";

/** What something that listens would most likely listen on at first boot: SSH, nginx or HAProxy, rpcbind, TLS, metrics. */
const bootPorts = [22, 80, 111, 443, 8405];

/** DNS, metadata, and Debian packages. */
const servicePorts = [53, 80, MIRROR_PORT];

/** A stack with HTTPS as those see it who should not: by a port scanner, and by somebody who dials while droplets boot. */
describe("closed by default", () => {
    let world: World;
    let made: World | undefined;
    let operator: Vantage;
    let stranger: Vantage;
    let hosts: Record<string, Host>;
    let reservedIp: string;
    const table: string[] = [];

    beforeAll(async () => {
        const { domains, tlsCertificate, tlsKey } = httpsConfig();
        world = made = await makeWorld("nspawn", {
            ...{ replicas: 2, domains, adminHost: true, adminHostImage: "debian-12-x64" },
            metricsSources: ["admin-host"],
        });
        await world.configureSecret("tlsCertificate", tlsCertificate);
        await world.configureSecret("tlsKey", tlsKey);
        ({ operator, stranger } = await onTheInternet(world));
    });
    afterAll(async () => {
        await made?.close();
        console.log(
            [`from → to (nmap: all TCP ports, 100 UDP ports, ping): what answers`, ...table].join("\n"),
        );
    });

    const host = (name: string): Host => {
        const found = hosts[name];
        if (!found) throw new Error(`there is no droplet ${name}`);
        return found;
    };
    /** The addresses that the region gives out next, after so many droplets. */
    const nextPublic = (droplets: number) => addressesAfter(world.instance.addresses.publicGateway, droplets);

    /** What answers whom: scans, and keeps what it found for people. */
    async function expectAnswers(
        from: Vantage,
        expected: Record<string, (number | "ping")[]>,
    ): Promise<void> {
        const names: Record<string, string> = { [reservedIp]: "reserved IP" };
        for (const [name, { publicIp, privateIp }] of Object.entries(hosts))
            Object.assign(names, { [publicIp]: `${name}, public`, [privateIp]: `${name}, private` });
        const addresses = Object.keys(expected);
        const found: Record<string, (number | "ping")[]> = {};
        for (const kind of ["tcp", "udp", "ping"] as const) {
            const seen = await scan(from, addresses, kind);
            for (const address of addresses)
                found[address] = [...(found[address] ?? []), ...(seen[address] ?? [])];
        }
        for (const address of addresses) {
            const to = names[address] ? `${names[address]} ${address}` : address;
            const answers = found[address]?.length ? found[address].join(", ") : "nothing";
            table.push(`${from.name} → ${to}: ${answers}`);
        }
        expect(found).toEqual(expected);
    }

    it("opens ports 80 and 443 of the load balancer and nothing else while the first droplets boot", async () => {
        const addresses = [...nextPublic(0), world.instance.addresses.publicCidr.replace(/0\/24$/, "128")];
        const watch = await watchPorts(stranger, addresses, bootPorts);
        await upEndsWell(world);
        const dials = await watch.stop();
        hosts = await hostsOf(world);
        reservedIp = (await world.outputs()).loadBalancerIp;
        table.push(
            `while two servers, the load balancer and the admin host boot: ${dials} dials; open: ${watch.open.join(", ")}`,
        );
        for (const name of ["load-balancer", "web-0", "web-1", "admin-host"])
            expect(addresses).toContain(host(name).publicIp);
        expect(addresses).toContain(reservedIp);
        const both = [host("load-balancer").publicIp, reservedIp];
        expect(watch.open.sort()).toEqual(both.flatMap((ip) => [`${ip}:80`, `${ip}:443`]).sort());
    });

    it("opens nothing while a server is added: outside, and for the server beside it", async () => {
        const web0 = inside(world, "web-0", host("web-0"));
        const nextPrivate = addressesAfter(host("web-0").privateIp.replace(/\d+$/, "1"), 4);
        const watches = {
            outside: await watchPorts(stranger, nextPublic(4), bootPorts),
            beside: await watchPorts(web0, [...nextPublic(4), ...nextPrivate], bootPorts),
        };
        await world.configure({ replicas: 3 });
        await upEndsWell(world);
        hosts = await hostsOf(world);
        expect([watches.outside.open, watches.beside.open]).toEqual([[], []]);

        // The same two see a droplet that has no firewall.
        await callApi(world, "POST", "/v2/droplets", {
            name: "unprotected",
            region: "fra1",
            size: "s-1vcpu-1gb",
            image: "debian-12-x64",
        });
        await vi.waitFor(
            async () => {
                hosts = await hostsOf(world);
                const { publicIp, privateIp } = host("unprotected");
                expect(watches.outside.open).toEqual([`${publicIp}:22`]);
                expect(watches.beside.open.sort()).toEqual([`${publicIp}:22`, `${privateIp}:22`].sort());
            },
            { timeout: 60_000, interval: 500 },
        );
        const dials = { outside: await watches.outside.stop(), beside: await watches.beside.stop() };
        table.push(
            `while web-2 boots: ${dials.outside} dials from outside, ${dials.beside} from web-0; open: none`,
            `while a droplet without a firewall boots: open: ${watches.beside.open.join(", ")}`,
        );
        expect(nextPublic(4)).toContain(host("web-2").publicIp);
        expect(nextPrivate).toContain(host("web-2").privateIp);
    });

    it("shows the Internet ports 80 and 443 of the load balancer", async () => {
        await expectAnswers(stranger, {
            [reservedIp]: [80, 443],
            [host("load-balancer").publicIp]: [80, 443],
            [host("web-0").publicIp]: [],
            [host("web-1").publicIp]: [],
            [host("admin-host").publicIp]: [],
        });
    });

    it("shows adminCidrs SSH besides", async () => {
        await expectAnswers(operator, {
            [reservedIp]: [22, 80, 443],
            [host("load-balancer").publicIp]: [22, 80, 443],
            [host("web-0").publicIp]: [],
            [host("admin-host").publicIp]: [22],
        });
    });

    it("shows the admin host SSH and, in the VPC, metrics of the load balancer besides, and itself to no other droplet", async () => {
        const [front, admin, web0] = ["load-balancer", "admin-host", "web-0"].map(host);
        const dialled = async (name: string, of: (Host | undefined)[]) => {
            const addresses = of.flatMap((one) => (one ? [one.publicIp, one.privateIp] : []));
            const watch = await watchPorts(inside(world, name, host(name)), addresses, bootPorts);
            await sleep(2000);
            expect(await watch.stop()).toBeGreaterThan(10);
            return watch.open.sort();
        };
        const seen = await dialled("admin-host", [front, web0]);
        table.push(`admin-host → load-balancer, web-0, dialled: ${seen.join(", ")}`);
        const ports = [22, 80, 443];
        const both = [front?.publicIp, front?.privateIp].flatMap((ip) =>
            ports.map((port) => `${ip}:${port}`),
        );
        expect(seen).toEqual([...both, `${front?.privateIp}:8405`].sort());
        for (const name of ["web-0", "load-balancer"]) expect(await dialled(name, [admin])).toEqual([]);
    });

    it("shows a server nothing of another, and of the load balancer what the Internet sees", async () => {
        await expectAnswers(inside(world, "web-0", host("web-0")), {
            [reservedIp]: [80, 443],
            [host("load-balancer").publicIp]: [80, 443],
            [host("load-balancer").privateIp]: [80, 443],
            [host("web-1").publicIp]: [],
            [host("web-1").privateIp]: [],
        });
    });

    it("shows the load balancer SSH and appPort of each server: nothing else listens there", async () => {
        await expectAnswers(inside(world, "load-balancer", host("load-balancer")), {
            [host("web-0").privateIp]: [22, 80],
        });
    });

    it("shows a server nothing of this machine but what 169.254.169.254 serves", async () => {
        const { uplinkHost, publicGateway } = world.instance.addresses;
        const own = Object.entries(networkInterfaces()).find(([name]) => !/^(lo|ds\d+-up)$/.test(name))?.[1];
        const ownAddress = own?.find(({ family }) => family === "IPv4")?.address;
        const from = inside(world, "web-0", host("web-0"));
        await expectAnswers(from, {
            [METADATA_ADDRESS]: [...servicePorts, 53, "ping"],
            [publicGateway]: ["ping"],
            [uplinkHost]: [],
            ...(ownAddress && { [ownAddress]: [] }),
        });

        const port = new URL(world.sandbox.url).port;
        expect(await listening(world.sandbox.pid)).toEqual([`tcp 127.0.0.1:${port}`]);
        const services = [
            ...servicePorts.map((each) => `tcp ${METADATA_ADDRESS}:${each}`),
            `udp ${METADATA_ADDRESS}:53`,
        ];
        expect(await listening(world.sandbox.pid, world.instance.id)).toEqual(services.sort());
        // Token, user data, disks and the engine's state lie in it.
        expect(statSync(world.instance.stateDir).mode & 0o777).toBe(0o700);
    });
});

/** Four addresses: those that come `skip` after a gateway's. */
function addressesAfter(gateway: string, skip: number): string[] {
    const [network, last] = [gateway.replace(/\d+$/, ""), Number(gateway.split(".").at(-1))];
    return [1, 2, 3, 4].map((step) => `${network}${last + skip + step}`);
}
