import { type TestContext, beforeAll, describe, expect, test } from "vitest";
import { ensureBaseImage } from "../../sandbox/droplets/base-image.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { joinUserData } from "../../userdata/multipart";
import { configFor, Host } from "./haproxy-host/host";
import { sshFrom, startServers } from "./haproxy-host/servers";

let image: string;
const result = "/run/cloud-init/result.json";

/** A load balancer, and servers with the image's sshd, where the first part of their user data has run. */
async function hostWithServers(context: TestContext): Promise<Host> {
    const host = await Host.start();
    context.onTestFinished(() => host.stop());
    await startServers(host, image, (publicKey) => joinUserData({ text: "", generation: "" }, publicKey));
    return host;
}

describe("what a server says of its set-up over SSH", () => {
    beforeAll(async () => {
        image = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
    });

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
        const running = await host.apply(config, 3);
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
