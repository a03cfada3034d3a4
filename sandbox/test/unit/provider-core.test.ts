import { describe, expect, test } from "vitest";

import { withBridgeKeys } from "../../offline-engine/providers/bridge.ts";
import { check } from "../../offline-engine/providers/check.ts";
import { diff, type Difference } from "../../offline-engine/providers/diff.ts";
import {
    clientConfig,
    retryDelaySeconds,
    ApiError,
} from "../../offline-engine/providers/digitalocean/client.ts";
import type { Resource } from "../../offline-engine/providers/resource.ts";
import {
    markSecrets,
    reveal,
    secret,
    text,
    UNKNOWN,
    type Properties,
} from "../../offline-engine/providers/values.ts";

const never = () => Promise.reject(new Error("not called by a check or a diff"));
const resource: Resource = {
    bridge: {},
    inputs: {
        name: { type: "string", autoName: true },
        image: { type: "string", required: true, forceNew: true },
        size: { type: "string", required: true, stored: (text) => text.toLowerCase() },
        vpcUuid: { type: "string", computed: true, forceNew: true },
        userData: { type: "string", forceNew: true, stored: (text) => `hash of ${text.length}` },
        tags: { type: "set", items: "string" },
        rules: { type: "set", items: "map" },
        triggers: { type: "list", forceNew: true },
        port: { type: "integer", validate: (value) => (value === 0 ? "not 0" : undefined) },
        backups: { type: "boolean", default: false },
        ipv6: { type: "boolean", default: false },
        agent: { type: "boolean", absent: false },
        connection: { type: "map", secret: true, secretKeys: ["key"] },
    },
    outputs: ["address"],
    create: never,
    update: never,
    delete: never,
};

const given = { image: "debian", size: "small" };
const checked = (news: Properties, olds: Properties = {}, seed = "seed", name = "web-0") =>
    check(resource, { name, news, olds, randomSeed: Buffer.from(seed) });

describe("check", () => {
    test("a generated name comes from the seed, and stays for the resource's life", () => {
        const first = checked(given).inputs;
        expect(first.name).toMatch(/^web-0-[0-9a-f]{7}$/);
        expect(checked(given).inputs.name).toBe(first.name);
        expect(checked(given, {}, "other").inputs.name).not.toBe(first.name);
        expect(checked(given, {}, "seed", "web-1").inputs.name).not.toBe(
            `web-1-${text(first.name).slice(-7)}`,
        );
        expect(checked({ ...given, size: "big" }, first, "other").inputs.name).toBe(first.name);
        expect(checked(given, {}, "", "web-0").inputs.name).toMatch(/^web-0-[0-9a-f]{7}$/);
    });

    test("a chosen name is no default, and is not kept once it is no longer given", () => {
        const chosen = checked({ ...given, name: "mine" }).inputs;
        expect(chosen).toMatchObject({ name: "mine", __defaults: ["backups", "ipv6"] });
        const generated = checked(given, chosen).inputs;
        expect(generated.name).toMatch(/^web-0-/);
        expect(generated.__defaults).toEqual(["name", "backups", "ipv6"]);
    });

    test("every wrong property is reported at once", () => {
        const { failures } = checked({
            colour: "red",
            size: 5,
            port: 0,
            tags: "web",
            backups: "perhaps",
            rules: ["x"],
        });
        const reasons = Object.fromEntries(failures.map(({ property, reason }) => [property, reason]));
        expect(Object.keys(reasons).sort()).toEqual(["backups", "colour", "image", "port", "rules", "tags"]);
        expect(reasons.image).toBe("missing required property, for web-0.image");
        expect(reasons.colour).toMatch(/^unknown property "colour"; known are name, image/);
        expect(reasons.tags).toBe('expected a list, got "web", for web-0.tags');
        expect(reasons.port).toBe("not 0, for web-0.port");
    });

    test("what is secret inside an object is marked there, too, and an unknown secret stays one", () => {
        const { inputs } = checked({ ...given, connection: { host: "h", key: "k" } });
        expect(inputs.connection).toEqual(secret({ host: "h", key: secret("k") }));
        expect(checked({ ...given, connection: UNKNOWN }).inputs.connection).toEqual(secret(UNKNOWN));
        expect(checked({ ...given, connection: inputs.connection ?? null }).inputs.connection).toEqual(
            inputs.connection,
        );
    });

    test("only a bridge from Terraform has `__defaults`, in each object of a list as well", () => {
        const news = { ...given, rules: [{ port: "1" }] };
        expect(checked(news).inputs.rules).toEqual([{ port: "1", __defaults: [] }]);
        const plain = { ...resource };
        delete plain.bridge;
        const { inputs } = check(plain, { name: "web-0", news, olds: {}, randomSeed: Buffer.from("seed") });
        expect(inputs.rules).toEqual(news.rules);
        expect(inputs).not.toHaveProperty("__defaults");
    });

    test("a secret's value is not in the message", () => {
        const [failure] = checked({ ...given, port: secret("hidden") }).failures;
        expect(failure).toEqual({
            property: "port",
            reason: "not valid (its value is secret), for web-0.port",
        });
    });

    test("numbers, strings and booleans are taken for one another; secrets and unknowns pass", () => {
        const { inputs, failures } = checked({
            image: secret(123),
            size: UNKNOWN,
            port: "8080",
            backups: "true",
            tags: [1, UNKNOWN, secret("s"), null],
        });
        expect(failures).toEqual([]);
        expect(inputs).toMatchObject({ image: secret("123"), size: UNKNOWN, port: 8080, backups: true });
        expect(inputs.tags).toEqual(["1", UNKNOWN, secret("s")]);
    });
});

describe("diff", () => {
    const old: Properties = { ...given, backups: false, ipv6: false, vpcUuid: "vpc", address: "192.0.2.1" };
    const rows: [string, Properties, Properties, string[]][] = [
        ["nothing", {}, {}, []],
        ["an input in place", {}, { size: "big" }, ["update size"]],
        ["one that is stored in another form", {}, { size: "SMALL" }, []],
        ["one that replaces", {}, { image: "ubuntu" }, ["update image replace"]],
        ["one that becomes unknown", {}, { image: UNKNOWN }, ["update image replace"]],
        ["one that was added", {}, { port: 80 }, ["add port"]],
        ["one that was taken out", { port: 80 }, {}, ["delete port"]],
        ["one that the service chooses", {}, { vpcUuid: null }, []],
        ["one that the service chose, chosen anew", {}, { vpcUuid: "other" }, ["update vpcUuid replace"]],
        ["hash of the same", { userData: "hash of 3" }, { userData: secret("abc") }, []],
        ["hash of another", { userData: "hash of 3" }, { userData: "abcd" }, ["update userData replace"]],
        ["empty for absent", { tags: [] }, {}, []],
        ["a set in another order", { tags: ["a", "b"] }, { tags: ["b", "a"] }, []],
        [
            "a set's elements",
            { tags: ["a", "b"] },
            { tags: ["b", "c", "d"] },
            ["delete tags[0]", "add tags[1]", "add tags[2]"],
        ],
        [
            "a list in another order",
            { triggers: [1, 2] },
            { triggers: [2, 1] },
            ["update triggers[0] replace", "update triggers[1] replace"],
        ],
        [
            "sets in a set",
            { rules: [{ port: "1", from: ["a", "b"], to: [] }, { port: "2" }] },
            { rules: [{ port: "2" }, { port: "1", from: ["b", "a"] }] },
            [],
        ],
        [
            "a part of a set's element",
            { rules: [{ port: "1", from: ["a"] }] },
            { rules: [{ port: "1", from: ["a", "b"] }] },
            ["add rules[0].from[1]"],
        ],
        [
            "a secret as a whole",
            { connection: secret({ host: "a", key: "k" }) },
            { connection: { host: "b", key: "k" } },
            ["update connection"],
        ],
        [
            "a secret that becomes unknown: what it will be can't be known either way",
            { connection: secret({ host: "a", key: secret("k") }) },
            { connection: secret(UNKNOWN) },
            [],
        ],
        ["one that the service takes for false where it is not given", { agent: false }, {}, []],
        ["the same, given at last", { agent: false }, { agent: true }, ["update agent"]],
        ["the same, from before it was in the state", {}, { agent: true }, ["update agent"]],
        [
            "what only inputs say",
            { rules: [{ port: "1" }] },
            { rules: [{ port: "1", __defaults: ["x"] }] },
            [],
        ],
        ["a key with a dot", { rules: [] }, { rules: [{ "a.b": 1 }] }, ["add rules"]],
    ];

    const shown = ({ path, change, replace }: Difference): string =>
        `${change} ${path}${replace ? " replace" : ""}`;

    test.each(rows)("%s", (_what, state, news, expected) => {
        const { differences } = diff(
            resource,
            { ...old, ...state },
            { ...given, backups: false, ipv6: false, ...news },
        );
        expect(differences.map(shown)).toEqual(expected);
    });

    test("a chosen name deletes before it replaces; a generated one, or a change in place, does not", () => {
        const named = checked({ ...given, name: "mine", image: "ubuntu" }).inputs;
        expect(diff(resource, { ...old, name: "mine" }, named).deleteBeforeReplace).toBe(true);
        const generated = checked({ ...given, image: "ubuntu" }).inputs;
        expect(diff(resource, { ...old, name: generated.name ?? null }, generated).deleteBeforeReplace).toBe(
            false,
        );
        const inPlace = checked({ ...given, name: "mine", size: "big" }).inputs;
        expect(diff(resource, { ...old, name: "mine" }, inPlace).deleteBeforeReplace).toBe(false);
    });

    test("a resource that can't be updated is replaced", () => {
        const fixed = { ...resource };
        delete fixed.update;
        const [difference] = diff(fixed, old, {
            ...given,
            size: "big",
            backups: false,
            ipv6: false,
        }).differences;
        expect(difference).toEqual({ path: "size", change: "update", replace: true });
    });
});

describe("secrets", () => {
    test("mark the outputs of the same name: parts of objects, but whole lists", () => {
        const inputs = { key: secret("k"), list: ["a", secret("b")], map: { open: "o", shut: secret("s") } };
        const outputs = { key: "k", list: ["a", "b"], map: { open: "o", shut: "s" }, address: "192.0.2.1" };
        expect(markSecrets(outputs, inputs)).toEqual({
            ...inputs,
            list: secret(["a", "b"]),
            address: "192.0.2.1",
        });
        expect(reveal(inputs)).toEqual({ key: "k", list: ["a", "b"], map: { open: "o", shut: "s" } });
    });
});

describe("the client", () => {
    test("takes the provider's configuration before the environment, and the official defaults", () => {
        const env = { DIGITALOCEAN_ACCESS_TOKEN: "second" };
        expect(clientConfig({}, env)).toEqual({ endpoint: "https://api.digitalocean.com", token: "second" });
        const config = { token: "first", apiEndpoint: "http://127.0.0.1:1" };
        expect(clientConfig(config, env)).toEqual({ token: "first", endpoint: "http://127.0.0.1:1" });
    });

    test("refuses an endpoint that is no URL", () => {
        const env = { DIGITALOCEAN_API_URL: "127.0.0.1:80" };
        expect(() => clientConfig({}, env)).toThrow('should be a URL, got "127.0.0.1:80"');
    });

    test("waits twice as long each time, or as the service says", () => {
        const delays = [1, 2, 3, 6].map((attempt) =>
            retryDelaySeconds(new ApiError("", { status: 503 }), attempt),
        );
        expect(delays).toEqual([1, 2, 4, 30]);
        expect(retryDelaySeconds(new ApiError("", { status: 429, retryAfterSeconds: 17 }), 1)).toBe(17);
    });

    test.each([
        [0, true],
        [429, true],
        [500, true],
        [501, false],
        [503, true],
        [404, false],
        [422, false],
    ])("status %i is tried again: %s", (status, retryable) => {
        expect(new ApiError("", { status }).retryable).toBe(retryable);
    });
});

describe("what the bridge from Terraform adds to a state", () => {
    const bridged: Resource = {
        ...resource,
        bridge: {
            renamed: { address: "urn" },
            single: ["policy"],
            timeouts: { create: 60 },
            schemaVersion: "1",
        },
    };
    const state = {
        tags: ["b", "a"],
        rules: [
            { port: "80", sources: ["::/0", "0.0.0.0/0"] },
            { port: "22", sources: [] },
        ],
        address: "192.0.2.1",
        policy: null,
        none: null,
    };

    test("sets in Terraform's order, and the delta that fits them", () => {
        const { __pulumi_raw_state_delta: delta, ...rest } = withBridgeKeys(bridged, "7", state, 5);
        expect(rest).toEqual({
            ...state,
            id: "7",
            tags: ["a", "b"],
            rules: [
                { port: "22", sources: [] },
                { port: "80", sources: ["0.0.0.0/0", "::/0"] },
            ],
            __meta: '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":{"create":5000000000},"schema_version":"1"}',
        });
        const rule = { obj: { ps: { sources: { arr: {} } } } };
        const ps = {
            tags: { arr: {} },
            rules: { arr: { el: { 0: rule, 1: rule } } },
            policy: { plu: { i: {} } },
        };
        expect(delta).toEqual({ obj: { ps, renamed: { address: "urn" } } });
    });

    test("the delta anew with each state, the timeouts as they were; nothing to what is no bridge", () => {
        const first = withBridgeKeys(bridged, "7", state, 5);
        const next = withBridgeKeys(bridged, "7", { ...first, rules: [] });
        expect(next.__meta).toBe(first.__meta);
        expect(next.__pulumi_raw_state_delta).toMatchObject({ obj: { ps: { rules: { arr: {} } } } });
        const plain = { ...resource };
        delete plain.bridge;
        expect(withBridgeKeys(plain, "7", state)).toBe(state);
    });
});
