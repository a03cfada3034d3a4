import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addressCount, contains } from "../../lib/ipv4-ranges";

describe("ranges", () => {
    it.each([
        [["203.0.113.0/24"], "203.0.113.9", true],
        [["203.0.113.0/24"], "203.0.114.9", false],
        [["198.51.100.1/32", "203.0.113.0/31"], "203.0.113.1", true],
        [[], "203.0.113.1", false],
        [["0.0.0.0/0"], "203.0.113.1", true],
    ])("%j hold %s: %s", (cidrs, address, expected) => {
        expect(contains(cidrs, address)).toBe(expected);
    });
});

describe("the addresses in ranges", () => {
    it.each([
        [[], 0],
        [["0.0.0.0/0"], 2 ** 32],
        [["0.0.0.0/1", "128.0.0.0/1"], 2 ** 32],
        [["203.0.113.7/32", "203.0.113.7/32"], 1],
        [["203.0.113.0/24", "203.0.113.128/25"], 256],
        [["255.255.255.255/32", "0.0.0.0/32"], 2],
    ])("of %j are %i", (cidrs, expected) => {
        expect(addressCount(cidrs)).toBe(expected);
    });

    it("are counted once each, in any order and however they overlap", () => {
        // Ranges of one /24, so that each of its addresses can be looked up.
        const some = fc
            .tuple(fc.integer({ min: 24, max: 32 }), fc.integer({ min: 0, max: 255 }))
            .map(([bits, byte]) => `203.0.113.${byte - (byte % 2 ** (32 - bits))}/${bits}`);
        const addresses = Array.from({ length: 256 }, (_, byte) => `203.0.113.${byte}`);
        fc.assert(
            fc.property(fc.array(some, { maxLength: 6 }), (cidrs) => {
                const inside = addresses.filter((address) => contains(cidrs, address));
                expect(addressCount(cidrs)).toBe(inside.length);
            }),
        );
    });
});
