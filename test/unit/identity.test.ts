import { rmSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import {
    isLoadBalancer,
    isServer,
    parseUrn,
    resourceOf,
    serverName,
    slotOf,
    types,
} from "../../lib/identity";
import { httpsConfig } from "../certificates";
import { makeSite } from "../releases.mts";
import { runProgram } from "../mocks";

describe("identity", () => {
    it("tells a server's slot by its name, whatever the slot", () => {
        expect(serverName(12)).toBe("web-12");
        fc.assert(
            fc.property(fc.nat(), (slot) => {
                expect(slotOf({ name: serverName(slot) })).toBe(slot);
            }),
        );
    });

    it.each([
        "web",
        "web-",
        "web-01",
        "web-1-0123abc",
        "xweb-1",
        "web-1e3",
        "web--1",
        "api-1",
        "load-balancer",
    ])("takes %s for no server", (name) => {
        expect(isServer({ name })).toBe(false);
    });

    it("tells things of one name apart by their types", () => {
        for (const type of [types.remoteCommand, types.loadBalancer, ""]) {
            expect(isServer({ type, name: "web-0" })).toBe(false);
            expect(isLoadBalancer({ type, name: "load-balancer" })).toBe(false);
        }
        expect(isServer({ type: types.droplet, name: "web-0" })).toBe(true);
        expect(isLoadBalancer({ type: types.droplet, name: "load-balancer" })).toBe(true);
    });

    it.each([
        ["web-0-0123abc", "web-0"],
        ["load-balancer-0123abc", "load-balancer"],
        ["web-0", undefined],
        ["web-0-0123ABC", undefined],
        ["web-0-0123abcd", undefined],
    ])("finds behind %s in the account %s", (accountName, resource) => {
        expect(resourceOf(accountName)).toBe(resource);
    });

    it("takes a URN apart, a name with colons too", () => {
        expect(parseUrn(`urn:pulumi:dev::dropscale::${types.pool}$${types.droplet}::web-0::x`)).toEqual({
            stack: "dev",
            chain: `${types.pool}$${types.droplet}`,
            type: types.droplet,
            name: "web-0::x",
        });
    });

    it("has every type that the program makes, and no other", async () => {
        const content = makeSite("page");
        onTestFinished(() => {
            rmSync(content, { recursive: true });
        });
        const { registrations } = await runProgram({
            config: {
                ...{ ...httpsConfig(), dnsZone: "example.com", adminHost: true },
                alerts: { email: "ops@example.com" },
                content,
            },
            zones: { "example.com": [] },
        });
        const made = [types.stack, ...registrations.map(({ type }) => type)];
        expect(new Set(made)).toEqual(new Set(Object.values(types)));
    });
});
