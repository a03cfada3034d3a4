import { describe, expect, it } from "vitest";
import { updatesDrift } from "../../tools/drift/differences";
import { describeUpdates, parseUpdates, takeUpdates } from "../../tools/live/updates";

const haproxy = "haproxy/stable-security 2.6.12-1+deb12u3 amd64 [upgradable from: 2.6.12-1+deb12u2]";
const others = `libssl3/stable-security,stable 3.0.16-1 amd64 [upgradable from: 3.0.15-1]
tzdata/stable-updates 2025b-0 all [upgradable from: 2025a-0]`;
const said = (...lines: string[]) => parseUpdates(["lists 3", ...lines].join("\n"));

describe("what apt on the load balancer says", () => {
    it("is read, with what is held and what is for security", () => {
        expect(said("held haproxy", "Listing...", haproxy, others, "N: There is 1 more version.")).toEqual({
            packages: [
                {
                    name: "haproxy",
                    from: "2.6.12-1+deb12u2",
                    to: "2.6.12-1+deb12u3",
                    held: true,
                    security: true,
                },
                { name: "libssl3", from: "3.0.15-1", to: "3.0.16-1", held: false, security: true },
                { name: "tzdata", from: "2025a-0", to: "2025b-0", held: false, security: false },
            ],
            rebootDue: false,
            listsHours: 3,
        });
    });

    it("is an error where it is anything else", () => {
        expect(() => parseUpdates("sh: 1: apt: not found")).toThrow("did not answer as expected");
    });

    it.each([
        [said(), undefined],
        [said(haproxy), "has updates waiting: haproxy 2.6.12-1+deb12u2 → 2.6.12-1+deb12u3"],
        [said(others), "has updates waiting: 2 packages of Debian (1 for security)"],
        [said("reboot"), "has a newer kernel than the one that runs"],
        [parseUpdates("lists 72"), "could not fetch its package lists for 3 days"],
    ])("is told %#", (updates, words) => {
        expect(describeUpdates(updates)).toBe(words);
    });

    it("is a difference for the drift check, with how the updates are taken", () => {
        expect(updatesDrift(said(), "prod")).toEqual([]);
        expect(updatesDrift(said(haproxy), "prod")).toMatchObject([
            {
                kind: "updates",
                name: "load-balancer",
                fix: expect.stringContaining("loadBalancerGeneration") as string,
            },
        ]);
        expect(takeUpdates(said("reboot"), "prod")).toMatch(/^reboot it in a quiet hour/);
    });
});
