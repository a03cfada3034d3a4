import { describe, expect, it } from "vitest";
import { missingScope, tokenAdvice } from "../../account/token-scopes";
import { allScopes, previewScopes } from "../token.mts";

describe("the scopes of a token", () => {
    it("are reads alone for a preview, and part of all", () => {
        expect(previewScopes).toEqual([
            ...["sizes:read", "regions:read", "vpc:read", "account:read", "image:read", "droplet:read"],
        ]);
        expect(allScopes).toEqual(expect.arrayContaining([...previewScopes]));
        expect(new Set(allScopes).size).toBe(allScopes.length);
    });
});

describe("a refused token", () => {
    it.each([
        ["GET", "vpcs?page=1", "the token lacks the scope vpc:read;"],
        ["GET", "account/keys/512", "the token lacks the scope ssh_key:read;"],
        ["GET", "account", "the token lacks the scope account:read;"],
        ["GET", "sizes", "the token lacks one of the scopes sizes:read, regions:read;"],
        ["POST", "droplets", "one of the scopes droplet:create, tag:create, ssh_key:read, vpc:read;"],
        ["POST", "reserved_ips/203.0.113.7/actions", "the token lacks the scope reserved_ip:update;"],
        ["GET", "reserved_ips/203.0.113.7/actions/1", "the token lacks the scope reserved_ip:read;"],
        ["POST", "domains/example.com/records", "the token lacks the scope domain:create;"],
        ["GET", "monitoring/metrics/droplet/cpu?host_id=1", "the token lacks the scope monitoring:read;"],
        ["GET", "volumes", "the token lacks a scope;"],
    ])("for %s %s: %s", (method, resource, words) => {
        expect(missingScope(method, resource)).toContain(words);
    });

    const api = "https://api.digitalocean.com/v2";
    const refused = "You are not authorized to perform this operation";
    it.each([
        [`Error: GET ${api}/vpcs/a-b: 403 (request "1") ${refused}`, /lacks the scope vpc:read/],
        [`DELETE ${api}/tags/x: 403 You do not have access for the attempted action.`, /tag:delete/],
        [`GET ${api}/sizes: 401 (request "1") Unable to authenticate you`, /^set DIGITALOCEAN_TOKEN/],
    ])("%s", (message, advice) => {
        expect(tokenAdvice(message)).toMatch(advice);
    });

    it.each([
        `DELETE ${api}/vpcs/1: 403 (request "1") Can not delete default VPCs`,
        `POST ${api}/droplets: 422 (request "1") creating this/these droplet(s) will exceed your droplet limit`,
        "dial tcp: connection refused",
    ])("is not the reason of: %s", (message) => {
        expect(tokenAdvice(message)).toBeUndefined();
    });
});
