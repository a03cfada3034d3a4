import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkDomains } from "../../account/names";
import { resolverVariable } from "../../lib/dns";
import type { RecordType } from "../../sandbox/model.ts";
import { dnsAnswer } from "../../sandbox/region/dns.ts";
import { runProgram } from "../mocks";

/** What DNS says; it says nothing at all about names that begin with `silent`. */
const records: [name: string, type: RecordType, data: string][] = [
    ["www", "A", "192.0.2.7"],
    ["moved", "A", "203.0.113.9"],
    ["half", "A", "192.0.2.7"],
    ["half", "A", "203.0.113.10"],
    ["both", "A", "192.0.2.7"],
    ["both", "AAAA", "2001:db8::1"],
    ["mail", "TXT", "no address"],
    ["cdn", "A", "198.51.100.20"],
    ["cdn", "AAAA", "2001:db8::20"],
];
const zone = {
    name: "example.com",
    serial: 1,
    records: records.map(([name, type, data], id) => ({ id, type, name, data, ttlSeconds: 60 })),
};

let server: Socket;
beforeAll(async () => {
    server = createSocket("udp4", (query, { address, port }) => {
        if (query.includes("silent")) return;
        server.send(dnsAnswer(query, { domains: [zone] as never }) ?? "", port, address);
    });
    server.bind(0, "127.0.0.1");
    await once(server, "listening");
    vi.stubEnv(resolverVariable, `127.0.0.1:${server.address().port}`);
});
afterAll(() => {
    server.close();
    vi.unstubAllEnvs();
});

const loadBalancer = {
    ...{ id: 7, size: "s-1vcpu-1gb", image: "debian-12-x64" },
    tags: ["dropscale-dev-load-balancer"],
};
const reservedIps = { "192.0.2.7": 7 };

describe.each([
    ["up", false],
    ["preview", true],
])("names that lead elsewhere, in %s", (_mode, preview) => {
    const check = async (domains: string[], more: object = {}, droplets = [loadBalancer]) => {
        let found: string[] = [];
        const program = async () => {
            found = await checkDomains({ prefix: "dropscale-dev", domains, ...more }, droplets);
            return {};
        };
        await runProgram({ preview, program, reservedIps });
        return found;
    };

    it("are named, with where they lead and what to do; those that lead here are not", async () => {
        const found = await check([
            ...["www.example.com", "moved.example.com", "half.example.com", "both.example.com"],
            ...["mail.example.com", "gone.example.com"],
        ]);
        expect(found.map((text) => text.replace(/: it should have one A record, .*/, ""))).toEqual([
            "moved.example.com leads to 203.0.113.9, which is not this stack's load balancer",
            "half.example.com leads to 203.0.113.10, which is not this stack's load balancer",
            "both.example.com leads to 2001:db8::1, which is not this stack's load balancer",
            "mail.example.com has no address in DNS",
            "gone.example.com has no address in DNS",
        ]);
        expect(found[0]).toContain(
            "the reserved IP (pulumi stack output loadBalancerIp), and no AAAA record",
        );
    });

    it("may be those of a proxy in front", async () => {
        expect(await check(["cdn.example.com"], { trustedProxies: ["198.51.100.0/24"] })).toEqual([]);
        expect(await check(["cdn.example.com"])).toHaveLength(1);
    });

    it("are not looked for before there is a load balancer, nor in the zone whose records are made here", async () => {
        expect(await check(["moved.example.com"], {}, [])).toEqual([]);
        expect(await check(["moved.example.com"], { dnsZone: "example.com" })).toEqual([]);
        expect(await check(["moved.example.com"], { dnsZone: "example.org" })).toHaveLength(1);
    });

    it("are not known where DNS says nothing: no warning, and no longer wait than seconds", async () => {
        const started = Date.now();
        expect(await check(["silent.example.com", "www.example.com"])).toEqual([]);
        expect(Date.now() - started).toBeLessThan(10_000);
    }, 20_000);

    it("are what the program warns of, and goes on", async () => {
        const warn = vi.spyOn(console, "warn").mockReturnValue();
        const config = { domains: ["moved.example.com"], acmeEmail: "me@example.com" };
        const { outputs } = await runProgram({ preview, config, reservedIps, droplets: [loadBalancer] });
        // Without an engine the SDK prints it.
        const warnings = warn.mock.calls.map(([text]) => String(text));
        warn.mockRestore();
        expect(warnings).toEqual([expect.stringMatching(/moved\.example\.com leads to 203\.0\.113\.9/)]);
        expect(outputs.url).toBe("https://moved.example.com");
    }, 20_000);
});
