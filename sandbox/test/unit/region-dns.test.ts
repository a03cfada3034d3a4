import dnsPacket, { type Answer, type RecordType } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Domain, DomainRecord } from "../../model.ts";
import { letsEncryptNames } from "../../region/authority.ts";
import { dnsAnswer } from "../../region/dns.ts";
import { instance } from "../../instance.ts";

const none = { priority: null, port: null, weight: null, flags: null, tag: null };
const record = (
    type: DomainRecord["type"],
    name: string,
    data: string,
    more: Partial<DomainRecord> = {},
): DomainRecord => ({ id: 1, type, name, data, ttlSeconds: 300, ...none, ...more });
const domain = (name: string, ...records: DomainRecord[]): Domain => ({
    name,
    serial: 7,
    records: [record("SOA", "@", "1800", { ttlSeconds: 1800 }), ...records],
});

const domains = [
    domain(
        "example.com",
        record("NS", "@", "ns1.digitalocean.com"),
        record("A", "@", "198.18.7.200"),
        record("A", "www", "198.18.7.5"),
        record("A", "www", "198.18.7.6"),
        record("AAAA", "www", "2001:db8::1"),
        record("CNAME", "alias", "www.example.com"),
        record("CNAME", "apex", "@"),
        record("CNAME", "far", "www.example.net"),
        record("CNAME", "round", "round.example.com"),
        record("A", "*.wild", "198.18.7.9"),
        record("TXT", "sub.wild", "x"),
        record("TXT", "long", "a".repeat(300)),
        record("MX", "@", "mail.example.net", { priority: 10 }),
        record("SRV", "_sip._tcp", "@", { priority: 1, weight: 2, port: 5060 }),
        record("CAA", "@", "letsencrypt.org", { flags: 0, tag: "issue" }),
    ),
    domain("dev.example.com", record("A", "www", "198.18.7.50")),
];

const query = (name: string, type: RecordType = "A", more: object = {}) =>
    dnsPacket.encode({
        type: "query",
        id: 4711,
        flags: dnsPacket.RECURSION_DESIRED,
        questions: [{ type, class: "IN", name }],
        ...more,
    });
const decoded = (bytes: Buffer | undefined) =>
    dnsPacket.decode(bytes ?? Buffer.alloc(0)) as dnsPacket.DecodedPacket & { rcode: string };
const ask = (name: string, type?: RecordType) => decoded(dnsAnswer(query(name, type), { domains }));
const data = (answers: Answer[] | undefined) => answers?.map((answer) => (answer as { data: unknown }).data);

describe("the region's DNS", () => {
    it("says at once that there is no such name", () => {
        for (const name of ["example.net", "com", "notexample.com", "deb.debian.org"]) {
            expect(ask(name)).toMatchObject({
                type: "response",
                id: 4711,
                rcode: "NXDOMAIN",
                flag_rd: true,
                flag_ra: true,
                questions: [{ name, type: "A" }],
                answers: [],
            });
        }
    });

    it.each<[string, RecordType, unknown[]]>([
        ["www.example.com", "A", ["198.18.7.5", "198.18.7.6"]],
        ["WWW.Example.com", "A", ["198.18.7.5", "198.18.7.6"]],
        ["example.com", "A", ["198.18.7.200"]],
        ["www.example.com", "AAAA", ["2001:db8::1"]],
        ["example.com", "NS", ["ns1.digitalocean.com"]],
        ["example.com", "MX", [{ preference: 10, exchange: "mail.example.net" }]],
        ["_sip._tcp.example.com", "SRV", [{ priority: 1, weight: 2, port: 5060, target: "example.com" }]],
        // The closest zone has it, not the one around it.
        ["www.dev.example.com", "A", ["198.18.7.50"]],
        ["alias.example.com", "A", ["www.example.com", "198.18.7.5", "198.18.7.6"]],
        ["alias.example.com", "CNAME", ["www.example.com"]],
        ["apex.example.com", "A", ["example.com", "198.18.7.200"]],
        ["far.example.com", "A", ["www.example.net"]],
        ["any.wild.example.com", "A", ["198.18.7.9"]],
        ["a.b.wild.example.com", "A", ["198.18.7.9"]],
    ])("answers %s %s", (name, type, expected) => {
        const { rcode, answers } = ask(name, type);
        expect([rcode, data(answers)]).toEqual(["NOERROR", expected]);
        if (type === "A" && expected.length === 1) expect(answers?.[0]).toMatchObject({ ttl: 300 });
    });

    it("answers SOA and CAA", () => {
        expect(data(ask("example.com", "SOA").answers)).toMatchObject([
            { mname: "ns1.digitalocean.com", rname: "hostmaster.example.com", serial: 7, minimum: 1800 },
        ]);
        expect(data(ask("example.com", "CAA").answers)).toMatchObject([
            { flags: 0, tag: "issue", value: "letsencrypt.org" },
        ]);
    });

    it.each<[string, RecordType, string]>([
        ["nothing.example.com", "A", "NXDOMAIN"],
        ["www.example.com", "MX", "NOERROR"],
        // A name below it has records, so that it exists, too, and the wildcard is not for it.
        ["_tcp.example.com", "A", "NOERROR"],
        ["sub.wild.example.com", "A", "NOERROR"],
    ])("says with the zone's SOA that there is nothing of %s %s: %s", (name, type, rcode) => {
        expect(ask(name, type)).toMatchObject({
            rcode,
            answers: [],
            authorities: [{ type: "SOA", name: "example.com" }],
        });
    });

    it("does not follow a circle for ever", () => {
        expect(ask("round.example.com").answers?.length).toBeLessThan(10);
    });

    it("answers types that it does not know, as browsers ask them", () => {
        const asked = query("www.example.com");
        asked.writeUInt16BE(65, asked.length - 4); // HTTPS
        expect(decoded(dnsAnswer(asked, { domains }))).toMatchObject({
            id: 4711,
            rcode: "NOERROR",
            answers: [],
        });
    });

    it("tells who asks by datagram to come by TCP for what is long, unless more fits", () => {
        const many = [
            domain(
                "example.com",
                ...Array.from({ length: 60 }, (_none, n) => record("A", "@", `198.18.7.${n}`)),
            ),
        ];
        const short = decoded(dnsAnswer(query("example.com"), { domains: many }));
        expect(short).toMatchObject({ flag_tc: true, answers: [], rcode: "NOERROR" });
        const stream = decoded(dnsAnswer(query("example.com"), { domains: many }, { stream: true }));
        expect([stream.flag_tc, stream.answers?.length]).toEqual([false, 60]);
        const edns = { type: "OPT", name: ".", udpPayloadSize: 4096, flags: 0, options: [] };
        const large = query("example.com", "A", { additionals: [edns] });
        expect(decoded(dnsAnswer(large, { domains: many })).answers).toHaveLength(60);
    });

    it("cuts a text into pieces that a record can hold", () => {
        const [pieces] = data(ask("long.example.com", "TXT").answers) as Buffer[][];
        expect(pieces?.map(({ length }) => length)).toEqual([255, 45]);
    });

    it("knows Let's Encrypt once the account has a domain", () => {
        const sandbox = instance({ name: "unit", index: 7, stateDir: "/nowhere", kind: "nspawn" });
        const ownNames = letsEncryptNames(sandbox, { domains });
        const name = "acme-v02.api.letsencrypt.org";
        const answer = (type: RecordType) => decoded(dnsAnswer(query(name, type), { domains }, { ownNames }));
        expect(data(answer("A").answers)).toEqual(["198.19.7.2"]);
        expect(answer("AAAA")).toMatchObject({ rcode: "NOERROR", answers: [] });
        expect(letsEncryptNames(sandbox, { domains: [] })).toEqual({});
    });

    it("keeps silent about responses, and about what is no DNS at all", () => {
        expect(dnsAnswer(dnsPacket.encode({ type: "response", id: 1 }), { domains })).toBeUndefined();
        expect(dnsAnswer(Buffer.from("GET / HTTP/1.1"), { domains })).toBeUndefined();
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
                dnsAnswer(Buffer.from(bytes), { domains }); // a thrown error would end the sandbox
            }),
        );
    });
});
