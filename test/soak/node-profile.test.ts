import { beforeAll, describe, expect, it } from "vitest";
import { get, serversAnswering, slowPath, Visitors } from "../e2e/client";
import { servedSite } from "../e2e/served-site";
import { callApi, dropletNamed, inDroplet } from "../faults.mts";
import { eventually } from "../php-site.mts";

/** The example with an answer that takes two seconds, in the one folder of a tarball, as GitHub makes them. */
const tarball = `mkdir -p /tmp/t/app-1.0 && cd /tmp/t &&
    sed 's#^const server.*#&\\n    if (request.url === "${slowPath}") return setTimeout(() => response.end("<h1>slow</h1>"), 2000);#' \\
        /usr/local/share/app/server.js >app-1.0/server.js && tar -czf /root/app.tar.gz app-1.0`;
const repository = `cd /tmp/t/app-1.0 && git init -q -b main . && git add . &&
    git -c user.name=a -c user.email=a@b commit -q -m one && git tag v1 && git rm -q --cached server.js &&
    git -c user.name=a -c user.email=a@b commit -q -m none`;
const source = (from: string) => `sed -i 's|^SOURCE=.*|SOURCE=${from}|' /etc/app.conf && fetch-app`;

describe.each(["debian-12-x64", "debian-13-x64"])("userdata/node.yaml on %s", (image) => {
    const site = servedSite({ replicas: 2, userdata: "node", image });
    let ids: number[] = [];
    beforeAll(async () => {
        const droplets = ["web-0", "web-1"].map((name) => dropletNamed(site.world, name));
        ids = (await Promise.all(droplets)).map(({ id }) => id);
    });
    const inside = (server: number, command: string) =>
        inDroplet(site.world, ids[server] ?? 0, `export PATH=/usr/local/sbin:$PATH HOME=/root; ${command}`);

    it("serves the example, as a user of its own with one right of root's", async () => {
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-1"]);
        const process = "/proc/$(systemctl show app --property MainPID --value)";
        expect(await inside(0, `stat -c %U ${process}`)).toBe("app\n");
        // CAP_NET_BIND_SERVICE: capabilities(7), include/uapi/linux/capability.h.
        expect(await inside(0, `awk '/^Cap(Eff|Bnd)/ { print $2 }' ${process}/status`)).toBe(
            "0000000000000400\n".repeat(2),
        );
        expect((await get(`${site.url}/healthz`)).body).toBe("ok\n");
    });

    it("takes an app from a tarball, and restarts without anybody's noticing", async () => {
        for (const server of [0, 1])
            await inside(server, `${tarball} && ${source("file:///root/app.tar.gz")}`);
        for (const server of [0, 1]) await inside(server, "systemctl restart app");
        await eventually(async () => {
            expect((await get(site.url + slowPath)).body).toBe("<h1>slow</h1>");
        });
        const visitors = new Visitors(site.url);
        await new Promise((resolve) => setTimeout(resolve, 1000));
        for (const server of [0, 1]) {
            await inside(server, "systemctl restart app");
            await new Promise((resolve) => setTimeout(resolve, 4000));
        }
        await visitors.stop();
        expect(visitors.failures).toEqual([]);
    });

    it("takes one from a tag of a Git repository, and keeps what it has where there is none", async () => {
        await inside(
            0,
            `${repository} && ${source("file:///tmp/t/app-1.0/.git#v1")} && systemctl restart app`,
        );
        const wrong = inside(0, source("file:///tmp/t/app-1.0/.git"));
        await expect(wrong).rejects.toThrow(
            "ENTRY in /etc/app.conf is server.js, and the app has no such file",
        );
        await expect(inside(0, source("file:///nowhere.tar.gz"))).rejects.toThrow("curl: (37)");
        expect(await inside(0, "ls /srv")).toBe("app\napp.old\n");
        await inside(0, "systemctl restart app");
        await eventually(async () => {
            expect(await inside(0, "curl -s localhost/healthz")).toBe("ok\n");
        });
    });

    it("starts again by itself, and after a reboot", async () => {
        const answers = () =>
            eventually(async () => {
                expect(await inside(1, "curl -s localhost/healthz")).toBe("ok\n");
            });
        await inside(1, "systemctl kill --signal KILL app");
        await answers();
        await inside(1, "touch /run/before");
        await callApi(site.world, "POST", `/v2/droplets/${ids[1]}/actions`, { type: "reboot" });
        await eventually(async () => {
            expect(await inside(1, "ls /run")).not.toContain("before");
        });
        await answers();
    });
});
