import fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
    contains,
    gateway,
    lowestFreeAddress,
    lowestFreeRange,
    netmask,
    overlap,
    parseCidr,
    range,
    toAddress,
    toNumber,
} from "../../addresses.ts";

const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
/** Any network of that many bits. */
const cidr = (least: number, most: number) =>
    fc.tuple(number, fc.integer({ min: least, max: most })).map(([address, prefix]) => {
        const size = 2 ** (32 - prefix);
        return `${toAddress(Math.floor(address / size) * size)}/${prefix}`;
    });

describe("addresses", () => {
    it("are numbers and back", () => {
        expect(toNumber("45.55.96.40")).toBe(758603816);
        fc.assert(fc.property(number, (value) => toNumber(toAddress(value)) === value));
    });

    it.each([
        "",
        "10.0.0.0",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.1/24",
        "10.0.0/8",
        "::/0",
        "10.0.0.0/8/8",
        "a/8",
    ])("%j is no range", (text) => {
        expect(parseCidr(text)).toBeUndefined();
    });

    it.each([
        ["10.114.0.0/20", "10.114.0.1", "255.255.240.0"],
        ["10.0.0.16/28", "10.0.0.17", "255.255.255.240"],
        ["172.16.0.0/16", "172.16.0.1", "255.255.0.0"],
    ])("of %s: gateway %s, netmask %s", (cidr, first, mask) => {
        expect([gateway(cidr), netmask(cidr)]).toEqual([first, mask]);
    });
});

describe("the lowest free address", () => {
    it("is in the range, not taken, not network, gateway or broadcast, and none below it is free", () => {
        fc.assert(
            fc.property(
                cidr(24, 28),
                fc.array(fc.nat(255)),
                fc.constantFrom("all", "lower", "upper"),
                (net, offsets, half) => {
                    const { first, count } = range(net);
                    const taken = new Set(offsets.map((offset) => toAddress(first + (offset % count))));
                    const start = half === "upper" ? count / 2 : 2;
                    const end = half === "lower" ? count / 2 : count - 1;
                    const free = Array.from({ length: end - start }, (_, index) =>
                        toAddress(first + start + index),
                    ).filter((address) => !taken.has(address));
                    expect(lowestFreeAddress(net, taken, half)).toBe(free[0]);
                },
            ),
        );
    });

    it("of the lower and the upper half never meet", () => {
        expect(lowestFreeAddress("198.18.0.0/24", new Set(), "lower")).toBe("198.18.0.2");
        expect(lowestFreeAddress("198.18.0.0/24", new Set(), "upper")).toBe("198.18.0.128");
    });
});

describe("the lowest free range", () => {
    it("lies in the pool, overlaps nothing, and is found while there is room", () => {
        const pool = "10.114.0.0/15";
        fc.assert(
            fc.property(fc.array(cidr(14, 28), { maxLength: 20 }), (others) => {
                const found = lowestFreeRange(pool, 20, others);
                const taken = others.map(range);
                const slots = Array.from({ length: 32 }, (_, index) => ({
                    first: toNumber("10.114.0.0") + index * 4096,
                    count: 4096,
                })).filter((slot) => !taken.some((other) => overlap(other, slot)));
                expect(found).toBe(slots[0] && `${toAddress(slots[0].first)}/20`);
                if (found) expect(contains(range(pool), range(found))).toBe(true);
            }),
        );
    });

    it("of one allocation after the other never overlap, until the pool is used up", () => {
        const ranges: string[] = [];
        for (let next = lowestFreeRange("10.114.0.0/15", 20, ranges); next;) {
            ranges.push(next);
            next = lowestFreeRange("10.114.0.0/15", 20, ranges);
        }
        expect(ranges).toHaveLength(32);
        expect(new Set(ranges).size).toBe(32);
        expect(ranges.at(-1)).toBe("10.115.240.0/20");
    });
});

describe("overlap", () => {
    it("is symmetric, holds for what contains and for no neighbours", () => {
        fc.assert(
            fc.property(cidr(8, 28), cidr(8, 28), (a, b) => {
                expect(overlap(range(a), range(b))).toBe(overlap(range(b), range(a)));
                if (contains(range(a), range(b))) expect(overlap(range(a), range(b))).toBe(true);
            }),
        );
        expect(overlap(range("10.0.0.0/24"), range("10.0.1.0/24"))).toBe(false);
    });
});
