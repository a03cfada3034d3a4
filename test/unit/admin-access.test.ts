import { describe, expect, it } from "vitest";
import { contains, reachableFrom } from "../../components/admin-access";

describe("adminCidrs", () => {
    it.each([
        [["203.0.113.0/24"], "203.0.113.9", true],
        [["203.0.113.0/24"], "203.0.114.9", false],
        [["198.51.100.1/32", "203.0.113.0/31"], "203.0.113.1", true],
        [[], "203.0.113.1", false],
    ])("%j hold %s: %s", (cidrs, address, expected) => {
        expect(contains(cidrs, address)).toBe(expected);
    });

    it("say nothing of a machine behind NAT", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "127.0.0.2")).resolves.toBe("127.0.0.2");
    });

    it("say nothing of an address that is no address yet", async () => {
        await expect(reachableFrom(["203.0.113.0/24"], "")).resolves.toBe("");
    });
});
