import { afterEach, describe, expect, it, vi } from "vitest";
import { admittedRanges, reachableFrom } from "../../components/admin-access";

describe("adminCidrs", () => {
    it("say nothing of a machine behind NAT", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "127.0.0.2")).resolves.toBe("127.0.0.2");
    });

    it("say nothing of an address that is no address yet", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "")).resolves.toBe("");
    });
});

describe("the ranges that are admitted for one run", () => {
    afterEach(() => {
        vi.unstubAllEnvs();
    });

    it.each([
        ["", []],
        ["203.0.113.9/32", ["203.0.113.9/32"]],
        [" 203.0.113.9/32, 198.51.100.0/24,", ["203.0.113.9/32", "198.51.100.0/24"]],
    ])("are read from %j", (value, expected) => {
        expect(admittedRanges(value)).toEqual(expected);
    });

    it.each(["203.0.113.9", "0.0.0.0/0", "128.0.0.0/1", "203.0.113.9/24", "203.0.113.9/32/1", "::1/128"])(
        "are refused where one is %j: the message names it, and a good one",
        (wrong) => {
            expect(() => admittedRanges(`198.51.100.0/24,${wrong}`)).toThrow(
                `DROPSCALE_ADMITTED should be IPv4 ranges separated by commas, such as 203.0.113.9/32, not of the ` +
                    `whole Internet, got ${wrong}; set it right, or unset it`,
            );
        },
    );

    it("are looked at even where this machine's address says nothing", async () => {
        vi.stubEnv("DROPSCALE_ADMITTED", "everybody");
        await expect(reachableFrom(["203.0.113.0/24"], "127.0.0.2")).rejects.toThrow(/got everybody/);
    });
});
