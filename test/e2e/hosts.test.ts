import { execFile } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { fingerprint } from "../../lib/host-key";
import { callApi, dropletNamed, inDroplet, onLoadBalancer } from "../faults.mts";
import { makeWorld, up, upEndsWell, type World } from "../world.mts";
import { get, Visitors } from "./client";
import { serveSlowly } from "./site";

const metadata = "http://169.254.169.254/metadata/v1/id";

/** What the hosts themselves let in and tell, whatever the firewalls around them do. */
describe("the hosts", () => {
    let world: World;
    let made: World | undefined;
    let url: string;
    let privateIp: string;
    const ids = { loadBalancer: 0, backend: 0 };
    const greetings: string[] = [];

    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 1 });
        serveSlowly(world.folder);
        const booting = new AbortController();
        const listening = collectGreetings(world, greetings, booting.signal);
        await upEndsWell(world).finally(() => {
            booting.abort();
        });
        await listening;
        const outputs = await world.outputs();
        url = outputs.url;
        privateIp = outputs.servers[0]?.privateIp ?? "";
        ids.loadBalancer = (await dropletNamed(world, "load-balancer")).id;
        ids.backend = (await dropletNamed(world, "web-0")).id;
    });
    afterAll(async () => {
        await made?.close();
    });

    const onHost = (command: string) => inDroplet(world, ids.loadBalancer, command);

    it("take keys alone, for root too, who has no password; and have done so since sshd runs", async () => {
        for (const id of Object.values(ids)) {
            const settings = await inDroplet(world, id, "sshd -T -C user=root,host=x,addr=203.0.113.9");
            expect(settings.split("\n")).toEqual(
                expect.arrayContaining([
                    "permitrootlogin without-password",
                    "passwordauthentication no",
                    "kbdinteractiveauthentication no",
                    "authenticationmethods publickey",
                ]),
            );
            expect(await inDroplet(world, id, "passwd --status root")).toMatch(/^root L /);
            // From its first start: the file is older than the oldest sshd.
            const older = "test /etc/ssh/sshd_config.d/00-keys-only.conf -ot /run/sshd.pid && echo older";
            expect(await inDroplet(world, id, older)).toBe("older\n");
        }
    });

    it("find out how large a packet may be where nobody tells them", async () => {
        for (const id of Object.values(ids))
            expect(await inDroplet(world, id, "cat /proc/sys/net/ipv4/tcp_mtu_probing")).toBe("1\n");
    });

    it("offer no other way in, to whoever asks for one", async () => {
        const ask = (host: string) => [
            ...["ssh", "-v", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"],
            ...["-o", "UserKnownHostsFile=/dev/null", "-o", "PubkeyAuthentication=no"],
            ...[
                "-o",
                "PreferredAuthentications=none,password,keyboard-interactive,hostbased",
                `root@${host}`,
            ],
        ];
        const { loadBalancerIp } = await world.outputs();
        const [ssh = "", ...args] = ask(loadBalancerIp);
        const fromOutside = await promisify(execFile)(ssh, args).catch(
            (error: unknown) => error as { stderr: string },
        );
        const fromLoadBalancer = await onHost(`${ask(privateIp).join(" ")} 2>&1 || true`);
        for (const said of [fromOutside.stderr, fromLoadBalancer]) {
            const offered = said.match(/Authentications that can continue: .*/g)?.map((line) => line.trim());
            expect(new Set(offered), said).toEqual(new Set(["Authentications that can continue: publickey"]));
        }
    });

    it("tell no version: not Debian's by SSH from the first greeting on, none by HTTP with any error", async () => {
        expect(greetings.length).toBeGreaterThan(0);
        expect([...new Set(greetings)].filter((line) => !/^SSH-2\.0-OpenSSH_[\d.]+p\d$/.test(line))).toEqual(
            [],
        );

        const { loadBalancerIp } = await world.outputs();
        const answers = await Promise.all(
            [
                "GET / HTTP/1.1\r\nHost: x",
                "GET /none HTTP/1.1\r\nHost: x",
                "PUT / HTTP/1.1\r\nHost: x",
                "?",
            ].map((request) => raw(loadBalancerIp, `${request}\r\nConnection: close\r\n\r\n`)),
        );
        const direct = await onHost(
            `for path in / /none /%zz; do curl -si http://${privateIp}$path; done; curl -si -X '?' http://${privateIp}`,
        );
        expect([...answers, direct].flatMap((text) => text.match(/^HTTP\/1\.\d \d+/gm) ?? [])).toEqual(
            expect.arrayContaining(["HTTP/1.1 200", "HTTP/1.1 404", "HTTP/1.1 405", "HTTP/1.1 400"]),
        );
        for (const text of [...answers, direct])
            expect(text).not.toMatch(/nginx\/|haproxy|debian|openssl|php/i);
    });

    it("let only root ask the metadata service on the load balancer, whose key it tells; apt goes on", async () => {
        const askAs = (user: string) =>
            onHost(`runuser -u ${user} -- curl -s --max-time 5 ${metadata} && echo || echo refused $?`);
        const expectClosed = async () => {
            expect(await askAs("root")).toBe(`${ids.loadBalancer}\n`);
            for (const user of ["haproxy", "nobody", "_apt"]) expect(await askAs(user)).toBe("refused 7\n");
        };
        await expectClosed();
        // DigitalOcean's agent: a service of that name, which is not root's.
        const agent = `systemd-run --quiet --unit=do-agent --property=User=nobody --pipe --wait curl -sf ${metadata}`;
        expect(await onHost(agent)).toBe(String(ids.loadBalancer));
        expect(
            await onHost(
                "apt-get -q update && apt-get -qq install -y tree >/dev/null 2>&1 && tree --version",
            ),
        ).toMatch(/^tree v/m);

        await reboot(world, ids.loadBalancer);
        await vi.waitFor(
            async () => {
                expect((await get(url)).status).toBe(200);
            },
            { timeout: 60_000, interval: 500 },
        );
        await expectClosed();
    });

    it.each([
        ["/var/lib/cloud/instance/user-data.txt", "600 root root"],
        ["/var/lib/cloud/instance/user-data.txt.i", "600 root root"],
        ["/var/lib/cloud/instance/scripts/runcmd", "700 root root"],
        ["/etc/ssh/ssh_host_ed25519_key", "600 root root"],
        ["/root/.ssh/authorized_keys", "600 root root"],
        ["/run/haproxy/admin.sock", "600 root haproxy"],
        ["/run/haproxy-master.sock", "755 root root"],
        ["/etc/haproxy/haproxy.cfg", "644 root root"],
        ["/etc/ssh/sshd_config.d/00-keys-only.conf", "644 root root"],
    ])("keep %s on the load balancer as %s", async (path, expected) => {
        expect(await onHost(`stat -Lc '%a %U %G' ${path}`)).toBe(`${expected}\n`);
    });

    it("let root alone talk to HAProxy's sockets", async () => {
        for (const socket of ["/run/haproxy/admin.sock", "/run/haproxy-master.sock"]) {
            const askAs = (user: string) =>
                onHost(`echo 'show version' | runuser -u ${user} -- socat - ${socket} 2>&1 || true`);
            expect(await askAs("root")).toMatch(/^\d\.\d/);
            for (const user of ["haproxy", "nobody"]) expect(await askAs(user)).toMatch(/Permission denied/);
        }
    });

    it("show the load balancer's private key to root alone, wherever it lies", async () => {
        const search = (user: string) =>
            onHost(
                `line=$(sed -n 3p /etc/ssh/ssh_host_ed25519_key); runuser -u ${user} -- grep -rslF -- "$line" ` +
                    "/etc /root /home /var/lib /var/log /run /tmp /usr/local || true",
            );
        expect((await search("root")).split("\n")).toEqual(
            expect.arrayContaining(["/etc/ssh/ssh_host_ed25519_key"]),
        );
        for (const user of ["haproxy", "nobody"]) expect(await search(user)).toBe("");
    });

    it("keep HAProxy as it is when all else is upgraded", async () => {
        expect(await onHost("apt-mark showhold")).toBe("haproxy\n");
        const pid = await onHost("systemctl show --property MainPID --value haproxy");
        await onHost(newerHaproxy);
        expect(await onHost("apt-get -y upgrade 2>&1")).toMatch(/kept back:\s+haproxy/);
        expect(await onHost("dpkg-query -Wf '${Version}' haproxy")).not.toBe("99.0");
        expect(await onHost("systemctl show --property MainPID --value haproxy")).toBe(pid);
        // Else the upgrade would have taken it.
        const unheld =
            "apt-mark unhold haproxy >/dev/null; apt-get -s upgrade; apt-mark hold haproxy >/dev/null";
        expect(await onHost(unheld)).toMatch(/^Inst haproxy .*99\.0/m);
    });

    it("are not touched where the load balancer shows another key: both are named, visitors go on", async () => {
        const visitors = new Visitors(url);
        const key = "/etc/ssh/ssh_host_ed25519_key";
        await onHost(`mkdir /root/kept && mv ${key}* /root/kept && ssh-keygen -q -t ed25519 -N '' -f ${key}`);
        await onHost("systemctl restart ssh");
        const found = fingerprint((await onHost(`cat ${key}.pub`)).split(" ")[1] ?? "");
        const expected = fingerprint((await world.outputs()).hostKey.split(" ")[1] ?? "");
        const before = await onHost("sha256sum /etc/haproxy/haproxy.cfg");

        await world.configure({ drainSeconds: 70 });
        const { code, text } = await up(world);
        const status = await world.tool("status", ["test"]);
        for (const said of [text, status.text])
            expect(said.replace(/\s+/g, " ")).toContain(
                `it shows the host key ${found}, expected ${expected}`,
            );
        expect([code, status.code]).not.toContain(0);
        expect(await onHost("sha256sum /etc/haproxy/haproxy.cfg")).toBe(before);

        await onHost(`mv /root/kept/* /etc/ssh && systemctl restart ssh`);
        await upEndsWell(world);
        expect(await onLoadBalancer(world, "cat /etc/haproxy/haproxy.cfg")).toContain("hard-stop-after 70s");
        await visitors.stop();
        expect(visitors.requests).toBeGreaterThan(0);
        expect(visitors.failures).toEqual([]);
    });

    it("may be reached by a machine that was admitted for one run, and is in no adminCidrs", async () => {
        await world.configure({ adminCidrs: ["203.0.113.0/24"] });
        const { uplinkHost } = world.instance.addresses;
        const { code, text } = await world.pulumi(["preview"], { DROPSCALE_ADMITTED: `${uplinkHost}/32` });
        expect(code, text).toBe(0);
    });
});

/** Reboots a droplet from outside; its next system has begun when this is through. */
async function reboot(world: World, id: number): Promise<void> {
    const asked = await callApi(world, "POST", `/v2/droplets/${id}/actions`, { type: "reboot" });
    const { action } = asked as { action: { id: number } };
    await vi.waitFor(
        async () => {
            expect(await world.api(`actions/${action.id}`)).toMatchObject({
                action: { status: "completed" },
            });
        },
        { timeout: 60_000, interval: 500 },
    );
}

/** Puts a repository with a newer HAProxy on a droplet, and lets apt know of it. */
const newerHaproxy = `set -e
cd "$(mktemp -d)"
chmod 755 .
mkdir -p package/DEBIAN
{
    dpkg --status haproxy | grep -E '^(Package|Architecture|Maintainer|Description|Depends|Pre-Depends):'
    echo 'Version: 99.0'
} >package/DEBIAN/control
dpkg-deb --build package haproxy.deb >/dev/null
{
    cat package/DEBIAN/control
    echo "Filename: ./haproxy.deb"
    echo "Size: $(stat -c %s haproxy.deb)"
    echo "SHA256: $(sha256sum haproxy.deb | cut -d' ' -f1)"
} >Packages
echo "deb [trusted=yes] file:$PWD ./" >/etc/apt/sources.list.d/newer.list
apt-get -qq update
apt-cache policy haproxy | grep -q 'Candidate: 99.0'
`;

/** Asks the load balancer for SSH's greeting, from when it exists, ten times a second. */
async function collectGreetings(world: World, into: string[], signal: AbortSignal): Promise<void> {
    let address = "";
    while (!signal.aborted) {
        await sleep(address === "" ? 1000 : 100);
        if (address === "") {
            const { droplets } = (await world.api("droplets")) as {
                droplets: { name: string; networks: { v4: { type: string; ip_address: string }[] } }[];
            };
            const found = droplets.find(({ name }) => name.startsWith("load-balancer-"));
            address = found?.networks.v4.find(({ type }) => type === "public")?.ip_address ?? "";
        } else {
            const greeting = (await raw(address, "", 22)).split("\r\n")[0] ?? "";
            if (greeting !== "") into.push(greeting);
        }
    }
}

/** What a host answers to these bytes until it closes, or the first line if there is nothing to ask. "" if nobody does. */
function raw(host: string, request: string, port = 80): Promise<string> {
    return new Promise((resolve) => {
        let answer = "";
        const socket = connect({ host, port, timeout: 10_000 });
        socket.on("connect", () => {
            if (request !== "") socket.write(request);
        });
        socket.on("data", (data) => {
            answer += data.toString("latin1");
            if (request === "") socket.destroy();
        });
        socket.on("timeout", () => socket.destroy());
        socket.on("error", () => undefined);
        socket.on("close", () => {
            resolve(answer);
        });
    });
}
