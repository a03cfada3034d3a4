import { beforeAll, describe, expect, test } from "vitest";
import { ensureBaseImage } from "../../sandbox/droplets/base-image.ts";
import { defaultImage, releaseOf } from "../../sandbox/releases.ts";
import { joinUserData } from "../../userdata/multipart";
import { configFor, Host } from "../host/haproxy-host/host";
import { startServers } from "../host/haproxy-host/servers";

const seconds = (since: number) => ((Date.now() - since) / 1000).toFixed(1);

describe("what readiness costs", () => {
    let image: string;
    beforeAll(async () => {
        image = (await ensureBaseImage(releaseOf(defaultImage), { log: console.error })).lowerdir;
    });

    // Printed, not asserted: the machine may have other work. The servers' side of each question runs here, too.
    test.each([8, 100])("at %i servers that are ready", async (count) => {
        const host = await Host.start();
        try {
            await startServers(host, image, (key) => joinUserData({ text: "", generation: "" }, key));
            await host.run(
                `mkdir /run/server/run/cloud-init && echo '{"errors": []}' >/run/server/run/cloud-init/result.json`,
            );
            const servers = Object.fromEntries(
                Array.from({ length: count }, (_, slot) => [
                    slot,
                    `127.0.${1 + (slot >> 7)}.${1 + (slot & 127)}`,
                ]),
            );
            for (const address of Object.values(servers)) await host.call("serve", address);
            expect(await host.apply(configFor({}))).toMatchObject({ code: 0 });
            let asking = 0;
            let ready = "";
            const started = Date.now();
            const memory = setInterval(() => void host.run(sample), 200);
            const ended = await host.apply(configFor(servers), 120, (text) => {
                if (text.includes("asking")) asking = Date.now();
                if (text.includes("reloaded")) ready = seconds(asking);
            });
            clearInterval(memory);
            expect(ended).toMatchObject({ code: 0, stderr: "" });
            const most = (await host.file("/run/memory"))
                .split("\n")
                .map(Number)
                .sort((a, b) => b - a)[0];
            console.log(
                `${count} servers: ${ready} s until all are ready and HAProxy has reloaded, ${seconds(started)} s in all; ` +
                    `the processes that ask take ${((most ?? 0) / 1024).toFixed(0)} MB at the most`,
            );
        } finally {
            await host.stop();
        }
    });
});

/** Memory of the ssh processes of this host alone, in KiB: what they share counts once. */
const sample =
    "for pid in $(pgrep -x ssh); do grep -h ^Pss: /proc/$pid/smaps_rollup 2>/dev/null; done | awk '{ sum += $2 } END { print sum + 0 }' >>/run/memory";
