import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/settings";
import { readUnquoted, unquotedValues } from "../../lib/stack-file";
import { stackConfig } from "../stack-config";

/** What is refused of `changes`, a line each. */
function refusal(changes: Record<string, unknown>, stack = "dev"): string {
    const { problems } = parseSettings(stackConfig(changes), stack);
    if (problems.length === 0) throw new Error(`accepted: ${JSON.stringify(changes)}`);
    return problems.join("\n");
}

/** The settings that are made of `changes`, which must be accepted. */
function accepted(changes: Record<string, unknown> = {}) {
    const { settings, problems } = parseSettings(stackConfig(changes), "dev");
    expect(problems).toEqual([]);
    return settings;
}

/** What `changes` are warned of. */
function warnings(changes: Record<string, unknown>): string[] {
    return parseSettings(stackConfig(changes), "dev").warnings;
}

describe("settings", () => {
    it("are the defaults of Pulumi.yaml where the stack sets nothing", () => {
        const { userdata, loadBalancerUserData, adminHostUserData, ...settings } = accepted();
        expect(settings).toEqual({
            prefix: "dropscale-dev",
            replicas: 3,
            retired: [],
            hold: [],
            generation: "",
            namePrefix: "dropscale",
            region: "fra1",
            vpcId: "",
            image: "debian-12-x64",
            size: "s-1vcpu-1gb",
            loadBalancerImage: "debian-12-x64",
            loadBalancerSize: "s-1vcpu-1gb",
            loadBalancerGeneration: "",
            appPort: 80,
            healthPath: "/healthz",
            healthHost: "health-check",
            readySeconds: 300,
            serverTimeoutSeconds: 60,
            drainSeconds: 75,
            trustedProxies: [],
            logOneIn: 0,
            domains: [],
            tlsCertificate: "",
            tlsKey: "",
            acmeEmail: "",
            acmeServer: "https://acme-v02.api.letsencrypt.org/directory",
            dnsZone: "",
            dnsTtl: 300,
            httpsRedirect: true,
            hsts: 0,
            adminCidrs: ["203.0.113.0/24"],
            sshFromAnywhere: false,
            backendSources: [],
            metricsSources: [],
            adminHost: false,
            adminHostImage: "debian-13-x64",
            adminHostSize: "s-1vcpu-1gb",
        });
        expect(adminHostUserData).toMatch(/^#cloud-config\n/);
        expect(userdata).toMatch(/^#cloud-config\n/);
        expect(loadBalancerUserData).toMatch(/^#cloud-config\n/);
    });

    it.each([
        ["replicas", 0],
        ["replicas", 1000],
        ["retired", [3, 0]],
        ["vpcId", "5a4981aa-9653-4bd1-bef5-d6bff52042e4"],
        ["image", "184551234"],
        ["healthPath", "/"],
        ["healthPath", "/health?deep=1&x=%20"],
        ["healthHost", "www.example.com"],
        ["healthHost", "localhost:8000"],
        ["healthHost", "10.0.0.1"],
        ["drainSeconds", 65],
        ["serverTimeoutSeconds", 70],
        ["trustedProxies", ["173.245.48.0/20", "10.0.0.0/8"]],
        ["logOneIn", 100],
        ["adminCidrs", ["198.51.100.7/32", "203.0.113.0/24"]],
        [
            "backendSources",
            [
                { from: "monitoring", ports: "9100" },
                { from: "198.51.100.7/32", ports: "1-65535" },
            ],
        ],
        [
            "backendSources",
            [
                { from: "env:prod_Mon-1", ports: "9100-9105" },
                { from: "10.0.0.0/8", ports: "22" },
            ],
        ],
        ["adminCidrs", ["10.0.0.0/8", "16.0.0.0/8", "16.1.0.0/16"]],
    ])("take %s %j", (key, value) => {
        expect(accepted({ [key]: value })).toHaveProperty(key, value);
    });

    it.each([
        ["replicas", -1, "'replicas' should be a whole number from 0 to 1000, got -1"],
        ["replicas", 2.5, "'replicas' should be a whole number from 0 to 1000, got 2.5"],
        ["replicas", 1001, "got 1001"],
        ["replicas", "many", "got many"],
        ["replicas", "", "got nothing"],
        ["retired", 1, "'retired' should be a list of slot numbers from 0 to 9999, such as [1], got 1"],
        ["retired", [-1], "got [-1]"],
        ["hold", 1, "'hold' should be a list of slot numbers from 0 to 9999, such as [1], got 1"],
        [
            "generation",
            "a b",
            "'generation' should be at most 50 letters, digits, dots, dashes and underscores, got a b",
        ],
        ["retired", ["web-1"], 'got ["web-1"]'],
        [
            "namePrefix",
            "My_Site",
            "'namePrefix' should be 1 to 31 lower-case letters and digits, a letter first, got My_Site",
        ],
        ["region", "frankfurt", "'region' should be a region's slug such as fra1, got frankfurt"],
        ["vpcId", "default", "'vpcId' should be the UUID of a VPC, or empty"],
        [
            "image",
            "Debian 12",
            "'image' should be an image's slug such as debian-12-x64, or a snapshot's number, got Debian 12",
        ],
        ["size", "1 GB", "'size' should be a size's slug such as s-1vcpu-1gb, got 1 GB"],
        ["loadBalancerImage", "", "'loadBalancerImage' should be"],
        ["loadBalancerSize", "1 GB", "'loadBalancerSize' should be"],
        [
            "userdata",
            "apache",
            "'userdata' should be the name of a file in userdata/ that a droplet accepts (there are nginx, node, varnish), got apache",
        ],
        ["userdata", "../config", "there are nginx, node, varnish"],
        ["appPort", 0, "'appPort' should be a whole number from 1 to 65535, got 0"],
        ["appPort", 65536, "got 65536"],
        ["healthPath", "healthz", "'healthPath' should be a path that starts with /"],
        ["healthPath", "/a b", "got /a b"],
        ["healthPath", '/"; id; "', "'healthPath' should be"],
        ["healthPath", "/$(id)", "'healthPath' should be"],
        [
            "healthHost",
            "https://www.example.com/",
            "'healthHost' should be a host name such as www.example.com, and a port if the app wants one (www.example.com:8000), got https",
        ],
        ["healthHost", "", "'healthHost' should be a host name such as www.example.com, and a port"],
        ["healthHost", "a b", "got a b"],
        ["healthHost", "a\nserver x 1.2.3.4:80", "'healthHost' should be"],
        ["healthHost", "*", "'healthHost' should be"],
        ["healthHost", "www.example.com:", "'healthHost' should be"],
        ["readySeconds", 9, "'readySeconds' should be a whole number from 10 to 3600, got 9"],
        ["drainSeconds", 5, "'drainSeconds' should be a whole number from 6 to 3600, got 5"],
        [
            "drainSeconds",
            64,
            "'drainSeconds' should be at least 65, 5 more than 'serverTimeoutSeconds' (60), got 64: a reload would cut requests " +
                "that may still run; pulumi config set drainSeconds 65",
        ],
        [
            "serverTimeoutSeconds",
            71,
            "'drainSeconds' should be at least 76, 5 more than 'serverTimeoutSeconds' (71), got 75",
        ],
        ["serverTimeoutSeconds", 0, "'serverTimeoutSeconds' should be a whole number from 1 to 3595, got 0"],
        ["serverTimeoutSeconds", 3596, "got 3596"],
        [
            "trustedProxies",
            ["173.245.48.1/20"],
            `'trustedProxies' should be a list of IPv4 ranges of the proxies and CDNs in front, such as ["203.0.113.0/24"], got ["173.245.48.1/20"]`,
        ],
        ["trustedProxies", ["2400:cb00::/32"], "'trustedProxies' should be"],
        ["trustedProxies", "10.0.0.0/8", "'trustedProxies' should be"],
        ["logOneIn", -1, "'logOneIn' should be a whole number from 0 to 1000000, got -1"],
        ["adminCidrs", [], "pulumi config set --path 'adminCidrs[0]' ADDRESS/32"],
        [
            "adminCidrs",
            ["0.0.0.0/0"],
            `'adminCidrs' should hold at most 33554432 addresses in all, got ["0.0.0.0/0"], with 4294967296: that is SSH for ` +
                "everybody; name the addresses that run pulumi",
        ],
        ["adminCidrs", ["0.0.0.0/1", "128.0.0.0/1"], "or say so: pulumi config set sshFromAnywhere true"],
        ["adminCidrs", ["16.0.0.0/8", "10.0.0.0/8", "203.0.113.7/32"], "with 33554433"],
        [
            "backendSources",
            [{ from: "0.0.0.0/0", ports: "9100" }],
            "'backendSources' should hold at most 33554432 addresses in all, got 0.0.0.0/0, with 4294967296: that opens the servers to everybody; name",
        ],
        [
            "backendSources",
            ["0", "128"].map((n, i) => ({ from: `${n}.0.0.0/1`, ports: `${9100 + i}` })),
            "with 4294967296",
        ],
        [
            "backendSources",
            [{ from: "dropscale-dev-load-balancer", ports: "9100" }],
            "should name no tag of the stack itself, got dropscale-dev-load-balancer: ",
        ],
        [
            "backendSources",
            [{ from: "Dropscale-dev-Backend", ports: "9100" }],
            "servers do not reach each other",
        ],
        ...[
            ...[
                { from: "198.51.100.7", ports: "9100" },
                { from: "198.51.100.7/24", ports: "9100" },
                { from: "2001:db8::/32", ports: "9100" },
            ],
            ...[
                { from: "", ports: "9100" },
                { from: "a b", ports: "9100" },
                { from: ["a"], ports: "9100" },
                { ports: "9100" },
            ],
            ...["0", "65536", "9105-9100", "all", "", "9100,9101", "9100-", "09", 0, 1.5].map((ports) => ({
                from: "a",
                ports,
            })),
            ...[{ from: "a" }, { from: "a", ports: "1", protocol: "udp" }, "a:9100", null, ["a", "9100"]],
        ].map((wrong): [string, unknown, string] => [
            "backendSources",
            [{ from: "fine", ports: "9100" }, wrong],
            `'backendSources' should be a list of sources such as {"from": "monitoring", "ports": "9100"}: an existing tag or an IPv4 range, and TCP ports such as 9100 or 9100-9105 (wrong: ${JSON.stringify(wrong)}), got [`,
        ]),
        ["backendSources", "monitoring", "'backendSources' should be a list of sources"],
        ["sshFromAnywhere", "yes", "'sshFromAnywhere' should be true or false, got yes"],
        ["adminCidrs", ["203.0.113.7"], "'adminCidrs' should be a list of at least one IPv4 range"],
        ["adminCidrs", ["203.0.113.7/24"], "'adminCidrs' should be"],
        ["adminCidrs", ["2001:db8::/32"], "'adminCidrs' should be"],
        ["adminCidrs", "203.0.113.7/32", "'adminCidrs' should be"],
    ])("refuse %s %j", (key, value, message) => {
        expect(refusal({ [key]: value })).toContain(message);
    });

    it("refuse a key that there is not, and a stack's name that the API would refuse", () => {
        expect(refusal({ replica: 5 })).toBe("'replica' is no key of this program; did you mean 'replicas'?");
        expect(refusal({ colour: "blue" })).toMatch(
            /^'colour' is no key of this program; the keys are replicas, .*, adminHostSize\b/,
        );
        for (const stack of ["my_stack", "Prod", ""]) {
            expect(refusal({}, stack)).toContain(
                `the stack's name should be 1 to 60 lower-case letters, digits and dashes, got ${stack}`,
            );
        }
    });

    it("let SSH be open to everybody only where a key of its own says so, and warn then", () => {
        const open = { adminCidrs: ["0.0.0.0/0"], sshFromAnywhere: true };
        expect(accepted(open)).toMatchObject(open);
        expect(warnings(open)).toEqual([
            expect.stringContaining("SSH to the load balancer is open to the whole Internet"),
        ]);
        expect(warnings({ sshFromAnywhere: true })).toEqual([]);
    });

    it.each([
        [{ retired: [1], hold: [0, 3] }, []],
        [
            { retired: [1, 7, 9] },
            ["'retired' 7, 9 has no effect while no server has such a slot: the highest in use is 3"],
        ],
        [
            { retired: [1], hold: [1, 2, 4] },
            ["'hold' 1, 4 has no effect while no server has such a slot: the highest in use is 3"],
        ],
        [
            { replicas: 0, retired: [0], hold: [0] },
            [
                "'retired' 0 has no effect while no server has such a slot: none is in use",
                "'hold' 0 has no effect while no server has such a slot: none is in use",
            ],
        ],
    ])("warn of slots that do not exist: %j", (changes, expected) => {
        expect(warnings(changes)).toEqual(expected);
    });

    it.each([
        ["2026.10", "2026.1"],
        ["010", "8"],
        ["08", "8"],
        ["0x1f", "31"],
        ["0o10", "8"],
        ["1e3", "1000"],
        ["1_000", "1000"],
        ["+5", "5"],
        ["1.0", "1"],
        ["123456789012345678901", "123456789012345680000"],
        ["TRUE", "true"],
    ])("refuse a text that is %s without quotes, of which Pulumi makes %s", (written, handed) => {
        const config = stackConfig({ generation: handed });
        const { problems } = parseSettings(config, "dev", { generation: written, replicas: "0x3" });
        expect(problems).toEqual([
            `'generation' is ${written} without quotes, of which Pulumi makes ${handed}; ` +
                `put it in quotes: pulumi config set generation ${written}`,
        ]);
    });

    it("say of a date without quotes, which is no word any more, how it is written", () => {
        const config = stackConfig({ generation: "2026-11-01 00:00:00 +0000 UTC" });
        expect(parseSettings(config, "dev", { generation: "2026-11-01" }).problems[0]).toMatch(
            /, got 2026-11-01 00:00:00 \+0000 UTC; put it in quotes: pulumi config set generation 2026-11-01$/,
        );
    });

    it.each([
        ["7", "7"],
        ["2026-11", "2026-11"],
        ["yes", "yes"],
        ["~", ""],
        // Of another file: --config-file.
        ["2026.10", "v7"],
        ["v6", "v7"],
        ["1", "2"],
    ])("take a text that is %s without quotes and comes as %s", (written, handed) => {
        const config = stackConfig({ generation: handed });
        expect(parseSettings(config, "dev", { generation: written }).problems).toEqual([]);
    });

    it("know what stands without quotes in the stack's file", () => {
        const text = `config:
  dropscale:generation: 2026.10 # of October
  dropscale:size: "010"
  dropscale:image: &image 010
  dropscale:region: *image
  dropscale:retired: [010]
  dropscale:userdata: !!str 010
  other:appPort: 010
`;
        expect(unquotedValues(text, "dropscale")).toEqual({ generation: "2026.10", image: "010" });
        expect(unquotedValues("", "dropscale")).toEqual({});
        expect(readUnquoted("/nowhere", "dropscale", "dev")).toEqual({});
    });

    it.each([
        ["adminCidrs[0]", "203.0.113.7/32", "adminCidrs"],
        ["retired[1]", "2", "retired"],
        ["hold.0", "2", "hold"],
    ])("say of a key %s that it was set without --path", (key, value, list) => {
        expect(refusal({ [key]: value })).toBe(
            `'${key}' is no key of this program; without --path it is a key of its own, and no part of '${list}': ` +
                `pulumi config rm '${key}' && pulumi config set --path '${key}' ${value}`,
        );
    });

    it.each([
        ["alerts.slack.url", "alerts", "pulumi config set --secret --path alerts.slack.url"],
        ['alerts["slack"].url', "alerts", "pulumi config set --secret --path alerts.slack.url"],
        ["alerts.slack", "alerts", "pulumi config set --secret --path alerts.slack.url"],
        ["alerts.slack.channel", "alerts", "pulumi config set --path alerts.slack.channel '#ops'"],
        ["tlsKey[0]", "tlsKey", "pulumi config set --secret tlsKey < FILE.pem"],
        ["tlsCertificate.pem", "tlsCertificate", "pulumi config set --secret tlsCertificate < FILE.pem"],
    ])("say of a secret %s that it was set without --path, and not what it is", (key, part, set) => {
        expect(refusal({ [key]: "https://hooks.slack.com/secret" })).toBe(
            `'${key}' is no key of this program; without --path it is a key of its own, and no part of '${part}': ` +
                `pulumi config rm '${key}' && ${set}`,
        );
    });

    it("list every wrong value in one message", () => {
        const lines = refusal({ replicas: -1, region: "x", appPort: 0, adminCidrs: [] }, "a.b").split("\n");
        expect(lines).toHaveLength(5);
    });
});
