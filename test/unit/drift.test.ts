import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { generationIn, renderHaproxyConfig } from "../../components/haproxy/render";
import {
    type Drift,
    type DriftReport,
    engineDrift,
    exitCode,
    haproxyDrift,
    loadBalancerIsAway,
    offDrift,
    orphanDrift,
} from "../../tools/drift/differences";
import { parsePreview } from "../../tools/pulumi/preview";
import { pair } from "../../tools/live/pool";
import { parseState } from "../../tools/pulumi/state";
import { listed } from "../live-fixtures";
import { driftJson, driftMarkdown, driftText } from "../../tools/drift/report";
import { haproxySettings } from "../haproxy-settings";

const inPool = "urn:pulumi:prod::dropscale::dropscale:index:BackendPool$digitalocean:index/droplet:Droplet::";
const inLoadBalancer = inPool.replace("BackendPool", "LoadBalancer");
const inNetwork =
    "urn:pulumi:prod::dropscale::dropscale:index:Network$digitalocean:index/firewall:Firewall::";
const ssh = { protocol: "tcp", portRange: "22", sourceAddresses: ["198.51.100.7/32"] };
const http = { protocol: "tcp", portRange: "8080", sourceAddresses: ["0.0.0.0/0"] };
const steps = [
    { op: "refresh", urn: `${inPool}web-1` },
    { op: "delete", urn: `${inPool}web-0`, oldState: { id: "11" }, newState: undefined },
    {
        op: "update",
        urn: `${inNetwork}network-load-balancer`,
        oldState: { id: "f1", outputs: { inboundRules: [ssh], name: "a", status: "succeeded" } },
        newState: { outputs: { inboundRules: [ssh, http], name: "b", status: "waiting" } },
        diffReasons: ["inboundRules", "name"],
    },
];
const found = engineDrift(parsePreview(JSON.stringify({ steps })).steps, "prod");
const applied = renderHaproxyConfig({
    ...haproxySettings,
    servers: [{ name: "web-0", address: "10.0.0.2" }],
});
const generation = generationIn(applied);
const staged = { text: applied, applied: true };
const report = (differences: Drift[], unchecked: string[] = []): DriftReport => ({
    stack: "prod",
    differences,
    unchecked,
});

describe("what the engine finds", () => {
    it("is what was deleted, and what was changed with its old and new values, and nothing else", () => {
        expect(found.map(({ kind, type, name, id }) => [kind, type, name, id])).toEqual([
            ["gone", "Droplet", "web-0", "11"],
            ["changed", "Firewall", "network-load-balancer", "f1"],
        ]);
        expect(found[1]?.message).toBe("was changed: inboundRules, name");
        expect(found[1]?.diff).toContain('+  - portRange: "8080"');
        expect(found[1]?.diff).toMatch(/^-name: a$[^]*^\+name: b$/m);
        expect(found[1]?.diff).not.toContain("status");
    });

    it("reads the same whatever order the engine and the provider list things in, and however they say none", () => {
        const rules = (of: "official" | "stand-in") =>
            of === "official"
                ? [
                      { ...http, sourceTags: [], sourceDropletIds: null, sourceLoadBalancerUids: [] },
                      { ...ssh, sourceTags: [], sourceDropletIds: null, sourceLoadBalancerUids: [] },
                  ]
                : [ssh, http];
        const said = (of: "official" | "stand-in") => {
            const [same, gone, changed] = steps;
            const newState = { outputs: { ...changed?.newState?.outputs, inboundRules: rules(of) } };
            const all = [same, gone, { ...changed, newState, diffReasons: ["name", "inboundRules"] }];
            const listed = of === "official" ? all.reverse() : all;
            return engineDrift(parsePreview(JSON.stringify({ steps: listed })).steps, "prod");
        };
        expect(said("official")).toEqual(found);
        expect(said("stand-in")).toEqual(found);
    });

    it("is nothing for a state without resources", () => {
        expect(engineDrift(parsePreview("{}").steps, "prod")).toEqual([]);
    });
});

describe("droplets", () => {
    const type = "digitalocean:index/droplet:Droplet";
    const resources = [
        { urn: `${inPool}web-0`, type, id: "11" },
        { urn: `${inPool}web-1`, type, id: "12" },
        { urn: `${inLoadBalancer}load-balancer`, type, id: "13" },
        { urn: `${inPool}web-1`, type, id: "14", delete: true },
    ];
    const state = parseState(JSON.stringify({ deployment: { resources } }));
    const account = [11, 12, 13, 14].map((id) => ({
        ...listed(id, `10.0.0.${id}`),
        status: id === 12 ? "active" : "off",
    }));
    const live = (droplets: typeof account) => pair(state, droplets, new Error("not asked"));

    it("that are off are named with what to do, but not those that leave, nor those that are gone", () => {
        const off = offDrift(live(account), "prod");
        expect(off.map(({ name, id }) => [name, id])).toEqual([
            ["web-0", "11"],
            ["load-balancer", "13"],
        ]);
        expect(off[0]?.fix).toBe(
            "switch it on (`doctl compute droplet-action power-on 11`), or add 0 to `retired`: a new server takes its place",
        );
        expect(off[1]?.fix).toContain(`pulumi up --replace '${inLoadBalancer}load-balancer'`);
        expect(offDrift(live([]), "prod")).toEqual([]);
        expect(loadBalancerIsAway(off)).toBe(true);
        expect(loadBalancerIsAway(found)).toBe(false);
    });

    it("that the state does not know are the doctor's, and reserved IPs of nobody are no drift", () => {
        const orphan = { kind: "droplet", name: "web-3-0000000", id: "99", why: "" } as const;
        const address = { kind: "reserved IP", name: "", id: "192.0.2.1", why: "" } as const;
        const findings = [
            { ...orphan, verdict: "keep" } as const,
            { ...orphan, verdict: "delete" } as const,
            { ...address, verdict: "tell" } as const,
        ];
        const orphans = orphanDrift(findings, "prod");
        expect(orphans.map(({ id, fix }) => [id, fix.slice(0, 24)])).toEqual([
            ["99", "`make doctor STACK=prod`"],
            ["99", "`make doctor STACK=prod`"],
        ]);
    });
});

describe("haproxy.cfg", () => {
    it("is in order where text and running generation are", () => {
        expect(generation).toMatch(/^[0-9a-f]{16}$/);
        expect(haproxyDrift(staged, { text: applied, generation }, "prod")).toEqual([]);
    });

    it("was edited on the host, with HAProxy reloaded or not: the diff is shown, passwords are not", () => {
        const edited = applied.replace(
            "maxconn 6000\n",
            "maxconn 10\n    user me insecure-password hunter2\n",
        );
        for (const running of [generation, undefined]) {
            const [drift] = haproxyDrift(staged, { text: edited, generation: running }, "prod");
            expect(drift?.message).toBe("was edited on the host");
            expect(drift?.diff).toContain("-    maxconn 6000\n+    maxconn 10\n");
            expect(drift?.diff).toContain("insecure-password [secret]");
            expect(drift?.diff).not.toContain("hunter2");
            expect(drift?.fix).toContain("pulumi up --replace '**:Command::haproxy-staged' --stack prod");
        }
    });

    it("is as it should be, but is not what runs", () => {
        const other = haproxyDrift(staged, { text: applied, generation: "0".repeat(16) }, "prod");
        expect(other[0]?.message).toContain("HAProxy runs another one (0000000000000000, not ");
        const none = haproxyDrift(staged, { text: applied, generation: undefined }, "prod");
        expect(none[0]?.message).toContain("HAProxy does not run it (none, not ");
        expect(none[0]?.diff).toBeUndefined();
    });
});

describe("a report", () => {
    it("ends with 0 for no drift, 2 for some, 1 where it could not be told", () => {
        expect(exitCode(report([]))).toBe(0);
        expect(exitCode(report(found))).toBe(2);
        expect(exitCode(report(found, ["haproxy.cfg: no answer"]))).toBe(2);
        expect(exitCode(report([], ["haproxy.cfg: no answer"]))).toBe(1);
    });

    it("says for people what is different, and how it is fixed", async () => {
        const text = driftText(report(found, ["haproxy.cfg: no answer"]), pc.createColors(false));
        await expect(text).toMatchFileSnapshot("drift.txt.snap");
        expect(driftText(report([]), pc.createColors(false))).toBe(
            "prod: no drift, all is as Pulumi made it\n",
        );
        expect(driftText(report([], ["x"]), pc.createColors(false))).toContain("not all could be looked at");
    });

    it("counts one thing as one", () => {
        expect(driftText(report(found.slice(0, 1)), pc.createColors(false))).toMatch(
            /^prod: 1 thing is not as Pulumi made it\n/,
        );
    });

    it("says the same in Markdown, found again by its first line", async () => {
        const text = driftMarkdown(report(found, ["haproxy.cfg: no answer"]));
        await expect(text).toMatchFileSnapshot("drift.md.snap");
        expect(text.split("\n")[0]).toBe("<!-- dropscale drift: prod -->");
    });

    it("closes no fence, calls nobody and fits into an issue, whatever the account holds", () => {
        const nasty = "```\n@everyone <script>\n";
        const one: Drift = {
            kind: "orphan",
            type: "droplet",
            name: "@team/web [x](http://y) <b>",
            message: "is not in the state",
            fix: "look",
            diff: nasty.repeat(3),
        };
        const text = driftMarkdown(report([one]));
        expect(text).toContain("````diff\n```");
        expect(text).not.toContain("### droplet @team");
        expect(text).not.toMatch(/^###.*<b>/m);
        const many = driftMarkdown(report(Array.from({ length: 3000 }, () => one)));
        expect(many.length).toBeLessThanOrEqual(65_536);
        expect(many).toMatch(/\nand \d+ more: the text is full\.\n$/);
        expect(driftMarkdown(report([{ ...one, diff: "+x\n".repeat(500) }]))).toContain(
            "… and 300 more lines",
        );
    });

    it("is for programs as well", () => {
        expect(JSON.parse(driftJson(report(found)))).toMatchObject({
            version: 2,
            stack: "prod",
            differences: [{ kind: "gone", name: "web-0" }, { kind: "changed" }],
            unchecked: [],
        });
    });
});
