import { describe, expect, it } from "vitest";
import { conditionDrift } from "../../tools/drift/differences";
import { judgeUpdates, parseUpdates, type Updates } from "../../tools/live/updates";

const haproxy = "haproxy/stable-security 2.6.12-1+deb12u3 amd64 [upgradable from: 2.6.12-1+deb12u2]";
const others = `libssl3/stable-security,stable 3.0.16-1 amd64 [upgradable from: 3.0.15-1]
tzdata/stable-updates 2025b-0 all [upgradable from: 2025a-0]`;
const said = (...lines: string[]) => parseUpdates(["lists 3", ...lines].join("\n"));
const drift = (updates: Updates) => conditionDrift("updates", judgeUpdates(updates, "prod"));

describe("what apt on the load balancer says", () => {
    it("is read, with what is for security", () => {
        expect(said("Listing...", haproxy, others, "N: There is 1 more version.")).toEqual({
            packages: [
                {
                    name: "haproxy",
                    from: "2.6.12-1+deb12u2",
                    to: "2.6.12-1+deb12u3",
                    security: true,
                },
                { name: "libssl3", from: "3.0.15-1", to: "3.0.16-1", security: true },
                { name: "tzdata", from: "2025a-0", to: "2025b-0", security: false },
            ],
            rebootDue: false,
            listsHours: 3,
        });
    });

    it("is an error where it is anything else", () => {
        expect(() => parseUpdates("sh: 1: apt: not found")).toThrow("did not answer as expected");
    });

    it.each<[Updates, ...string[]]>([
        [said()],
        [said(haproxy), "has updates waiting: haproxy 2.6.12-1+deb12u2 → 2.6.12-1+deb12u3"],
        [said(others), "has updates waiting: 2 packages of Debian (1 for security)"],
        [said("reboot"), "has a newer kernel than the one that runs"],
        [parseUpdates("lists 72"), "could not fetch its package lists for 3 days"],
    ])("is described in words (%#)", (updates, ...problems) => {
        expect(judgeUpdates(updates, "prod").problems).toEqual(problems);
    });

    it("is a difference for the drift check, with how the updates are taken", () => {
        expect(drift(said())).toEqual([]);
        expect(drift(said(haproxy))).toMatchObject([
            {
                kind: "updates",
                name: "load-balancer",
                fix: expect.stringContaining("loadBalancerGeneration") as string,
            },
        ]);
        expect(drift(said("reboot"))[0]?.fix).toMatch(/^reboot it in a quiet hour/);
    });
});
