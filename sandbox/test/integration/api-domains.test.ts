import { describe, expect, it } from "vitest";

import { openDomain } from "../../domain.ts";
import { instance } from "../../instance.ts";
import { openStore } from "../../api/store.ts";
import { refusal, startApi, type TestApi, token } from "./api-harness.ts";

const unprocessable = (message: string) => ({ status: 422, body: { id: "unprocessable_entity", message } });

async function withDomain(): Promise<TestApi> {
    const api = await startApi();
    expect((await api.request("POST", "/domains", { name: "example.com" })).status).toBe(201);
    return api;
}
const make = (api: TestApi, body: object) => api.request("POST", "/domains/example.com/records", body);
const records = async (api: TestApi, query = "") =>
    (await api.request("GET", `/domains/example.com/records${query}`)).body.domain_records;

describe("domains", () => {
    it("are made with SOA and NS records, listed, shown with their zone file, and deleted", async () => {
        const api = await startApi();
        const { data } = await api.client.domain.createDomain({
            name: "Example.com",
            ip_address: "192.0.2.1",
        });
        expect(data.domain).toEqual({ name: "example.com", ttl: 1800, zone_file: null });
        expect((await api.client.domain.listDomains({})).data.domains).toHaveLength(1);
        const { domain } = (await api.request("GET", "/domains/EXAMPLE.com")).body;
        expect(domain.zone_file).toMatch(
            /^\$ORIGIN example\.com\.\n\$TTL 1800\nexample\.com\. IN SOA ns1\.digitalocean\.com\. hostmaster\.example\.com\. \d+ 10800 3600 604800 1800\n/,
        );
        expect(domain.zone_file).toContain("\nexample.com. 1800 IN NS ns3.digitalocean.com.\n");
        expect(domain.zone_file).toContain("\nexample.com. 1800 IN A 192.0.2.1\n");
        expect((await records(api)).map(({ type, name, data }) => [type, name, data])).toEqual([
            ["SOA", "@", "1800"],
            ["NS", "@", "ns1.digitalocean.com"],
            ["NS", "@", "ns2.digitalocean.com"],
            ["NS", "@", "ns3.digitalocean.com"],
            ["A", "@", "192.0.2.1"],
        ]);
        await api.client.domain.deleteDomain({ name: "example.com" });
        expect((await api.request("GET", "/domains/example.com")).status).toBe(404);
        expect((await api.request("GET", "/domains/example.com/records")).status).toBe(404);
    });

    it.each([
        ["one that is there", { name: "example.com" }, "domain 'example.com': name already exists"],
        ["one without a dot", { name: "com" }, "domain 'com': name is not a valid domain name"],
        [
            "one with a final dot",
            { name: "a.example." },
            "domain 'a.example.': name is not a valid domain name",
        ],
        ["a wildcard", { name: "*.a.example" }, "domain '*.a.example': name is not a valid domain name"],
        [
            "an address that is none",
            { name: "a.example", ip_address: "192.0.2" },
            "IP address did not match IPv4 format (e.g. 127.0.0.1).",
        ],
    ])("are refused: %s", async (_what, body, message) => {
        const api = await withDomain();
        expect(await api.request("POST", "/domains", body)).toMatchObject(unprocessable(message));
        expect((await api.request("GET", "/domains")).body.meta.total).toBe(1);
    });

    it("survive a restart, and a cloud from before there were any has none", async () => {
        const api = await withDomain();
        await make(api, { type: "A", name: "www", data: "192.0.2.1" });
        await api.close();
        const again = await startApi({ stateDir: api.stateDir });
        expect(await records(again, "?name=www.example.com")).toMatchObject([{ data: "192.0.2.1" }]);
        expect(openStore(`${api.stateDir}/new`).cloud.domains).toEqual([]);
    });
});

describe("records", () => {
    it("are made, shown, changed by PUT and PATCH, and deleted", async () => {
        const api = await withDomain();
        const made = (await make(api, { type: "A", name: "www", data: "192.0.2.1", ttl: 300 })).body;
        const { id } = made.domain_record;
        const record = { id, type: "A", name: "www", data: "192.0.2.1", ttl: 300, priority: null };
        expect(made.domain_record).toEqual({ ...record, port: null, weight: null, flags: null, tag: null });
        const where = `/domains/example.com/records/${id}`;
        expect((await api.request("GET", where)).body).toEqual(made);
        const put = await api.request("PUT", where, { data: "192.0.2.2", priority: 0, port: 0 });
        expect(put.body.domain_record).toMatchObject({ ...record, data: "192.0.2.2" });
        const patch = await api.request("PATCH", where, { type: "A", name: "blog", ttl: 60 });
        expect(patch.body.domain_record).toMatchObject({ name: "blog", data: "192.0.2.2", ttl: 60 });
        expect((await api.request("DELETE", where)).status).toBe(204);
        for (const method of ["GET", "PUT", "DELETE"]) {
            const sent = method === "PUT" ? { ttl: 60 } : undefined;
            expect((await api.request(method, where, sent)).status, method).toBe(404);
        }
    });

    it.each([
        ["www", "www"],
        ["WWW", "www"],
        ["www.example.com.", "www"],
        ["@", "@"],
        ["example.com.", "@"],
        ["a.b", "a.b"],
        ["*", "*"],
        ["_acme-challenge.www", "_acme-challenge.www"],
        // As in a zone file: without the dot it is one more name in the zone.
        ["www.example.com", "www.example.com"],
    ])("named %s are kept as %s", async (given, kept) => {
        const api = await withDomain();
        const { body } = await make(api, { type: "A", name: given, data: "192.0.2.1" });
        expect(body.domain_record).toMatchObject({ name: kept, ttl: 1800 });
    });

    it.each([
        [{ type: "AAAA", name: "@", data: "2001:db8::1" }, { data: "2001:db8::1" }],
        [{ type: "CNAME", name: "a", data: "www.example.net." }, { data: "www.example.net" }],
        [{ type: "CNAME", name: "a", data: "@" }, { data: "@" }],
        [{ type: "TXT", name: "@", data: "v=spf1 -all" }, { data: "v=spf1 -all" }],
        [
            { type: "MX", data: "mail.example.net.", priority: 0 },
            { name: "@", data: "mail.example.net", priority: 0 },
        ],
        [
            { type: "NS", data: "ns1.example.net." },
            { name: "@", data: "ns1.example.net" },
        ],
        [
            {
                type: "SRV",
                name: "_sip._tcp",
                data: "sip.example.net.",
                priority: 1,
                weight: 0,
                port: "5060",
            },
            { data: "sip.example.net", priority: 1, weight: 0, port: 5060 },
        ],
        [
            { type: "CAA", name: "@", data: "letsencrypt.org.", flags: 0, tag: "issue" },
            { data: "letsencrypt.org", flags: 0, tag: "issue" },
        ],
        [
            { type: "CAA", name: "@", data: "mailto:a@example.com", flags: 128, tag: "iodef" },
            { data: "mailto:a@example.com", flags: 128, tag: "iodef" },
        ],
    ])("of each type: %j", async (body, shown) => {
        const api = await withDomain();
        const answer = await make(api, body);
        expect(answer).toMatchObject({ status: 201, body: { domain_record: { type: body.type, ...shown } } });
        const zone = (await api.request("GET", "/domains/example.com")).body.domain.zone_file ?? "";
        expect(zone).toContain(` 1800 IN ${body.type} `);
        expect(zone).not.toContain("null");
    });

    const dot = "Data needs to end with a dot (.)";
    it.each([
        [{ name: "www", data: "192.0.2.1" }, "Type can't be blank"],
        [{ type: "HINFO", name: "www", data: "x" }, "Type is not included in the list"],
        [{ type: "SOA", name: "@", data: "1800" }, "The domain has its SOA record already."],
        [{ type: "A", data: "192.0.2.1" }, "Name can't be blank"],
        [{ type: "A", name: null, data: "192.0.2.1" }, "Name can't be blank"],
        [{ type: "A", name: "www", data: "" }, "Data can't be blank"],
        [
            { type: "A", name: "www", data: "192.0.2" },
            "IP address did not match IPv4 format (e.g. 127.0.0.1).",
        ],
        [
            { type: "AAAA", name: "www", data: "192.0.2.1" },
            "IP address did not match IPv6 format (e.g. 2001:db8::ff00:42:8329).",
        ],
        [
            { type: "A", name: "a b", data: "192.0.2.1" },
            "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, ., _ and -)",
        ],
        [{ type: "A", name: "www", data: "192.0.2.1", ttl: 29 }, "record ttl must be greater than 30"],
        [{ type: "CNAME", name: "a", data: "www.example.net" }, dot],
        [{ type: "NS", data: "ns1.example.net" }, dot],
        [{ type: "CAA", name: "@", data: "letsencrypt.org", flags: 0, tag: "issue" }, dot],
        [{ type: "CAA", name: "@", data: "letsencrypt.org.", flags: 0 }, "Tag can't be blank"],
        [
            { type: "CAA", name: "@", data: "letsencrypt.org.", flags: 0, tag: "x" },
            "Tag is not included in the list",
        ],
        [{ type: "MX", data: "mail.example.net.", priority: null }, "Priority can't be blank"],
        [{ type: "SRV", name: "a", data: "b.example.", priority: 1, weight: 1 }, "Port can't be blank"],
        [
            { type: "CNAME", name: "@", data: "www.example.net." },
            "CNAME records cannot share a name with other records",
        ],
    ])("are refused: %j", async (body, message) => {
        const api = await withDomain();
        expect(await make(api, body)).toMatchObject(unprocessable(message));
        expect(await records(api)).toHaveLength(4);
    });

    it("of one name and type may be many, but a CNAME stands alone", async () => {
        const api = await withDomain();
        for (const data of ["192.0.2.1", "192.0.2.2"]) {
            expect((await make(api, { type: "A", name: "www", data })).status).toBe(201);
        }
        await make(api, { type: "CNAME", name: "alias", data: "www.example.com." });
        const message = "CNAME records cannot share a name with other records";
        const beside = { type: "A", name: "alias", data: "192.0.2.3" };
        expect(await make(api, beside)).toMatchObject(unprocessable(message));
        expect((await records(api, "?name=www.example.com")).map(({ data }) => data)).toEqual([
            "192.0.2.1",
            "192.0.2.2",
        ]);
    });

    it("are filtered by type and by whole name, and come in pages", async () => {
        const api = await withDomain();
        await make(api, { type: "A", name: "@", data: "192.0.2.1" });
        await make(api, { type: "TXT", name: "@", data: "x" });
        expect(await records(api, "?type=NS")).toHaveLength(3);
        expect(await records(api, "?type=A&name=example.com")).toMatchObject([{ data: "192.0.2.1" }]);
        expect(await records(api, "?name=@")).toEqual([]);
        const page = (await api.request("GET", "/domains/example.com/records?per_page=4&page=2")).body;
        expect(page.domain_records.map(({ type }) => type)).toEqual(["A", "TXT"]);
        expect(page.meta.total).toBe(6);
        expect(page.links.pages).toHaveProperty("prev");
    });

    it("keep their type; the SOA record keeps its place, and changes by its ttl", async () => {
        const api = await withDomain();
        const [soa] = await records(api, "?type=SOA");
        const where = `/domains/example.com/records/${soa?.id}`;
        expect((await api.request("DELETE", where)).status).toBe(422);
        const typed = await api.request("PATCH", where, { type: "A", data: "192.0.2.1" });
        expect(typed).toMatchObject(unprocessable("The type of a record can't be changed."));
        const changed = await api.request("PUT", where, { type: "SOA", ttl: 3600 });
        expect(changed.body.domain_record).toMatchObject({ type: "SOA", data: "3600", ttl: 3600 });
        const zone = (await api.request("GET", "/domains/example.com")).body.domain.zone_file;
        expect(zone).toContain(" 604800 3600\n");
    });

    it("of a domain that is not there are 404", async () => {
        const api = await withDomain();
        const call = api.client.domain.listDomainRecords({ domain_name: "example.net" });
        expect((await refusal(call)).status).toBe(404);
        expect((await api.request("POST", "/domains/example.net/records", { type: "A" })).status).toBe(404);
        expect((await api.request("GET", "/domains/example.com/records/x")).status).toBe(404);
    });
});

describe("make domain", () => {
    it("makes a domain once, waits for certificates, and says how to reach its names", async () => {
        const api = await startApi();
        const where = instance({ name: "test", index: 250, stateDir: api.stateDir, kind: "loopback" });
        const sandbox = { url: api.url.replace(/\/v2$/, ""), token };
        let waited = 0;
        const open = (name: string) =>
            openDomain(where, sandbox, name, () => {
                waited++;
                return Promise.resolve();
            });
        expect(await open("example.com")).toContain("No A record yet");
        await make(api, { type: "A", name: "www", data: "198.18.250.128" });
        await make(api, { type: "A", name: "*", data: "198.18.250.129" });
        const text = await open("example.com");
        expect(text).toContain("--resolve www.example.com:443:198.18.250.128");
        expect(text).not.toContain("198.18.250.129");
        expect(waited).toBe(2);
        for (const name of ["", "nonsense"]) {
            await expect(open(name)).rejects.toThrow(`domain '${name}': name is not a valid domain name`);
        }
        expect((await api.request("GET", "/domains")).body.meta.total).toBe(1);
    });
});
