import { type TestContext, beforeAll, describe, expect, test } from "vitest";
import { rmSync } from "node:fs";
import { ensureBaseImage } from "../../sandbox/droplets/base-image.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { joinUserData } from "../../userdata/multipart";
import { packCommand, readRelease } from "../../lib/release";
import { parseReleases } from "../../tools/live/releases";
import { makeSite } from "../releases.mts";
import { applyScript, configFor, Host } from "./haproxy-host/host";
import { sshFrom, startServers } from "./haproxy-host/servers";

let image: string;
const result = "/run/cloud-init/result.json";
const addresses = ["127.0.1.1", "127.0.1.2", "127.0.1.3"] as const;

/** A load balancer, and servers with the image's sshd, where the first part of their user data has run. */
async function hostWithServers(context: TestContext): Promise<Host> {
    const host = await Host.start();
    context.onTestFinished(() => host.stop());
    await startServers(host, image, (publicKey) => joinUserData({ text: "", generation: "" }, publicKey));
    return host;
}

beforeAll(async () => {
    image = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
});

describe("what a server says of its set-up over SSH", () => {
    test("is true at every moment, and all that the key is good for", async (context) => {
        const host = await hostWithServers(context);
        const onServer = (command: string) => host.run(`chroot /run/server sh -c '${command}'`);
        const answer = async () => (await host.run(`${sshFrom} dropscale@127.0.1.1`)).stdout;
        expect(await answer()).toBe("set-up runs\n");
        await onServer("echo failed >/run/units");
        expect(await answer()).toMatch(/^set-up failed\n/);
        await onServer(
            "rm /run/units; mkdir -p /run/cloud-init; echo out of fuel >/var/log/cloud-init-output.log",
        );
        await onServer("chgrp adm /var/log/cloud-init-output.log; chmod 640 /var/log/cloud-init-output.log");
        await onServer(`printf "{\\"v1\\": {\\"errors\\": [\\"scripts-user\\"]}}" >${result}`);
        expect(await answer()).toBe("set-up failed\nout of fuel\n");
        await onServer(
            `printf "{\\n \\"v1\\": {\\n  \\"errors\\": []\\n }\\n}\\n" >${result}; echo stopping >/run/system`,
        );
        expect(await answer()).toBe("set-up runs: a restart is under way\n");
        await onServer(
            "rm /run/system; mkdir -p /run/systemd/shutdown; touch /run/systemd/shutdown/scheduled",
        );
        expect(await answer()).toBe("set-up runs: a restart is under way\n");
        await onServer("rm -r /run/systemd/shutdown");
        expect(await answer()).toBe("set-up ended\n");
        // What later boots do is no set-up.
        await onServer(`printf "{\\"v1\\": {\\"errors\\": [\\"scripts-user\\"]}}" >${result}`);
        expect(await answer()).toBe("set-up ended\n");

        expect((await host.run(`${sshFrom} dropscale@127.0.1.1 id`)).stdout).toBe("set-up ended\n");
        const forwarded = await host.run(`${sshFrom} -W 127.0.0.1:22 dropscale@127.0.1.1`);
        expect(forwarded).toMatchObject({ code: 255, stdout: "" });
        expect((await host.run(`${sshFrom} root@127.0.1.1 id`)).stderr).toContain("Permission denied");
    });

    test("is what the apply script goes by", async (context) => {
        const host = await hostWithServers(context);
        for (const address of ["127.0.1.1", "127.0.1.2"]) await host.call("serve", address);
        const config = configFor({ 0: "127.0.1.1", 1: "127.0.1.2" });
        const running = await host.apply(config, 8);
        expect(running.stderr).toMatch(
            /nothing was changed: web-0 \(HTTP 200; set-up runs\), web-1 \(HTTP 200; set-up runs\)/,
        );
        await host.run(
            `cd /run/server/run && mkdir cloud-init && echo '{"errors": []}' >cloud-init/result.json`,
        );
        expect(await host.apply(config, 20)).toMatchObject({ code: 0, stderr: "" });
        await host.run("rm /run/server/var/lib/dropscale/.ssh/authorized_keys");
        const refused = await host.apply(configFor({ 0: "127.0.1.1", 2: "127.0.1.3" }), 3);
        expect(refused.stderr).toContain(
            "set-up not known, SSH says: dropscale@127.0.1.3: Permission denied (publickey",
        );
    });
});

/** All its servers are one machine with several addresses: what one serves, all do. */
async function servingHost(context: TestContext) {
    const host = await hostWithServers(context);
    for (const address of addresses) await host.call("serve", address);
    await host.run(`cd /run/server/run && mkdir cloud-init && echo '{"errors": []}' >cloud-init/result.json`);
    const applied = await host.apply(configFor({ 0: addresses[0], 1: addresses[1], 2: addresses[2] }), 30);
    expect(applied).toMatchObject({ code: 0, stderr: "" });
    const script = (command: string, input = "") => host.run(`${input} ${applyScript} ${command}`);
    const site = (word: string) => {
        const folder = makeSite(word);
        context.onTestFinished(() => {
            rmSync(folder, { recursive: true });
        });
        return { folder, name: readRelease(folder).name };
    };
    const take = async ({ folder, name }: ReturnType<typeof site>) => {
        const taken = await script(`take ${name}`, `cd ${folder}; ${packCommand} |`);
        expect(taken).toMatchObject({ code: 0, stderr: "" });
        return taken.stdout.trim();
    };
    const served = async () =>
        (await host.run("readlink /run/server/var/lib/dropscale/site/current")).stdout
            .trim()
            .replace("releases/", "");
    return { host, script, site, take, served };
}

describe("content, by the script on the load balancer", () => {
    test("comes whole or not at all, is served by all, and goes back", async (context) => {
        const { script, site, take, served, host } = await servingHost(context);
        const [one, two] = [site("one"), site("two")];
        expect((await script(`check ${one.name} 10 3`)).stdout).toBe("send\n");
        const huge = await script(`check ${one.name} 1000000000000 3`);
        expect(huge.stderr).toMatch(
            /nothing was sent:\n {2}the load balancer has no room: .*\n {2}web-0 has no room: the release needs/,
        );
        for (const broken of [
            `cd ${one.folder}; ${packCommand} | head -c 150 |`,
            `cd ${two.folder}; ${packCommand} |`,
        ]) {
            const { code, stderr } = await script(`take ${one.name}`, broken);
            expect(code).not.toBe(0);
            expect(stderr).toContain(`release ${one.name} did not arrive whole, nothing was changed`);
        }
        expect((await host.run("ls -A /var/lib/dropscale/content/releases")).stdout).toBe("");

        const first = await take(one);
        expect((await script(`check ${one.name} 10 3`)).stdout).toBe("have\n");
        const pushed = await script(`push ${first}`);
        expect(pushed).toMatchObject({ code: 0, stderr: "" });
        expect(pushed.stdout).toBe(
            `1 of 3 serve ${one.name}: web-0\n3 of 3 serve ${one.name}: web-1, web-2\nrelease ${one.name} is served by all of 3\n`,
        );
        expect(await served()).toBe(one.name);
        expect((await script("rollback")).stderr).toBe("there is no release before this one.\n");

        const second = await take(two);
        expect(await script(`push ${second}`)).toMatchObject({ code: 0, stderr: "" });
        expect((await script(`push ${first}`)).stderr).toContain("another release was pushed here since");
        expect(await served()).toBe(two.name);
        expect(await script("rollback")).toMatchObject({ code: 0, stderr: "" });
        expect(await served()).toBe(one.name);
        expect((await script("rollback 0123456789abcdef")).stderr).toBe(
            `there is no release 0123456789abcdef here; there are ${two.name}.\n`,
        );
        const { current, kept, unfinished, servers } = parseReleases((await script("releases")).stdout);
        expect({ current, kept, unfinished }).toEqual({
            current: one.name,
            kept: [two.name, one.name],
            unfinished: undefined,
        });
        expect(servers.map(({ name, release }) => [name, release])).toEqual(
            ["web-0", "web-1", "web-2"].map((name) => [name, one.name]),
        );
    });

    test("goes to no server that shows another host key than at the first contact", async (context) => {
        const { host, script, site } = await servingHost(context);
        const { name } = site("one");
        await script(`check ${name} 10 3`);
        const known = await host.file("/etc/dropscale/known_hosts");
        expect(
            known
                .split("\n")
                .map((line) => line.split(" ")[0])
                .filter(Boolean)
                .sort(),
        ).toEqual([...addresses]);
        const other = `$(cut -d " " -f 1,2 /run/other.pub)`;
        await host.run(
            `ssh-keygen -q -t ed25519 -N "" -f /run/other &&
            sed -i "s|^127.0.1.2 .*|127.0.1.2 ${other}|" /etc/dropscale/known_hosts`,
        );
        const { code, stderr } = await script(`check ${name} 10 3`);
        expect(code).not.toBe(0);
        expect(stderr).toMatch(
            /^nothing was sent:\n {2}web-1: .*(Host key verification failed|IDENTIFICATION HAS CHANGED).*\nA server that is dead/,
        );
        // Another machine may get the address: once no server has it, it is new.
        expect(await host.apply(configFor({ 0: addresses[0] }), 10)).toMatchObject({ code: 0 });
        expect((await host.file("/etc/dropscale/known_hosts")).split(" ")[0]).toBe(addresses[0]);
    });

    test("waits for whoever changes haproxy.cfg, gives up in the end, and goes on after an interruption", async (context) => {
        const { host, script, site, take, served } = await servingHost(context);
        const [one, two] = [site("one"), site("two")];
        const word = await take(one);
        void host.run("flock /run/dropscale-haproxy.lock sleep 4");
        await host.run("sleep 0.5");
        const refused = await script(`push ${word}`, "LOCK_SECONDS=1");
        expect(refused.stderr).toContain("another run still has the lock after 1 s");
        expect(await served()).toBe("");
        expect((await script(`push ${word}`)).code).toBe(0);

        const next = await take(two);
        const cut = await host.run(`exec ${applyScript} push ${next}`, "", (_text, process) =>
            process.stdout?.destroy(),
        );
        expect(cut.code).not.toBe(0);
        expect(cut.stderr).toContain("nobody reads any more: the push was interrupted.");
        const releases = parseReleases((await script("releases")).stdout);
        expect(releases).toMatchObject({ current: one.name, unfinished: two.name });
        expect((await script(`push ${await take(two)}`)).stdout).toContain(
            `release ${two.name} is served by all of 3, was ${one.name}\n`,
        );
        expect(parseReleases((await script("releases")).stdout)).toMatchObject({
            current: two.name,
            unfinished: undefined,
        });
    });
});
