import { describe, expect, it } from "vitest";

import { distributions, regions, sizeOf, sizes } from "../../api/catalog.ts";
import { RateLimiter } from "../../api/rate-limit.ts";
import { defaultImage, releases } from "../../releases.ts";

describe("sizes", () => {
    it("have each a slug of their own that says how many processors it has", () => {
        expect(new Set(sizes.map(({ slug }) => slug)).size).toBe(sizes.length);
        for (const { slug, vcpus } of sizes) {
            expect(Number(/(\d+)vcpu/.exec(slug)?.[1] ?? /^c-(\d+)/.exec(slug)?.[1])).toBe(vcpus);
        }
    });

    it("are offered somewhere, and only in regions that take droplets", () => {
        const open = regions.filter(({ available }) => available).map(({ slug }) => slug);
        for (const size of sizes) {
            expect(size.regions.length).toBeGreaterThan(0);
            expect(open).toEqual(expect.arrayContaining(size.regions));
        }
    });

    // As `doctl compute size list` prints them.
    it.each([
        ["s-1vcpu-512mb-10gb", 4, 0.00595],
        ["s-1vcpu-1gb", 6, 0.00893],
        ["s-2vcpu-4gb-amd", 28, 0.04167],
        ["c-4-intel", 109, 0.1622],
        ["g-2vcpu-8gb", 63, 0.09375],
        ["m3-16vcpu-128gb", 832, 1.2381],
        ["so1_5-32vcpu-256gb", 2608, 3.88095],
    ])("%s costs $%d a month, $%d an hour", (slug, monthly, hourly) => {
        expect(sizeOf(slug)).toMatchObject({ priceMonthly: monthly, priceHourly: hourly });
    });

    it("that are unknown are an error", () => {
        expect(() => sizeOf("s-0")).toThrow("s-0");
    });
});

it("the images that boot are some that there are", () => {
    expect(distributions.map(({ slug }) => slug)).toEqual(expect.arrayContaining(Object.keys(releases)));
    expect(Object.keys(releases)).toContain(defaultImage);
});

describe("the rate limit", () => {
    const budget = { perHour: 4, perMinute: 2, keyListsPerMinute: 1 };

    it("lets a request count for its own hour, and its own minute", () => {
        const limiter = new RateLimiter(budget);
        const take = (now: number) => limiter.take(now, false).retryAfterSeconds;
        expect([take(0), take(30), take(31)]).toEqual([undefined, undefined, 29]);
        expect([take(60), take(61), take(90)]).toEqual([undefined, 29, undefined]);
        // Four in this hour: the next is free when the first expires.
        expect(take(1000)).toBe(2600);
        expect(take(3600)).toBeUndefined();
        expect(limiter.take(3630, false)).toEqual({ limit: 4, remaining: 0, resetEpochSeconds: 3660 });
    });

    it("counts the list of keys twice over, and what it refused not at all", () => {
        const limiter = new RateLimiter(budget);
        expect(limiter.take(0, true).retryAfterSeconds).toBeUndefined();
        expect(limiter.take(1, true).retryAfterSeconds).toBe(59);
        expect(limiter.take(2, false).remaining).toBe(2);
    });
});
