import * as fc from "fast-check";
import pc from "picocolors";
import { describe, expect, it } from "vitest";
import { askForMore, limitProblem } from "../../tools/plan/room";
import { pair } from "../../tools/live/pool";
import { buildPlan, type Sources } from "../../tools/plan/build";
import { readableEngineDiff } from "../../tools/plan/plan";
import { planAsMarkdown } from "../../tools/plan/markdown";
import { maskSecrets } from "../../tools/cli/mask";
import type { Plan } from "../../tools/plan/model";
import { planAsText } from "../../tools/plan/text";
import { about, costDifference, dollars } from "../../tools/cli/words";
import { parsePreview } from "../../tools/pulumi/preview";
import { parseState } from "../../tools/pulumi/state";
import { joinUserData } from "../../userdata/multipart";
import {
    deployed,
    haproxy,
    haproxyRuns,
    loadBalancer,
    pool,
    resource,
    scaleOut,
    server,
    sources,
    step,
} from "../plan-fixtures";
import { emptyState, haproxyOf, leftover, listed, stateDroplet } from "../live-fixtures";

const plain = pc.createColors(false);
const web0 = server(0, {}, "10.0.0.10");
const web1 = server(1, {}, "10.0.0.11");
const web2 = server(2, {}, "10.0.0.12");
const firewall = resource("digitalocean:index/firewall:Firewall", "network-load-balancer", {
    tags: ["dropscale-prod-load-balancer"],
});
const haproxyChanges = haproxyRuns(haproxy("unknown"), haproxy([{ name: "web-0", address: "10.0.0.10" }]));

const bigger = { size: "s-2vcpu-4gb" };

const cases: Record<string, Sources> = {
    "scale-out": scaleOut,
    "scale-in-too-far": sources(
        [
            step("update", pool([0]), pool([0, 1, 2])),
            ...haproxyRuns(haproxy([{ name: "web-0", address: "10.0.0.10" }])),
            step("delete", web1),
            step("delete", web2),
        ],
        { replicas: "1" },
    ),
    canary: sources(
        [
            step("update", pool([0, 1, 2], { hold: [1, 2] }), pool([0, 1, 2])),
            step("replace", server(0, bigger), web0, ["size"]),
            ...haproxyRuns(haproxy("unknown")),
        ],
        { size: "s-2vcpu-4gb", hold: "[1, 2]" },
    ),
    "load-balancer": sources(
        [
            step("replace", loadBalancer(bigger), loadBalancer(), ["size"]),
            ...haproxyRuns(haproxy("unknown"), undefined, ["connection"]),
            step(
                "replace",
                resource("digitalocean:index/reservedIpAssignment:ReservedIpAssignment", "address"),
                undefined,
                ["dropletId"],
            ),
        ],
        { loadBalancerSize: "s-2vcpu-4gb" },
    ),
    refused: sources(
        [],
        { replicas: "1001" },
        {
            errors: [
                "the stack's config is wrong:\n  'replicas' should be a whole number from 0 to 1000, got 1001",
            ],
        },
    ),
    "after-a-failure": sources(
        [step("same", web0)],
        {},
        {
            state: {
                ...deployed,
                leftovers: [
                    {
                        urn: web0.urn,
                        name: "web-0",
                        type: "digitalocean:index/droplet:Droplet",
                        id: "4711",
                        outputs: { size: "s-1vcpu-1gb" },
                    },
                ],
                pending: ["creating web-3-2bc9182"],
            },
        },
    ),
    "after-failed-tries": failedTries(7, 8),
};

/** Two servers serve, two tries have failed, and the old user data is put back. */
function failedTries(existing: number, limit: number): Sources {
    const slots = [0, 1];
    const resources = [
        pool(slots),
        ...deployed.resources.filter(({ type }) => type.endsWith(":Firewall")),
        stateDroplet("load-balancer", "1", "10.0.0.1"),
        ...slots.map((slot) => stateDroplet(`web-${slot}`, `${slot + 6}`, `10.0.0.${slot + 6}`)),
        ...haproxy(
            slots.map((slot) => ({ name: `web-${slot}`, address: `10.0.0.${slot + 6}` })),
            { word: "3-0123abcd" },
        ),
    ];
    const leftovers = [2, 3, 4, 5].map((id) => leftover(`web-${id % 2}`, `${id}`, `10.0.0.${id}`));
    const state = { ...emptyState, resources, leftovers };
    const seen = haproxyOf(["10.0.0.2", "10.0.0.3"]);
    const serving = new Set([...seen.host, "10.0.0.2", "10.0.0.3"]);
    const account = [1, 2, 3, 4, 5, 6, 7].map((id) => listed(id, `10.0.0.${id}`));
    const steps = resources
        .filter(({ name }) => name.startsWith("web-"))
        .map((server) => step("replace", server, server, ["userData"]));
    return sources(
        [...steps, ...haproxyRuns(haproxy("unknown"), resources.slice(-2))],
        { replicas: "2" },
        {
            state,
            live: { haproxy: seen, droplets: pair(state, account, serving) },
            account: { monthlyPrices: new Map([["s-1vcpu-1gb", 6]]), droplets: { existing, limit } },
        },
    );
}

describe("the way out of failed tries", () => {
    const room = ({ warnings, refusals }: Plan) =>
        [...warnings, ...refusals]
            .find((text) => text.startsWith("the account's limit"))
            ?.split("at once: ")[1];

    it.each([
        [9, undefined],
        [8, "`make doctor STACK=prod` deletes 4 that serve nobody, then it fits"],
        [5, "`make doctor STACK=prod` deletes 4 that serve nobody, then it fits"],
        [4, `delete what is not needed, or ${askForMore}`],
    ])("is advised where the account has room for %i droplets", (limit, advice) => {
        const plan = buildPlan(failedTries(7, limit));
        expect(room(plan)).toBe(advice);
        expect(plan.applicable).toBe(limit > 4);
    });

    it("is the same in a roll-out: never a batch that does not fit", () => {
        const idle = { droplets: 4, stack: "prod" };
        const first = { dropletsMade: 2, dropletsDeleted: 6 };
        const at = (limit: number) =>
            limitProblem({ limit, existing: 7, first, replaced: 0, idle }, 1)?.split("needs 9: ")[1];
        expect([9, 8, 5].map(at)).toEqual([
            undefined,
            "`make doctor STACK=prod` deletes 4 that serve nobody, then it fits",
            "`make doctor STACK=prod` deletes 4 that serve nobody, then it fits",
        ]);
        expect(at(4)).toContain("not even --batch 1 fits; delete what is not needed");
        const more = { limit: 8, existing: 8, first: { dropletsMade: 0, dropletsDeleted: 0 }, replaced: 3 };
        expect(limitProblem({ ...more, idle: { droplets: 1, stack: "prod" } }, 2)).toContain(
            "`make doctor STACK=prod` deletes 1 that serves nobody, then --batch 1 fits",
        );
    });

    it("keeps what serves in the count, also when only its old droplet is in the state", () => {
        const given = failedTries(3, 8);
        const state = {
            ...given.state,
            resources: given.state.resources.filter(({ name }) => !name.startsWith("web-")),
            leftovers: given.state.leftovers.slice(0, 2),
        };
        const steps = [0, 1].map((slot) => step("create", server(slot)));
        const live = {
            ...given.live,
            droplets: given.live?.droplets.filter(({ id }) => Number(id) < 4) ?? [],
        };
        const plan = buildPlan({
            ...given,
            state,
            live: { haproxy: undefined, ...live },
            document: { ...given.document, steps },
        });
        expect(plan.servers).toMatchObject({ before: 2, after: 2 });
        expect(plan.servers.list.map(({ why }) => why[0])).toEqual([
            "in place of the old web-0 (2)",
            "in place of the old web-1 (3)",
        ]);
        expect(plan.policy.violations).toEqual([]);
        expect(plan.lostRequests.which).toBe("none");
    });
});

describe.each(Object.entries(cases))("the plan of %s", (name, given) => {
    const built = buildPlan(given);
    // Not to be written again with every edit of the template.
    const servers = built.haproxyDiff.split("\n").filter((line) => /^[ +-] {4}server /.test(line));
    const plan = { ...built, haproxyDiff: servers.join("\n") };

    it("as text", async () => {
        await expect(planAsText(plan, plain)).toMatchFileSnapshot(`plan/${name}.txt`);
    });

    it("as a comment", async () => {
        const markdown = planAsMarkdown(
            plan,
            plan.refusals.length > 0 ? "" : "Previewing update (prod):\n  + web-3\n",
        );
        await expect(markdown).toMatchFileSnapshot(`plan/${name}.md`);
    });
});

describe("a plan", () => {
    it.each([
        ["dropscale-dev", "dropscale-prod", "stack dev → prod", "another stack name renames tags"],
        ["shop-prod", "dropscale-prod", "namePrefix shop → dropscale", "another namePrefix renames tags"],
        [
            "shop-eu-dev",
            "dropscale-prod",
            "namePrefix shop → dropscale; stack eu-dev → prod",
            "another stack name",
        ],
    ])(
        "of names that begin with %s, and then with %s, says what was renamed",
        (before, after, config, warning) => {
            const network = (prefix: string) => resource("dropscale:index:Network", "network", { prefix });
            const plan = buildPlan(sources([step("update", network(after), network(before))]));
            const text = planAsText(plan, plain);
            expect(text).toContain(`config    ${config}\n`);
            expect(text).toContain(warning);
        },
    );

    it("is documented JSON of version 1: what is there stays there", () => {
        const plan = buildPlan(scaleOut);
        expect(Object.keys(JSON.parse(JSON.stringify(plan)) as object).sort()).toEqual([
            ...[
                "applicable",
                "changes",
                "droplets",
                "haproxyDiff",
                "left",
                "leftovers",
                "loadBalancer",
                "lostRequests",
            ],
            ...[
                "monthlyCost",
                "others",
                "policy",
                "refusals",
                "seconds",
                "servers",
                "settings",
                "stack",
                "summary",
            ],
            ...["userDataDiff", "version", "warnings"],
        ]);
    });

    it("does not call harmless what it does not know", () => {
        const strange = resource("digitalocean:index/volume:Volume", "data");
        const plan = buildPlan(sources([step("create", strange)]));
        expect(plan.lostRequests).toEqual({
            which: "unknown",
            why: "digitalocean:index/volume:Volume data is made",
        });
        expect(planAsText(plan, plain)).toContain(
            "+ data                     digitalocean:index/volume:Volume, new",
        );
    });

    const setupKey = "ssh-ed25519 AAAA dropscale-prod-setup";
    const sent = (text: string, generation = "", key = setupKey) =>
        server(0, { userData: joinUserData({ text, generation }, key) });
    const [nginx, caddy] = [
        "#cloud-config\npackages: [nginx]\n",
        "#cloud-config\npackages: [Käddy]\n",
    ] as const;

    it.each([
        [
            "the text",
            sent(nginx),
            sent(caddy),
            ["-packages: [nginx]", "+packages: [Käddy]"],
            /^user data .*\+1 -1 lines/,
        ],
        ["the generation", sent(nginx), sent(nginx, "7"), ["+# generation: 7"], /^generation \(empty\) → 7$/],
        [
            "what an earlier version of the program sent",
            server(0, { userData: "#cloud-config\n# generation: 6\npackages: [nginx]\n" }),
            sent(nginx, "7"),
            ["-# generation: 6", "+# generation: 7"],
            /^generation 6 → 7$/,
        ],
        [
            "the program's part",
            sent(nginx),
            sent(nginx, "", "ssh-ed25519 BBBB"),
            [],
            /^what the program adds to the user data changed$/,
        ],
    ])("shows what differs in the user data, whatever is around it: %s", (_, before, after, lines, why) => {
        const plan = buildPlan(sources([step("replace", after, before, ["userData"])]));
        expect(plan.userDataDiff.match(/^[-+].*/gm) ?? []).toEqual(lines);
        expect(plan.servers.list[0]?.why).toEqual([expect.stringMatching(why)]);
    });

    it("does not say that no request is lost where the user data plans a restart", () => {
        const planned = pool([0, 1, 2, 3], { plannedRestarts: ["power_state"] });
        const steps = [step("update", planned, pool([0, 1, 2]), ["replicas"]), step("create", server(3))];
        const { lostRequests, summary } = buildPlan(sources(steps, { replicas: "4" }));
        expect(lostRequests).toEqual({
            which: "unknown",
            why: "the user data plans a restart, nobody knows when: power_state",
        });
        expect(summary).toContain("lost requests can't be ruled out");
        // Nothing new is made of it.
        const shrinks = [
            step("update", pool([0, 1], { plannedRestarts: ["power_state"] }), pool([0, 1, 2]), ["replicas"]),
            step("delete", web2),
        ];
        expect(buildPlan(sources(shrinks, { replicas: "2" })).lostRequests.which).toBe("none");
    });

    it("takes an operation that it does not know for a change", () => {
        const { others, changes } = buildPlan(sources([step("transmogrify", firewall)]));
        expect(changes).toBe(true);
        expect(others).toMatchObject([{ action: "update", kind: "firewall" }]);
    });

    it.each([
        [
            "a server that is changed in place",
            step("update", server(0, { tags: ["other"] }), web0, ["tags"]),
            "unknown",
        ],
        ["a firewall for other tags", step("update", firewall, undefined, ["tags"]), "unknown"],
        [
            "a reserved IP that is replaced",
            step("replace", resource("digitalocean:index/reservedIp:ReservedIp", "address")),
            "all",
        ],
        ["a server that is deleted first", step("replace", server(0, { region: "ams3" }), web0, []), "all"],
        ["a load balancer that is deleted", step("delete", loadBalancer()), "all"],
    ])("knows what it costs: %s", (_what, given, which) => {
        expect(buildPlan(sources([given])).lostRequests.which).toBe(which);
    });

    it("names a server that goes along with its VPC, of which the engine says nothing", () => {
        const steps = [
            step("update", pool([0, 1]), pool([0, 1, 2])),
            ...[web0, web1].map((was, slot) => step("replace", server(slot, { region: "ams3" }), was, [])),
        ];
        const plan = buildPlan(sources(steps, { replicas: "2" }));
        expect(plan.servers).toMatchObject({ before: 3, after: 2 });
        expect(plan.servers.list[2]).toMatchObject({
            name: "web-2",
            action: "delete",
            why: ["replicas 3 → 2"],
        });
    });

    it("warns that nothing serves without a server", () => {
        const steps = [0, 1, 2].map((slot) => step("delete", server(slot)));
        const plan = buildPlan(sources(steps, { replicas: "0" }));
        expect(plan.lostRequests).toEqual({
            which: "all",
            why: "without a server every request gets the 503 page",
        });
        expect(plan.warnings).toContain("no server is left: every request gets the 503 page");
    });

    it("says that SSH is open where the config means it, and refuses it where it does not", () => {
        const open = (inputs: object) => {
            const network = resource("dropscale:index:Network", "network", { ...inputs });
            const rules = [{ protocol: "tcp", portRange: "22", sourceAddresses: ["0.0.0.0/0"] }];
            const opened = { ...firewall, inputs: { ...firewall.inputs, inboundRules: rules } };
            return buildPlan(
                sources([step("update", network), step("update", opened, firewall, ["inboundRules"])]),
            );
        };
        const meant = open({ sshFromAnywhere: true });
        expect(meant.applicable).toBe(true);
        expect(meant.warnings).toEqual([
            "SSH on the load balancer is open to the whole Internet (sshFromAnywhere)",
        ]);
        expect(open({}).refusals).toEqual([expect.stringMatching(/^no-ssh-from-everywhere: /)]);
    });

    it("does not know a cost without a price, and says so", () => {
        const plan = buildPlan(sources([step("create", server(3, { size: "c-999" }))], { replicas: "4" }));
        expect(plan.monthlyCost).toEqual({ before: 24, after: null, difference: null, whileRunning: null });
        expect(plan.policy.unjudged).toContainEqual({
            rule: "max-monthly-cost",
            why: "what the stack will cost is not known yet",
        });
        expect(plan.summary).toContain("$24 → $? a month");
    });

    it("adds prices to the cent", () => {
        const steps = [3, 4, 5].map((slot) => step("create", server(slot, { size: "s-1vcpu-1gb-intel" })));
        expect(buildPlan(sources(steps, { replicas: "6" })).monthlyCost).toMatchObject({
            after: 45.6,
            difference: 21.6,
        });
    });

    it("shows a thousand servers in a few lines", () => {
        const slots = Array.from({ length: 1000 }, (_, slot) => slot);
        const steps = [
            step("update", pool(slots), pool([0, 1, 2])),
            ...slots.slice(3).map((slot) => step("create", server(slot))),
            ...haproxyChanges,
        ];
        const plan = buildPlan(sources(steps, { replicas: "1000" }));
        expect(plan.haproxyDiff).toContain("+    server web-999 <address of web-999>:80 tcp-ut 3s");
        expect(planAsText({ ...plan, haproxyDiff: "" }, plain).split("\n").length).toBeLessThan(25);
        expect(planAsMarkdown(plan, "x\n".repeat(100_000)).length).toBeLessThanOrEqual(65_536);
    });
});

describe("a comment", () => {
    const plan = buildPlan(scaleOut);

    it("fits into 65,536 characters, and says where it was cut", () => {
        fc.assert(
            fc.property(fc.nat(70_000), fc.nat(70_000), fc.constantFrom("`", "x\n", "yy"), (a, b, text) => {
                const markdown = planAsMarkdown({ ...plan, haproxyDiff: text.repeat(a) }, text.repeat(b));
                expect(markdown.length).toBeLessThanOrEqual(65_536);
                expect(markdown.match(/<details>/g)?.length).toBe(markdown.match(/<\/details>/g)?.length);
            }),
            { numRuns: 50 },
        );
        expect(planAsMarkdown(plan, "line\n".repeat(20_000))).toContain(
            "… cut off here: a comment holds no more",
        );
    });

    it("is cut between lines, and its code blocks end", () => {
        const markdown = planAsMarkdown(plan, "a line of text\n".repeat(20_000));
        expect(markdown).toMatch(
            /\na line of text\n… cut off here: a comment holds no more\n```\n\n<\/details>\n$/,
        );
    });

    it("can't be left by backticks, tags or mentions in what it quotes", () => {
        const hostile = "```\n</details><script>@everyone";
        const markdown = planAsMarkdown(
            { ...plan, warnings: ["@ann <b>| `x` [y](z)\nnext"], refusals: [hostile], haproxyDiff: "" },
            hostile,
        );
        expect(markdown).toContain("````text\n```\n</details>");
        expect(markdown).toContain("````diff\n```\n</details>");
        expect(markdown).toContain("- :warning: @\u200bann &lt;b>\\| \\`x\\` \\[y\\](z)<br>next");
    });
});

describe("the engine's own diff", () => {
    it("is left without providers, and with user data that is not repeated for each droplet", () => {
        const droplet = (name: string) =>
            [
                "        +-digitalocean:index/droplet:Droplet: (replace)",
                `            [urn=urn:pulumi:test::dropscale::digitalocean:index/droplet:Droplet::${name}]`,
                "            [provider=urn:pulumi:test::dropscale::pulumi:providers:digitalocean::default::18f2]",
                '          ~ size: "s-1vcpu-1gb" => "s-1vcpu-2gb"',
                "          ~ userData: ",
                "              - a0f4296f4c1b260f9b0832fa3c2bb3029b469968",
                "              + #cloud-config",
                "              + ",
                "              + packages: [nginx]",
            ].join("\n");
        const created = "        + digitalocean:index/droplet:Droplet: (create)";
        const text = ["Previewing update (test):", droplet("web-0"), droplet("web-1"), created, ""].join(
            "\n",
        );
        const said = (name: string) =>
            [
                ...droplet(name).split("\n").slice(0, 2),
                '          ~ size: "s-1vcpu-1gb" => "s-1vcpu-2gb"',
                "          ~ userData: (another one: its diff stands by itself)",
            ].join("\n");
        expect(readableEngineDiff(`@ previewing update....\n${text}`)).toBe(
            ["Previewing update (test):", said("web-0"), said("web-1"), created, ""].join("\n"),
        );
    });
});

describe("what is read", () => {
    it("keeps errors and warnings of a preview, without debug messages", () => {
        const { errors, warnings } = parsePreview(
            JSON.stringify({
                diagnostics: [
                    { severity: "debug", message: "userData: hunter2" },
                    { severity: "error", message: "error: no\n" },
                    { severity: "warning", message: "warning: few" },
                ],
            }),
        );
        expect({ errors, warnings }).toEqual({ errors: ["no"], warnings: ["few"] });
    });

    it("sorts the engine's lists, which come as its parallel work ended", () => {
        const [a, b, c] = ["web-2", "web-10", "web-9"].map((name) => `urn:pulumi:a::b::t:u:V::${name}`);
        const step = {
            op: "replace",
            urn: a,
            diffReasons: ["userData", "size"],
            replaceReasons: ["size", "image"],
        };
        const diagnostics = ["b", "a"].map((message) => ({ severity: "warning", message }));
        const steps = [{ op: "create", urn: b }, step, { op: "delete", urn: c }, { op: "replace", urn: c }];
        const document = parsePreview(JSON.stringify({ steps, diagnostics }));
        expect(document.warnings).toEqual(["a", "b"]);
        expect(document.steps.map(({ op, name }) => `${op} ${name}`)).toEqual([
            ...["replace web-2", "delete web-9", "replace web-9", "create web-10"],
        ]);
        expect(document.steps[0]).toMatchObject({
            differs: ["size", "userData"],
            replacedFor: ["image", "size"],
        });

        const resource = (urn?: string, extra = {}) => ({ urn, type: "t:u:V", ...extra });
        const operation = (name: string) => ({
            type: "creating",
            resource: { urn: `urn:pulumi:a::b::t:u:V::${name}` },
        });
        const state = parseState(
            JSON.stringify({
                deployment: {
                    resources: [
                        resource(b, { delete: true }),
                        resource(c),
                        resource(a),
                        resource(a, { delete: true }),
                    ],
                    pending_operations: [operation("web-9"), operation("web-1")],
                },
            }),
        );
        expect(state.resources.map(({ name }) => name)).toEqual(["web-2", "web-9"]);
        expect(state.leftovers.map(({ name }) => name)).toEqual(["web-2", "web-10"]);
        expect(state.pending).toEqual(["creating web-1", "creating web-9"]);
    });

    it("masks what the state keeps secret, and tells leftovers from what there is", () => {
        const secret = { "4dabf18193072939515e22adb298388d": "1b47", ciphertext: "v1:abc" };
        const state = parseState(
            JSON.stringify({
                deployment: {
                    resources: [
                        { urn: "urn:pulumi:a::b::t:u:V::w", type: "t:u:V", inputs: { connection: secret } },
                        {
                            urn: "urn:pulumi:a::b::digitalocean:index/droplet:Droplet::web-0",
                            type: "digitalocean:index/droplet:Droplet",
                            id: "7",
                            delete: true,
                        },
                    ],
                    pending_operations: [],
                },
            }),
        );
        expect(state.resources).toMatchObject([
            { type: "t:u:V", name: "w", inputs: { connection: "[secret]" } },
        ]);
        expect(state.leftovers).toMatchObject([
            {
                urn: "urn:pulumi:a::b::digitalocean:index/droplet:Droplet::web-0",
                ...{
                    name: "web-0",
                    type: "digitalocean:index/droplet:Droplet",
                    id: "7",
                },
            },
        ]);
    });

    it("takes out the token and private keys that slipped by", () => {
        const key = "-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----";
        expect(maskSecrets(`a dop_v1_0123456789 b\n${key}\nc`, ["dop_v1_0123456789", "b"])).toBe(
            "a [secret] b\n[secret]\nc",
        );
    });
});

describe("figures", () => {
    it.each([
        [{ from: 20, to: 25 }, "about 20 to 30 s"],
        [{ from: 30, to: 200 }, "about 30 s to 3 min"],
        [{ from: 100, to: 290 }, "about 2 to 5 min"],
        [{ from: 31, to: 38 }, "about 40 s"],
    ])("%j is %s", (seconds, text) => {
        expect(about(seconds)).toBe(text);
    });

    it("amounts are whole dollars or two digits, with their sign", () => {
        expect([24, 7.2, null].map(dollars)).toEqual(["$24", "$7.20", "$?"]);
        expect([12, -6.5, 0, null].map(costDifference)).toEqual(["+$12", "-$6.50", "±$0", "?"]);
    });
});
