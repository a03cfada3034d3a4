import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { instance } from "../../instance.ts";
import type { Cloud, Firewall } from "../../model.ts";
import { renderHostGuard, renderRules } from "../../region/rules.ts";
import { ALL_OUT, EVERYONE, exampleCloud, firewall, rule, withReservedIp } from "../region-cloud.ts";

const sandbox = instance({ name: "unit", index: 7, stateDir: "/nowhere", kind: "nspawn" });

function cloudWith(...firewalls: Firewall[]): Cloud {
    return { ...exampleCloud(sandbox), firewalls };
}

/** The rules of a chain, without those that every cloud has. */
function chain(name: "inbound" | "outbound", cloud: Cloud): string[] {
    const rules = (text: string) => {
        const [, body = ""] =
            new RegExp(`chain ${name} \\{ type.*\n([^}]*(?:\\{[^}]*\\}[^}]*)*?)\n    \\}`).exec(text) ?? [];
        return body.split("\n").map((line) => line.trim());
    };
    const always = rules(renderRules({ ...cloud, droplets: [], firewalls: [] }, sandbox));
    return rules(renderRules(cloud, sandbox)).filter((line) => !always.includes(line));
}

describe("firewall rules", () => {
    it("let everything through for droplets without a firewall", () => {
        const cloud = cloudWith();
        expect(chain("inbound", cloud)).toEqual(["oifname { p5, p6, p7, p8, v5, v6, v7, v8 } accept"]);
        expect(chain("outbound", cloud)).toEqual(["iifname { p5, p6, p7, p8, v5, v6, v7, v8 } accept"]);
    });

    it("let nothing through for droplets whose firewall has no rules", () => {
        const cloud = cloudWith(firewall("shut", { tags: ["web", "lb"] }, {}));
        expect(chain("inbound", cloud)).toEqual(["oifname { p8, v8 } accept"]);
        expect(chain("outbound", cloud)).toEqual(["iifname { p8, v8 } accept"]);
    });

    it("add up over all firewalls of a droplet, attached by tag or by id", () => {
        const cloud = cloudWith(
            firewall("by-tag", { tags: ["web"] }, { inbound: [rule("tcp", "80", EVERYONE)] }),
            firewall("by-id", { dropletIds: [7] }, { inbound: [rule("icmp", "", EVERYONE)] }),
        );
        expect(chain("inbound", cloud)).toEqual([
            "oifname { p5, p8, v5, v8 } accept",
            "oifname { p6, p7, v6, v7 } ip saddr { 0.0.0.0/0 } tcp dport 80 accept",
            "oifname { p7, v7 } ip saddr { 0.0.0.0/0 } meta l4proto icmp accept",
        ]);
    });

    it.each([
        { protocol: "tcp", ports: "all", text: "meta l4proto tcp" },
        { protocol: "udp", ports: "53", text: "udp dport 53" },
        { protocol: "tcp", ports: "8000-9000", text: "tcp dport 8000-9000" },
        { protocol: "icmp", ports: "", text: "meta l4proto icmp" },
    ] as const)("write $protocol $ports as `$text`", ({ protocol, ports, text }) => {
        const cloud = cloudWith(
            firewall(
                "f",
                { dropletIds: [5] },
                { outbound: [rule(protocol, ports, { addresses: ["192.0.2.1"] })] },
            ),
        );
        expect(chain("outbound", cloud)).toContain(
            `iifname { p5, v5 } ip daddr { 192.0.2.1 } ${text} accept`,
        );
    });

    it("take a tag or an id for the public, private and anchor addresses of its droplets", () => {
        const peers = { tags: ["lb"], dropletIds: [8] };
        const cloud = cloudWith(firewall("f", { dropletIds: [6] }, { inbound: [rule("tcp", "all", peers)] }));
        expect(chain("inbound", cloud)).toContain(
            "oifname { p6, v6 } ip saddr { 10.114.0.5, 10.114.16.8, 10.17.0.5, 10.17.0.8, 198.18.7.5, 198.18.7.8 } " +
                "meta l4proto tcp accept",
        );
    });

    it("leave out what can match nobody: IPv6 alone, tags and firewalls without droplets", () => {
        const rules = [
            rule("tcp", "22", { addresses: ["::/0", "2001:db8::1"] }),
            rule("tcp", "22", { tags: ["nobody"], dropletIds: [999] }),
        ];
        const cloud = cloudWith(
            firewall("f", { dropletIds: [5, 6, 7, 8] }, { inbound: rules, outbound: rules }),
            firewall(
                "unused",
                { tags: ["nobody"], dropletIds: [999] },
                { inbound: ALL_OUT, outbound: ALL_OUT },
            ),
        );
        expect(chain("inbound", cloud)).toEqual([]);
        expect(chain("outbound", cloud)).toEqual([]);
    });

    it("name no range inside another: nft refuses such sets", () => {
        const addresses = [
            "10.1.2.3",
            "10.1.0.0/16",
            "10.0.0.0/8",
            "192.0.2.0/25",
            "192.0.2.200",
            "10.9.9.9/8",
        ];
        const cloud = cloudWith(
            firewall("f", { dropletIds: [5] }, { inbound: [rule("udp", "1", { addresses })] }),
        );
        expect(chain("inbound", cloud)).toContain(
            "oifname { p5, v5 } ip saddr { 10.0.0.0/8, 192.0.2.0/25, 192.0.2.200 } udp dport 1 accept",
        );
    });

    it("are the same text in whatever order the cloud lists things", () => {
        const cloud: Cloud = {
            ...cloudWith(
                firewall(
                    "a",
                    { tags: ["web", "lb"], dropletIds: [8, 5] },
                    { inbound: ALL_OUT, outbound: ALL_OUT },
                ),
                firewall("b", { tags: ["web"] }, { inbound: [rule("tcp", "80", { tags: ["lb", "web"] })] }),
                firewall(
                    "c",
                    { dropletIds: [6] },
                    { inbound: [rule("tcp", "22", { addresses: ["1.2.3.4", "1.2.0.0/16"] })] },
                ),
            ),
            reservedIps: [200, 201, 202].map((last) => ({
                ip: `198.18.7.${last}`,
                region: "fra1",
                dropletId: last === 202 ? null : last - 195,
            })),
        };
        const text = renderRules(cloud, sandbox);
        const shuffled = <T>(list: T[]) => fc.shuffledSubarray(list, { minLength: list.length });
        fc.assert(
            fc.property(
                fc.record({
                    droplets: shuffled(cloud.droplets),
                    vpcs: shuffled(cloud.vpcs),
                    reservedIps: shuffled(cloud.reservedIps),
                    firewalls: shuffled(cloud.firewalls),
                    lists: fc.boolean(),
                }),
                ({ lists, ...order }) => {
                    const turned = order.firewalls.map((fw) => ({
                        ...fw,
                        tags: fw.tags.toReversed(),
                        inbound: fw.inbound
                            .toReversed()
                            .map((r) => ({ ...r, addresses: r.addresses.toReversed() })),
                    }));
                    const other = { ...cloud, ...order, firewalls: lists ? turned : order.firewalls };
                    expect(renderRules(other, sandbox)).toBe(text);
                },
            ),
        );
    });
});

describe("reserved IPs", () => {
    const cloud = exampleCloud(sandbox);

    it("lead to the anchor address of their droplet, and back", () => {
        const text = renderRules(withReservedIp(cloud, 6), sandbox);
        expect(text).toContain("dnat ip to ip daddr map { 198.18.7.200 : 10.17.0.6 }");
        expect(text).toContain("snat ip to ip saddr map { 10.17.0.6 : 198.18.7.200 }");
    });

    it.each([null, 999])("lead nowhere when held by %s", (dropletId) => {
        const text = renderRules(withReservedIp(cloud, dropletId), sandbox);
        expect(text).not.toContain("198.18.7.200");
    });
});

describe("the Internet's side", () => {
    const lines = renderRules(exampleCloud(sandbox), sandbox)
        .split("\n")
        .map((line) => line.trim());
    const place = (line: string) => lines.indexOf(line);

    it("has the certificate authority, which droplets reach by HTTPS alone, and nothing else", () => {
        const let443 = place('iifname "p*" oifname "ca0" tcp dport 443 accept');
        const refuse = place('oifname { "up0", "ca0" } reject with icmpx admin-prohibited');
        expect(let443).toBeGreaterThan(0);
        expect(refuse).toBe(let443 + 1);
    });

    it("finds the region's DNS at the router's own address", () => {
        const dns = "meta l4proto { tcp, udp } th dport 53";
        expect(lines).toContain(
            `iifname { "up0", "ca0" } ip daddr 198.19.7.254 ${dns} dnat ip to 169.254.169.254`,
        );
        expect(lines).toContain(
            `iifname { "up0", "ca0" } ip daddr 169.254.169.254 ct status dnat ${dns} accept`,
        );
    });
});

describe("the host's guard", () => {
    it("names this instance's ranges and cable only", () => {
        const text = renderHostGuard(sandbox);
        expect(text).toContain(
            'ip daddr { 198.18.7.0/24, 198.19.7.0/24 } oifname != { "ds7-up", "lo" } reject',
        );
        expect(text.match(/"[^"]*"/g)?.filter((name) => name !== '"lo"')).toEqual(Array(4).fill('"ds7-up"'));
    });
});
