import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { serversAnswering } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { onLoadBalancer } from "../faults.mts";
import { upEndsWell } from "../world.mts";

interface Droplet {
    id: number;
    name: string;
    size_slug: string;
}

/** Changes that `make test` shows in another way: with servers that are held, refused, or never ready. */
describe("more changes of a stack", () => {
    const site = servedSite({ replicas: 2, retired: [1] });
    const visitors = visitedThroughout(site);

    const up = () => upEndsWell(site.world);
    const backends = async () =>
        ((await site.world.api("droplets")).droplets as Droplet[]).filter(({ name }) =>
            name.startsWith("web-"),
        );

    it("rolls out in batches: who is held keeps what it has, and its price", async () => {
        const sizeOf = async (name: string) =>
            (await backends()).find((droplet) => droplet.name.startsWith(`${name}-`))?.size_slug;
        await site.world.configure({ size: "s-1vcpu-2gb", hold: [0] });
        const { text } = await site.world.pulumi(["preview", "--diff"]);
        expect(text).toMatch(/web-2\s*: "s-1vcpu-1gb" => "s-1vcpu-2gb"/);
        expect(text).toMatch(/monthlyCost\s*: 18 => 24/);
        await up();
        expect([await sizeOf("web-0"), await sizeOf("web-2")]).toEqual(["s-1vcpu-1gb", "s-1vcpu-2gb"]);
        await site.world.configure({ hold: undefined });
        await up();
        expect([await sizeOf("web-0"), await sizeOf("web-2")]).toEqual(["s-1vcpu-2gb", "s-1vcpu-2gb"]);
        await site.world.configure({ size: undefined });
        await up();
    });

    it("refuses a haproxy.cfg that HAProxy refuses, in HAProxy's words, and goes on serving", async () => {
        const file = path.join(site.world.folder, "components/haproxy/backends.ts");
        const text = readFileSync(file, "utf8");
        const running = await onLoadBalancer(site.world, "sha256sum /etc/haproxy/haproxy.cfg");
        writeFileSync(file, text.replace("balance random(2)", "balance nonsense"));
        const { code, text: said } = await site.world.pulumi(["up", "--yes", "--skip-preview"]);
        writeFileSync(file, text);
        expect(code).not.toBe(0);
        expect(said).toContain("HAProxy refuses the new haproxy.cfg, nothing was changed");
        expect(said).toContain("balance only supports 'roundrobin'");
        expect(await onLoadBalancer(site.world, "sha256sum /etc/haproxy/haproxy.cfg")).toBe(running);
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-2"]);
        await up();
    });

    it("lets no server in whose cloud-init failed: names it and the end of its log, the old ones serve", async () => {
        // The package's default page answers before the set-up fails, and root may not log in.
        const broken = {
            packages: ["nginx"],
            write_files: [
                { path: "/etc/ssh/sshd_config.d/00-no-root.conf", content: "PermitRootLogin no\n" },
            ],
            runcmd: ["sleep 5; echo 'out of füel' >&2; exit 1"],
        };
        const file = path.join(site.world.folder, "userdata/broken.yaml");
        writeFileSync(file, `#cloud-config\n${JSON.stringify(broken)}\n`);
        await site.world.configure({ userdata: "broken", healthPath: "/" });
        const before = (await backends()).map(({ id }) => id);
        const { code, text } = await site.world.pulumi(["up", "--yes", "--skip-preview"]);
        await site.world.configure({ userdata: undefined, healthPath: undefined });
        expect(code).not.toBe(0);
        expect(text).toMatch(
            /the set-up of web-\d.* failed, nothing was changed\. The end of\s+\/var\/log\/cloud-init-out/,
        );
        expect(text).toContain("out of füel");
        expect((await backends()).map(({ id }) => id)).toEqual(expect.arrayContaining(before));
        expect(await serversAnswering(site.url, 2)).toEqual(["web-0", "web-2"]);
        await up();
        expect(await backends()).toHaveLength(2);
    });

    it("destroyed, leaves the region's default VPC, and takes it over when it comes up again", async () => {
        await visitors().stop();
        await destroy();
        const { vpcs } = (await site.world.api("vpcs")) as { vpcs: { id: string }[] };
        await up();
        expect(await serversAnswering((await site.world.outputs()).url, 2)).toEqual(["web-0", "web-2"]);
        const { code, text } = await site.world.pulumi([
            "up",
            "--yes",
            "--skip-preview",
            "--expect-no-changes",
        ]);
        expect(code, text).toBe(0);
        expect((await site.world.api("vpcs")).vpcs).toMatchObject([{ id: vpcs[0]?.id }]);
        await destroy();
    });

    async function destroy(): Promise<void> {
        const { code, text } = await site.world.pulumi(["destroy", "--yes", "--skip-preview", "--refresh"]);
        expect(code, text).toBe(0);
    }
});
