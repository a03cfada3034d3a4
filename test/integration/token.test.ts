import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allScopes, makeToken, previewScopes, usedScopes, withRequired } from "../token.mts";
import { makeWorld, type World } from "../world.mts";

/** What somebody is told whose token is wrong, or may do too little: the API's own words name no scope. */
describe("a token", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
    });
    afterAll(async () => {
        await world.close();
    });

    /** Runs pulumi with a token that lacks these scopes. */
    const without = async (args: string[], ...missing: string[]) => {
        const scopes = withRequired(allScopes).filter((scope) => !missing.includes(scope));
        return world.pulumi(args, { DIGITALOCEAN_TOKEN: await makeToken(world.sandbox, scopes) });
    };

    it.each([
        ["missing", ""],
        ["wrong", "dop_v1_0123456789"],
    ])("that is %s is refused at preview, with what to do", async (_what, token) => {
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: token });
        expect(code).not.toBe(0);
        expect(text).toMatch(/401 .*Unable to authenticate you; set DIGITALOCEAN_TOKEN to a token/);
        expect(text).not.toMatch(/\n\s+at /);
        expect(text).not.toContain("dop_v1");
    });

    it("of the scopes for a preview is enough for one", async () => {
        const token = await makeToken(world.sandbox, withRequired(previewScopes));
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: token });
        expect(code, text).toBe(0);
        expect(await usedScopes(world.sandbox, token)).toEqual([...previewScopes].sort());
    });

    it("that may not read VPCs is refused at preview, and the scope is named", async () => {
        const scopes = withRequired(previewScopes).filter((scope) => scope !== "vpc:read");
        const token = await makeToken(world.sandbox, scopes);
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: token });
        expect(code).not.toBe(0);
        expect(text).toMatch(/the account could not be read: .*403 .*; the token lacks the scope vpc:read;/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("that may make nothing of a kind fails at up, and the scopes are named once", async () => {
        const { code, text } = await without(["up", "--yes", "--skip-preview"], "droplet:create");
        expect(code).not.toBe(0);
        const advice =
            /error: the token lacks one of the scopes droplet:create, .*; docs\/security\.md lists/g;
        // As it happens, and in the list of all that went wrong.
        expect(text.match(advice), text).toHaveLength(2);
    });

    it("that may delete nothing of a kind fails at destroy, and what is left goes with one that may", async () => {
        const { code, text } = await without(["destroy", "--yes", "--skip-preview"], "firewall:delete");
        expect(code).not.toBe(0);
        expect(text).toMatch(/DELETE \S+\/v2\/firewalls\/\S+: 403 .*You are not authorized/);
        const rest = await without(["destroy", "--yes", "--skip-preview", "--refresh"]);
        expect(rest.code, rest.text).toBe(0);
        expect(await world.api("firewalls")).toMatchObject({ firewalls: [] });
    });

    it("that lacks a scope is named by our own commands, too", async () => {
        const scopes = withRequired(allScopes).filter((scope) => !scope.startsWith("ssh_key:"));
        const token = await makeToken(world.sandbox, scopes);
        const { code, text } = await world.tool("doctor", ["test", "--yes"], { DIGITALOCEAN_TOKEN: token });
        expect(code).toBe(1);
        expect(text).toContain("the token lacks the scope ssh_key:read");
    });
});
