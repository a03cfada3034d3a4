import { describe, expect, it } from "vitest";

import { refusal, startApi } from "./api-harness.ts";

const ed25519 =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPgDjYvnvVtFI8n0ZBrlGO0YFOGWVwcWtxAsD3ykXoSo someone@example.com";

describe("every request", () => {
    it.each([
        ["no token", { authorization: "" }],
        ["another token", { authorization: "Bearer dop_v1_other" }],
        ["another scheme", { authorization: "Basic dop_v1_test" }],
    ])("with %s is 401, also where there is nothing", async (_what, headers) => {
        const api = await startApi();
        for (const path of ["/account", "/nothing"]) {
            const answer = await api.request("GET", path, undefined, headers);
            expect(answer).toMatchObject({
                status: 401,
                body: { id: "Unauthorized", message: "Unable to authenticate you" },
            });
            expect(answer.body.request_id).toBe(answer.headers.get("x-request-id"));
        }
        expect(api.log.join("\n")).not.toContain("dop_v1");
    });

    it("to an endpoint that is not there is 404, and the log names it", async () => {
        const api = await startApi();
        expect((await api.request("GET", "/load_balancers?x=1")).body.id).toBe("not_found");
        expect(api.log.join("\n")).toContain("GET /v2/load_balancers: the sandbox has no such endpoint");
    });

    it("with a body that is no JSON is 400, one that is empty is taken", async () => {
        const api = await startApi();
        expect(await api.request("POST", "/tags", "{")).toMatchObject({
            status: 400,
            body: { id: "bad_request" },
        });
        expect((await api.request("DELETE", "/tags/none", "")).status).toBe(404);
    });

    it("that fails in the machines is 500 without the reason, which the log has", async () => {
        let fails = false;
        const sync = () => (fails ? Promise.reject(new Error("nft: syntax error")) : Promise.resolve());
        const api = await startApi({ machines: { sync } });
        fails = true;
        const answer = await api.request("POST", "/vpcs", { name: "v", region: "fra1" });
        expect(answer).toMatchObject({
            status: 500,
            body: { id: "server_error", message: "Unexpected server-side error" },
        });
        expect(api.log.join("\n")).toContain("nft: syntax error");
    });
});

describe("the rate limit", () => {
    const budget = { perHour: 5, perMinute: 3, keyListsPerMinute: 1 };

    it("is told in every answer, and refuses with 429 and the time to wait", async () => {
        const api = await startApi({ budget });
        const first = await api.request("GET", "/account");
        expect(first.headers.get("ratelimit-limit")).toBe("5");
        expect(first.headers.get("ratelimit-remaining")).toBe("4");
        const reset = Number(first.headers.get("ratelimit-reset")) - Date.now() / 1000;
        expect(reset).toBeGreaterThan(3590);
        expect(reset).toBeLessThanOrEqual(3601);
        await api.request("GET", "/account");
        await api.request("GET", "/account");
        const refused = await api.request("GET", "/account");
        expect(refused).toMatchObject({
            status: 429,
            body: { id: "too_many_requests", message: "API Rate limit exceeded." },
        });
        expect(refused.headers.get("ratelimit-remaining")).toBe("0");
        const wait = Number(refused.headers.get("retry-after"));
        expect(wait).toBeGreaterThan(50);
        expect(wait).toBeLessThanOrEqual(60);
    });

    it("has a smaller one for the list of keys, and none for those who are not let in", async () => {
        const api = await startApi({ budget });
        for (let count = 0; count < 10; count++) {
            await api.request("GET", "/account", undefined, { authorization: "" });
        }
        expect((await api.request("GET", "/account/keys")).status).toBe(200);
        expect((await api.request("GET", "/account/keys?page=1")).status).toBe(429);
        expect((await api.request("GET", "/account")).status).toBe(200);
    });
});

describe("lists", () => {
    it("come in pages with links to the others", async () => {
        const api = await startApi();
        for (let count = 0; count < 25; count++) await api.client.tag.createTag({ name: `t${count}` });
        const first = (await api.request("GET", "/tags")).body;
        expect(first.tags).toHaveLength(20);
        expect(first.meta).toEqual({ total: 25 });
        expect(first.links.pages).toEqual({
            next: `${api.url}/tags?page=2&per_page=20`,
            last: `${api.url}/tags?page=2&per_page=20`,
        });
        const middle = (await api.request("GET", "/tags?per_page=10&page=2")).body;
        expect(middle.tags.map((tag: { name: string }) => tag.name)).toEqual(
            Array.from({ length: 10 }, (_, index) => `t${index + 10}`),
        );
        expect(Object.keys(middle.links.pages).sort()).toEqual(["first", "last", "next", "prev"]);
        const followed = await fetch(middle.links.pages.prev ?? "", {
            headers: { authorization: "Bearer dop_v1_test" },
        });
        expect(((await followed.json()) as typeof first).tags[0]?.name).toBe("t0");
        expect((await api.request("GET", "/tags?per_page=200")).body.links).toEqual({});
        expect((await api.request("GET", "/tags?page=9")).body.tags).toEqual([]);
    });

    it("hold at most 200 a page, and refuse a page that is none", async () => {
        const api = await startApi();
        for (let count = 0; count < 201; count++) await api.client.tag.createTag({ name: `t${count}` });
        expect((await api.request("GET", "/tags?per_page=1000")).body.tags).toHaveLength(200);
        expect(await api.request("GET", "/tags?page=0")).toMatchObject({ status: 422 });
        expect(await api.request("GET", "/tags?per_page=many")).toMatchObject({ status: 422 });
    });
});

describe("what there is to choose from", () => {
    it("regions and sizes agree with each other", async () => {
        const api = await startApi();
        const { regions } = (await api.client.region.listRegions({ per_page: 100 })).data;
        const { sizes } = (await api.client.size.listSizes({ per_page: 200 })).data;
        for (const region of regions) {
            expect(region.sizes).toEqual(
                sizes.filter((size) => size.regions.includes(region.slug)).map(({ slug }) => slug),
            );
        }
        expect(regions.find(({ slug }) => slug === "fra1")).toMatchObject({
            available: true,
            name: "Frankfurt 1",
        });
        expect(regions.find(({ slug }) => slug === "ams2")?.available).toBe(false);
        expect(sizes.find(({ slug }) => slug === "s-2vcpu-2gb")).toMatchObject({
            vcpus: 2,
            memory: 2048,
            disk: 60,
            transfer: 3,
            price_monthly: 18,
            price_hourly: 0.02679,
            available: true,
        });
    });

    it("images by slug, by id and by kind", async () => {
        const api = await startApi();
        const { image } = (
            await api.client.image.getImage({ image_id: "debian-12-x64" as unknown as number })
        ).data;
        expect(image).toMatchObject({
            slug: "debian-12-x64",
            distribution: "Debian",
            public: true,
            min_disk_size: 7,
        });
        expect((await api.request("GET", `/images/${image.id}`)).body.image.slug).toBe("debian-12-x64");
        expect((await api.request("GET", "/images/none")).status).toBe(404);
        const slugs = async (query: string) =>
            (await api.request("GET", `/images?${query}`)).body.images.map(({ slug }) => slug);
        expect(await slugs("type=distribution")).toContain("ubuntu-24-04-x64");
        expect(await slugs("type=application")).toEqual([]);
        expect(await slugs("private=true")).toEqual([]);
        expect((await api.request("DELETE", "/images/debian-12-x64")).status).toBe(403);
    });
});

describe("ssh keys", () => {
    it("are made, read by id and by fingerprint, renamed and deleted", async () => {
        const api = await startApi();
        const { data, status } = await api.client.sshKey.createSshKey({
            name: "one",
            public_key: `${ed25519}\n`,
        });
        expect(status).toBe(201);
        const { id, fingerprint } = data.ssh_key;
        expect(data.ssh_key.public_key).toBe(ed25519);
        // As `ssh-keygen -E md5 -lf` prints it.
        expect(fingerprint).toBe("08:10:6c:a2:83:3a:db:0c:49:8d:72:11:79:f5:a3:85");
        for (const which of [id, fingerprint]) {
            expect((await api.client.sshKey.getSshKey({ ssh_key_id: which })).data.ssh_key.name).toBe("one");
        }
        await api.client.sshKey.updateSshKey({ ssh_key_id: id, name: "two" });
        expect((await api.client.sshKey.listSshKeys({})).data.ssh_keys).toMatchObject([{ id, name: "two" }]);
        expect((await api.client.sshKey.destroySshKey({ ssh_key_id: id })).status).toBe(204);
        expect((await refusal(api.client.sshKey.getSshKey({ ssh_key_id: id }))).status).toBe(404);
    });

    it.each([
        [
            "twice the same",
            ed25519.replace("someone", "another"),
            "SSH Key is already in use on your account",
        ],
        ["no key", "hello", "Key invalid, key should be of the format `type key [comment]`"],
        [
            "two keys",
            `${ed25519}\n${ed25519}`,
            "Key invalid, key should be of the format `type key [comment]`",
        ],
        ["nothing", "", "Key invalid, key should be of the format `type key [comment]`"],
    ])("refuse %s", async (_what, public_key, message) => {
        const api = await startApi();
        await api.client.sshKey.createSshKey({ name: "one", public_key: ed25519 });
        const call = api.client.sshKey.createSshKey({ name: "two", public_key });
        expect(await refusal(call)).toEqual({ status: 422, id: "unprocessable_entity", message });
    });
});
