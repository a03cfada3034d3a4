import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { serversAnswering } from "../e2e/client";
import { callApi, inDroplet, onLoadBalancer } from "../faults.mts";
import { makeWorld, upEndsWell, type World } from "../world.mts";

interface Droplet {
    id: number;
    name: string;
    networks: { v4: { type: string; ip_address: string }[] };
}

/** Every step builds on the last. */
describe("a golden image on droplets that boot", () => {
    let world: World;
    let made: World | undefined;
    let image = "";
    beforeAll(async () => {
        world = made = await makeWorld("nspawn", { replicas: 1 });
        // A set-up that takes a while: the page that was baked would be there all the time.
        const file = path.join(world.folder, "userdata/nginx.yaml");
        const text = readFileSync(file, "utf8");
        writeFileSync(file, text.replace("\nruncmd:\n", "\nruncmd:\n  - sleep 6\n"));
    });
    afterAll(async () => {
        await made?.close();
    });

    const droplets = async () => (await world.api("droplets")).droplets as Droplet[];
    const bake = (...args: string[]) => world.tool("bake", ["--stack", "test", ...args]);
    async function expectNothingLeft(): Promise<void> {
        expect((await droplets()).filter(({ name }) => name.startsWith("bake-"))).toEqual([]);
        for (const kind of ["firewalls", "tags"]) {
            const found = (await world.api(kind))[kind] as { name: string }[];
            expect(found.filter(({ name }) => name.includes("-bake-"))).toEqual([]);
        }
    }

    it("is made without SSH, and nothing is left beside it", async () => {
        await upEndsWell(world);
        const { code, stdout, text } = await bake("--userdata", "nginx");
        expect(code, text).toBe(0);
        image = /^image (\d+): nginx, baked/.exec(stdout)?.[1] ?? "";
        expect(image, text).not.toBe("");
        await expectNothingLeft();
    });

    it("serves nothing from a new server's first packet until that one's own set-up has ended", async () => {
        const { id: web0 } = (await droplets()).find(({ name }) => name.startsWith("web-0")) ?? { id: 0 };
        const { droplet: one } = (await world.api(`droplets/${web0}`)) as unknown as {
            droplet: { vpc_uuid: string; tags: string[] };
        };
        const body = {
            ...{ name: "alone", region: "fra1", size: "s-1vcpu-1gb", image: Number(image) },
            ...{ vpc_uuid: one.vpc_uuid, tags: one.tags },
            user_data: readFileSync(path.join(world.folder, "userdata/nginx.yaml"), "utf8"),
        };
        const { droplet } = (await callApi(world, "POST", "/v2/droplets", body)) as { droplet: Droplet };
        // It has its addresses from the moment at which it is switched on.
        const address = await vi.waitFor(
            async () => {
                const { droplet: now } = (await world.api(`droplets/${droplet.id}`)) as unknown as {
                    droplet: Droplet;
                };
                const found = now.networks.v4.find(({ type }) => type === "private")?.ip_address;
                expect(found).toBeDefined();
                return found ?? "";
            },
            { timeout: 120_000, interval: 300 },
        );
        // On the load balancer, who alone may ask: each answer and how often it came, until the page is the droplet's own.
        const ask = `while [ $SECONDS -lt 300 ]; do
            page=$(curl --silent --max-time 1 http://${address}/ | grep -o '<h1>.*</h1>')
            ssh=$(timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/22 && head -c 4 <&3' 2>/dev/null)
            echo "page=$page ssh=$ssh"; case $page in *alone*) exit;; esac; sleep 0.1; done`;
        const answers = (await onLoadBalancer(world, ask)).trim().split("\n");
        expect(answers.at(-1)).toBe("page=<h1>alone</h1> ssh=SSH-");
        expect(answers.slice(0, -1).filter((answer) => !answer.startsWith("page= "))).toEqual([]);
        // It was up, with nginx running, all the while: closed is what kept the page from being seen.
        expect(answers.filter((answer) => answer === "page= ssh=SSH-").length).toBeGreaterThan(10);
        const since = "systemctl show nginx --property ActiveEnterTimestampMonotonic --value";
        const ended = "systemctl show cloud-final --property ActiveEnterTimestampMonotonic --value";
        const [nginx, cloudFinal] = (await inDroplet(world, droplet.id, `${since}; ${ended}`))
            .trim()
            .split("\n")
            .map(Number);
        expect((cloudFinal ?? 0) - (nginx ?? 0)).toBeGreaterThan(4_000_000);
        // And nothing of it stays.
        const gone =
            "for i in $(seq 100); do ls -d /etc/dropscale-image 2>/dev/null || exit 0; sleep 0.2; done; echo still there";
        expect(await inDroplet(world, droplet.id, gone)).not.toContain("still there");
        await callApi(world, "DELETE", `/v2/droplets/${droplet.id}`);
    });

    it("scales out: servers of one image are not alike where they must not be", async () => {
        await world.configure({ image, replicas: 2 });
        await upEndsWell(world);
        const { url, servers } = await world.outputs();
        expect(await serversAnswering(url, 2)).toEqual(["web-0", "web-1"]);
        const identity =
            "cat /etc/machine-id /etc/hostname /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f1,2; stat --format=%y /var/lib/systemd/random-seed 2>/dev/null; true";
        const [one = [], two = []] = await Promise.all(
            servers.map(async ({ dropletId }) =>
                (await inDroplet(world, Number(dropletId), identity)).trim().split("\n"),
            ),
        );
        expect(one[0]).toMatch(/^[0-9a-f]{32}$/);
        for (const [i, line] of one.slice(0, 3).entries()) expect(two[i]).not.toBe(line);
        // Of the builder nothing is left that could be read: its name, its user data, what it logged.
        const traces =
            "grep -rlE 'bake-[0-9a-f]{8}' /etc /var/lib /var/log /root /home /tmp /var/tmp 2>/dev/null; ls /var/lib/cloud/instances | wc -l";
        expect(await inDroplet(world, Number(servers[0]?.dropletId), traces)).toBe("1\n");
    });

    it("is not made of user data that fails: the builder is deleted when its time is over", async () => {
        writeFileSync(
            path.join(world.folder, "userdata/failing.yaml"),
            "#cloud-config\nruncmd:\n  - /usr/bin/false\n",
        );
        const run = bake("--userdata", "failing", "--minutes", "1");
        await sleep(30_000);
        // It has failed long since; what fails is never switched off, so that off means done.
        expect((await droplets()).some(({ name }) => name.startsWith("bake-"))).toBe(true);
        const { code, text } = await run;
        expect(code, text).toBe(1);
        expect(text).toMatch(
            /there is no image: the builder did not power itself off within 1 min, so userdata\/failing failed/,
        );
        await expectNothingLeft();
    });
});
