import { describe, expect, it } from "vitest";
import type { Droplet } from "../../model.ts";

import {
    activeDroplet,
    deferred,
    finishedAction,
    refusal,
    startApi,
    until,
    wish,
    text,
} from "./api-harness.ts";

const key =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgDjYvnvVtFI8n0ZBrlGO0YFOGWVwcWtxAsD3ykXoSo someone@example.com";

describe("creation", () => {
    it("is accepted at once, and shows the droplet active when the machine is on", async () => {
        const on = deferred();
        const created: unknown[] = [];
        const api = await startApi({
            machines: {
                create: (droplet, options) => {
                    created.push([droplet.hostname, options.size.memoryMiB, options.publicKeys]);
                    return on.promise;
                },
            },
        });
        const sshKey = await api.client.sshKey.createSshKey({ name: "k", public_key: key });
        const answer = await api.request("POST", "/droplets", {
            ...wish,
            ssh_keys: [sshKey.data.ssh_key.fingerprint],
            tags: ["web"],
            monitoring: true,
            user_data: "#cloud-config\n",
        });
        expect(answer.status).toBe(202);
        const { droplet, links } = answer.body;
        expect(droplet).toMatchObject({ status: "new", locked: true, networks: { v4: [] } });
        expect(JSON.stringify(droplet)).not.toContain("cloud-config");
        const poll = () =>
            api.client.droplet.getDroplet({ droplet_id: droplet.id }).then((it) => it.data.droplet);
        expect((await poll()).status).toBe("new");
        expect((await api.request("GET", `/actions/${links.actions[0]?.id}`)).body.action.status).toBe(
            "in-progress",
        );

        on.resolve();
        expect(await until(poll, ({ status }) => status === "active")).toMatchObject({
            id: droplet.id,
            name: "web-1",
            locked: false,
            memory: 1024,
            vcpus: 1,
            disk: 25,
            size_slug: "s-1vcpu-1gb",
            size: { slug: "s-1vcpu-1gb", price_monthly: 6 },
            region: { slug: "fra1" },
            image: { slug: "debian-12-x64", distribution: "Debian" },
            features: ["monitoring", "droplet_agent", "private_networking"],
            tags: ["web"],
            volume_ids: [],
            networks: {
                v4: [
                    {
                        type: "public",
                        ip_address: "127.64.0.2",
                        gateway: "127.64.0.1",
                        netmask: "255.192.0.0",
                    },
                    { type: "private", ip_address: "10.114.0.2", netmask: "255.255.240.0" },
                ],
                v6: [],
            },
        });
        expect(created).toEqual([["web-1", 1024, [key]]]);
        const action = (await api.request("GET", `/actions/${links.actions[0]?.id}`)).body.action;
        expect(action).toMatchObject({ type: "create", status: "completed", resource_id: droplet.id });
        expect(action.started_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    });

    it("makes up to ten at once by names, each with addresses of its own", async () => {
        const api = await startApi();
        const names = Array.from({ length: 10 }, (_, index) => `web-${index}`);
        const { status, body } = await api.request("POST", "/droplets", { ...wish, name: undefined, names });
        expect(status).toBe(202);
        expect(body.droplets.map((droplet: { name: string }) => droplet.name)).toEqual(names);
        expect(body.links.actions).toHaveLength(10);
        const all = await until(
            () => api.request("GET", "/droplets"),
            (it) => it.body.droplets.every((droplet: { status: string }) => droplet.status === "active"),
        );
        const addresses = all.body.droplets.flatMap(
            (droplet: { networks: { v4: { ip_address: string }[] } }) =>
                droplet.networks.v4.map((network) => network.ip_address),
        );
        expect(new Set(addresses).size).toBe(20);
        const eleven = await api.request("POST", "/droplets", { ...wish, names: [...names, "x"] });
        expect(eleven.status).toBe(422);
    });

    it("puts the firewalls up before the machine is on", async () => {
        const calls: string[] = [];
        const api = await startApi({
            machines: {
                sync: (cloud) => {
                    calls.push(`sync ${cloud.droplets.length}`);
                    return Promise.resolve();
                },
                create: () => {
                    calls.push("create");
                    return Promise.resolve();
                },
            },
        });
        calls.length = 0;
        await activeDroplet(api);
        expect(calls).toEqual(["sync 1", "create"]);
    });

    it("takes the droplet away and errors the action when the machine can't be made", async () => {
        const destroyed: number[] = [];
        const api = await startApi({
            machines: {
                create: () => Promise.reject(new Error("no space left on device")),
                destroy: ({ id }) => {
                    destroyed.push(id);
                    return Promise.resolve();
                },
            },
        });
        const { body } = await api.request("POST", "/droplets", wish);
        const { id } = body.droplet;
        await until(
            () => api.request("GET", `/droplets/${id}`),
            ({ status }) => status === 404,
        );
        const action = await api.request("GET", `/actions/${body.links.actions[0]?.id}`);
        expect(action.body.action).toMatchObject({ status: "errored", resource_id: id });
        expect(action.body.action.completed_at).not.toBeNull();
        expect(api.log.join("\n")).toContain("no space left on device");
        await until(
            () => Promise.resolve(destroyed),
            (ids) => ids.length === 1,
        );
        // Its addresses are free again.
        expect((await api.request("GET", "/droplets")).body.meta.total).toBe(0);
    });

    it.each([
        ["no name", { name: undefined }, "Name can't be blank"],
        [
            "a name that no host can have",
            { name: "my_web" },
            "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)",
        ],
        ["an unknown size", { size: "s-3vcpu-1gb" }, "You specified an invalid size for Droplet creation."],
        ["an unknown region", { region: "muc1" }, "You specified an invalid region for Droplet creation."],
        [
            "a region that is closed",
            { region: "ams2" },
            "You specified an invalid region for Droplet creation.",
        ],
        ["an unknown image", { image: "debian-12" }, "You specified an invalid image for Droplet creation."],
        [
            "a size that the region has not",
            { size: "s-1vcpu-512mb-10gb", region: "lon1" },
            "Size is not available in this region.",
        ],
        [
            "an image too big for the disk",
            { size: "s-1vcpu-512mb-10gb", image: "fedora-42-x64" },
            "This size is not available because it has a smaller disk.",
        ],
        [
            "an unknown key",
            { ssh_keys: [4711, "aa:bb"] },
            "4711, aa:bb are invalid key identifiers for Droplet creation.",
        ],
        [
            "too much user data",
            { user_data: "ü".repeat(32 * 1024 + 1) },
            "User data is too long (the maximum is 64 KiB)",
        ],
        ["volumes", { volumes: ["12e97116-7280-11ed-b3d0-0a58ac146812"] }, "The sandbox has no volumes."],
        ["a field of the wrong type", { tags: "web" }, text("tags")],
        ["no size", { size: undefined }, "must have required property 'size'"],
    ])("refuses %s", async (_what, change, message) => {
        const api = await startApi();
        const answer = await api.request("POST", "/droplets", { ...wish, ...change });
        expect(answer).toMatchObject({ status: 422, body: { id: "unprocessable_entity", message } });
        expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
        expect((await api.request("GET", "/droplets")).body.meta.total).toBe(0);
    });

    it("answers 404 for an unknown VPC, 400 for a tag that can't be one", async () => {
        const api = await startApi();
        expect((await api.request("POST", "/droplets", { ...wish, vpc_uuid: "nope" })).status).toBe(404);
        expect(await api.request("POST", "/droplets", { ...wish, tags: ["a b"] })).toMatchObject({
            status: 400,
            body: { message: text("invalid characters") },
        });
    });

    it("accepts exactly 64 KiB of user data, which the machine gets whole, and null for empty lists", async () => {
        const made: Droplet[] = [];
        const create = (droplet: Droplet) => Promise.resolve(void made.push(droplet));
        const api = await startApi({ machines: { create } });
        const user_data = "#!".padEnd(64 * 1024, "x");
        const { tags } = await activeDroplet(api, { user_data, tags: null, ssh_keys: null, volumes: null });
        expect(made).toMatchObject([{ userData: user_data, sshKeyIds: [] }]);
        expect(tags).toEqual([]);
    });

    it("stops at the droplet limit, also for several at once", async () => {
        const api = await startApi({ dropletLimit: 2 });
        await activeDroplet(api);
        const names = ["a", "b"];
        expect(await api.request("POST", "/droplets", { ...wish, names })).toMatchObject({
            status: 422,
            body: { message: "creating this/these droplet(s) will exceed your droplet limit" },
        });
        expect((await api.request("POST", "/droplets", wish)).status).toBe(202);
        expect((await api.client.account.getAccount()).data.account.droplet_limit).toBe(2);
    });

    it("takes a region's first letters, or picks one that has the size", async () => {
        const api = await startApi();
        expect((await activeDroplet(api, { region: "nyc" })).region.slug).toBe("nyc1");
        const anywhere = await activeDroplet(api, { region: undefined, size: "s-1vcpu-512mb-10gb" });
        expect(anywhere.size.regions).toContain(anywhere.region.slug);
    });
});

describe("reading", () => {
    it("lists by tag and by name", async () => {
        const api = await startApi();
        await activeDroplet(api, { name: "a", tags: ["web"] });
        await activeDroplet(api, { name: "b", tags: ["web", "eu"] });
        await activeDroplet(api, { name: "b" });
        const names = async (query: string) =>
            (await api.request("GET", `/droplets?${query}`)).body.droplets.map(
                (it: { name: string }) => it.name,
            );
        expect(await names("")).toEqual(["a", "b", "b"]);
        expect(await names("tag_name=web")).toEqual(["a", "b"]);
        expect(await names("name=B")).toEqual(["b", "b"]);
        expect(await names("type=gpus")).toEqual([]);
    });

    it("answers 404 for ids that are unknown or malformed", async () => {
        const api = await startApi();
        expect(await refusal(api.client.droplet.getDroplet({ droplet_id: 1 }))).toEqual({
            status: 404,
            id: "not_found",
            message: "The resource you were accessing could not be found.",
        });
        expect((await api.request("GET", "/droplets/web-1")).status).toBe(404);
        expect((await api.request("DELETE", "/droplets/1")).status).toBe(404);
        expect((await api.request("GET", "/actions/1")).status).toBe(404);
    });
});

describe("deletion", () => {
    it("is 204, then 404; the firewall and the reserved IP let go; addresses are free when the machine is gone", async () => {
        const gone = deferred();
        const api = await startApi({ machines: { destroy: () => gone.promise } });
        const { id, networks, vpc_uuid } = await activeDroplet(api);
        const firewall = await api.request("POST", "/firewalls", {
            name: "fw",
            droplet_ids: [id],
            inbound_rules: [
                { protocol: "tcp", ports: "22", sources: { droplet_ids: [id], addresses: ["10.0.0.0/8"] } },
            ],
        });
        const reserved = await api.request("POST", "/reserved_ips", { droplet_id: id });
        const { ip } = reserved.body.reserved_ip;

        expect((await api.client.droplet.deleteDroplet({ droplet_id: id })).status).toBe(204);
        expect((await api.request("GET", `/droplets/${id}`)).status).toBe(404);
        expect((await api.request("GET", `/reserved_ips/${ip}`)).body.reserved_ip.droplet).toBeNull();
        expect(
            (await api.request("GET", `/firewalls/${firewall.body.firewall.id}`)).body.firewall,
        ).toMatchObject({
            droplet_ids: [],
            inbound_rules: [{ sources: { addresses: ["10.0.0.0/8"] } }],
        });
        const other = await activeDroplet(api);
        expect(other.networks.v4[0]?.ip_address).not.toBe(networks.v4[0]?.ip_address);
        expect((await api.request("GET", `/vpcs/${vpc_uuid}/members`)).body.meta.total).toBe(2);

        gone.resolve();
        await until(
            () => api.request("GET", `/vpcs/${vpc_uuid}/members`),
            (it) => it.body.meta.total === 1,
        );
        const third = await activeDroplet(api);
        expect(third.networks.v4[0]?.ip_address).toBe(networks.v4[0]?.ip_address);
        expect(third.id).toBeGreaterThan(other.id);
    });

    it("takes all that carry a tag, and nothing else", async () => {
        const api = await startApi();
        await activeDroplet(api, { tags: ["old"] });
        await activeDroplet(api, { tags: ["old"] });
        const kept = await activeDroplet(api);
        expect((await api.client.droplet.deleteDropletsByTag({ tag_name: "old" })).status).toBe(204);
        const { droplets } = (await api.request("GET", "/droplets")).body;
        expect(droplets.map((it: { id: number }) => it.id)).toEqual([kept.id]);
        expect((await api.request("DELETE", "/droplets")).status).toBe(422);
    });

    it("waits for its turn while the droplet is made", async () => {
        const api = await startApi({ machines: { create: () => new Promise(() => undefined) } });
        const { body } = await api.request("POST", "/droplets", wish);
        expect(await api.request("DELETE", `/droplets/${body.droplet.id}`)).toMatchObject({
            status: 422,
            body: { message: "Droplet already has a pending event." },
        });
    });
});

describe("actions", () => {
    it("switch off, on, cycle, reboot and rename", async () => {
        const calls: string[] = [];
        const called = (name: string) => () => {
            calls.push(name);
            return Promise.resolve();
        };
        const api = await startApi({
            machines: {
                powerOff: called("powerOff"),
                powerOn: called("powerOn"),
                reboot: called("reboot"),
                shutdown: called("shutdown"),
            },
        });
        const { id } = await activeDroplet(api);
        const status = async () =>
            (await api.client.droplet.getDroplet({ droplet_id: id })).data.droplet.status;
        const steps = [
            ["power_off", "off"],
            ["power_on", "active"],
            ["power_cycle", "active"],
            ["reboot", "active"],
            ["shutdown", "off"],
        ];
        for (const [type, expected] of steps) {
            expect(await finishedAction(api, id, { type })).toMatchObject({ status: "completed", type });
            expect(await status()).toBe(expected);
        }
        expect(calls).toEqual(["powerOff", "powerOn", "powerOff", "powerOn", "reboot", "shutdown"]);
        expect(await finishedAction(api, id, { type: "reboot" })).toMatchObject({ status: "errored" });

        await finishedAction(api, id, { type: "rename", name: "web-2" });
        expect((await api.client.droplet.getDroplet({ droplet_id: id })).data.droplet.name).toBe("web-2");
        const own = await api.request("GET", `/droplets/${id}/actions`);
        expect(own.body.actions[0]?.type).toBe("rename");
        expect(own.body.meta.total).toBe(8);
    });

    it("are refused while another is under way, and lock the droplet", async () => {
        const off = deferred();
        const api = await startApi({ machines: { powerOff: () => off.promise } });
        const { id } = await activeDroplet(api);
        const { body } = await api.request("POST", `/droplets/${id}/actions`, { type: "power_off" });
        expect((await api.request("GET", `/droplets/${id}`)).body.droplet.locked).toBe(true);
        expect(await api.request("POST", `/droplets/${id}/actions`, { type: "power_on" })).toMatchObject({
            status: 422,
            body: { message: "Droplet already has a pending event." },
        });
        off.resolve();
        await until(
            () => api.request("GET", `/droplets/${id}/actions/${body.action.id}`),
            (it) => it.body.action.status === "completed",
        );
    });

    it("end as errored when the machine does not do it, and leave the status as it was", async () => {
        const api = await startApi({
            machines: { shutdown: () => Promise.reject(new Error("it did not stop within 60 s")) },
        });
        const { id } = await activeDroplet(api);
        expect(await finishedAction(api, id, { type: "shutdown" })).toMatchObject({ status: "errored" });
        expect((await api.request("GET", `/droplets/${id}`)).body.droplet).toMatchObject({
            status: "active",
            locked: false,
        });
        expect(api.log.join("\n")).toContain("it did not stop within 60 s");
    });

    it("resize only a droplet that is off, to a disk that is no smaller; the disk grows for good", async () => {
        const resized: string[] = [];
        const api = await startApi({
            machines: {
                resize: (_droplet, size) => {
                    resized.push(size.slug);
                    return Promise.resolve();
                },
            },
        });
        const { id } = await activeDroplet(api);
        const refused = async (body: object) =>
            (await api.request("POST", `/droplets/${id}/actions`, { type: "resize", ...body })).body.message;
        expect(await refused({ size: "s-2vcpu-2gb" })).toBe(
            "Droplet must be powered off before it is resized.",
        );
        await finishedAction(api, id, { type: "power_off" });
        expect(await refused({ size: "x" })).toBe("You specified an invalid size for Droplet resize.");
        expect(await refused({ size: "s-1vcpu-512mb-10gb" })).toBe(
            "This size is not available because it has a smaller disk.",
        );
        const look = async () => (await api.request("GET", `/droplets/${id}`)).body.droplet;
        await finishedAction(api, id, { type: "resize", size: "s-2vcpu-2gb" });
        expect(await look()).toMatchObject({ size_slug: "s-2vcpu-2gb", memory: 2048, disk: 25 });
        await finishedAction(api, id, { type: "resize", size: "s-1vcpu-2gb", disk: true });
        expect(await look()).toMatchObject({ size_slug: "s-1vcpu-2gb", disk: 50 });
        expect(await refused({ size: "s-1vcpu-1gb" })).toContain("smaller disk");
        expect(resized).toEqual(["s-2vcpu-2gb", "s-1vcpu-2gb"]);
    });

    it("names those that it has when asked for another", async () => {
        const api = await startApi();
        const { id } = await activeDroplet(api);
        for (const type of ["rebuild", "constructor"]) {
            expect(await api.request("POST", `/droplets/${id}/actions`, { type })).toMatchObject({
                status: 422,
                body: { message: text("power_on") },
            });
        }
    });
});

describe("snapshots", () => {
    it("are found by the action's time, make droplets, and list under droplet, images and snapshots", async () => {
        const made: unknown[] = [];
        const api = await startApi({
            machines: {
                snapshot: () => Promise.resolve({ sizeGiB: 1.5 }),
                create: (_droplet, { snapshot }) => {
                    made.push(snapshot && [snapshot.baseSlug, snapshot.id]);
                    return Promise.resolve();
                },
            },
        });
        const { id } = await activeDroplet(api);
        const action = await finishedAction(api, id, { type: "snapshot", name: "golden" });
        const [own] = (await api.request("GET", `/droplets/${id}/snapshots?per_page=200`)).body.snapshots;
        expect(own).toMatchObject({
            name: "golden",
            created_at: action.started_at,
            min_disk_size: 25,
            type: "snapshot",
        });
        const { data } = await api.client.snapshot.getSnapshot({ snapshot_id: own?.id ?? 0 });
        expect(data.snapshot).toMatchObject({
            id: String(own?.id),
            resource_id: String(id),
            size_gigabytes: 1.5,
        });
        expect((await api.client.image.listImages({ user_images: true })).data.images).toHaveLength(1);

        const child = await activeDroplet(api, { image: own?.id, size: "s-1vcpu-2gb" });
        expect(child.image).toMatchObject({ id: own?.id, slug: null, type: "snapshot" });
        await finishedAction(api, child.id, { type: "snapshot" });
        const [second] = (await api.request("GET", `/droplets/${child.id}/snapshots`)).body.snapshots;
        await activeDroplet(api, { image: String(second?.id), size: "s-1vcpu-2gb" });
        expect(made).toEqual([undefined, ["debian-12-x64", own?.id], ["debian-12-x64", second?.id]]);
        expect(
            await api.request("POST", "/droplets", { ...wish, image: own?.id, region: "nyc3" }),
        ).toMatchObject({
            status: 422,
            body: { message: "You specified an invalid image for Droplet creation." },
        });
    });

    it("are gone with their files at once; a droplet made from one lives on, and still shows it", async () => {
        const deleted: number[] = [];
        const api = await startApi({
            machines: {
                deleteSnapshot: (snapshotId) => {
                    deleted.push(snapshotId);
                    return Promise.resolve();
                },
            },
        });
        const { id } = await activeDroplet(api);
        await finishedAction(api, id, { type: "snapshot", name: "s" });
        const snapshotId = (await api.request("GET", `/droplets/${id}/snapshots`)).body.snapshots[0]?.id ?? 0;
        const child = await activeDroplet(api, { image: snapshotId });
        expect((await api.client.snapshot.deleteSnapshot({ snapshot_id: snapshotId })).status).toBe(204);
        expect((await api.request("GET", `/snapshots/${snapshotId}`)).status).toBe(404);
        expect((await api.request("DELETE", `/images/${snapshotId}`)).status).toBe(404);
        expect(deleted).toEqual([snapshotId]);
        const { image } = (await api.request("GET", `/droplets/${child.id}`)).body.droplet;
        expect(image).toMatchObject({ id: snapshotId, name: "s" });
    });
});
