import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { splitUserData } from "../../userdata/multipart";
import { readUserData } from "../../userdata/files";
import { runProgram } from "../mocks";
import { doubtFirewall } from "../../tools/live/ownership";

const droplet = "digitalocean:index/droplet:Droplet";
const remoteCommand = "command:remote:Command";
const component = (name: string) => `dropscale:index:${name}`;

describe.each([
    ["up", false],
    ["preview", true],
])("the program in %s", (_mode, preview) => {
    it("registers exactly these resources, each in its component", async () => {
        const { registrations } = await runProgram({ preview });
        const tree = registrations
            .filter(({ type }) => type !== "pulumi:pulumi:Stack")
            .map(({ type, name, parent }) => `${parent.split("::").at(-1) ?? ""} > ${type} ${name}`);
        expect(tree.sort()).toMatchInlineSnapshot(`
          [
            "address > digitalocean:index/reservedIp:ReservedIp address",
            "address > digitalocean:index/reservedIpAssignment:ReservedIpAssignment address",
            "dropscale-dev > dropscale:index:BackendPool web",
            "dropscale-dev > dropscale:index:DeployKey keys",
            "dropscale-dev > dropscale:index:HaproxyConfig haproxy",
            "dropscale-dev > dropscale:index:LoadBalancer load-balancer",
            "dropscale-dev > dropscale:index:Network network",
            "dropscale-dev > dropscale:index:PublicAddress address",
            "haproxy > command:remote:Command haproxy",
            "haproxy > command:remote:Command haproxy-script",
            "haproxy > command:remote:Command haproxy-staged",
            "keys > command:local:Command keys-deploy",
            "keys > command:local:Command keys-host",
            "keys > command:local:Command keys-setup",
            "keys > digitalocean:index/sshKey:SshKey keys",
            "load-balancer > command:remote:Command load-balancer-ready",
            "load-balancer > digitalocean:index/droplet:Droplet load-balancer",
            "network > digitalocean:index/firewall:Firewall network-backend",
            "network > digitalocean:index/firewall:Firewall network-load-balancer",
            "network > digitalocean:index/tag:Tag network-backend",
            "network > digitalocean:index/tag:Tag network-load-balancer",
            "network > digitalocean:index/vpc:Vpc network",
            "web > digitalocean:index/droplet:Droplet web-0",
            "web > digitalocean:index/droplet:Droplet web-1",
            "web > digitalocean:index/droplet:Droplet web-2",
          ]
        `);
    });

    it("gives each backend what the config says, and lets the engine name it", async () => {
        const { find } = await runProgram({ preview });
        const { inputs, options, dependsOn } = find(droplet, "web-1");
        const { userData, vpcUuid, sshKeys, ...plain } = inputs;
        expect(plain).toEqual({
            image: "debian-12-x64",
            monitoring: true,
            region: "fra1",
            size: "s-1vcpu-1gb",
            tags: ["dropscale-dev-backend"],
        });
        if (preview) {
            expect([userData, vpcUuid, sshKeys].map(pulumi.containsUnknowns)).toEqual([true, true, true]);
        } else {
            expect([vpcUuid, sshKeys]).toEqual(["network-id", ["keys-id"]]);
            expect(splitUserData(String(userData))).toEqual({ text: readUserData("nginx"), generation: "" });
            // The public half alone, and only for what is in that script.
            expect(userData).toContain(
                'restrict,command="/bin/sh /var/lib/dropscale/answer" ssh-ed25519 AAAA-keys-setup',
            );
            expect(userData).not.toContain("private-keys-setup");
        }
        expect(options.replaceOnChanges).toEqual(["size"]);
        expect(dependsOn).toEqual(expect.arrayContaining(["network-backend", "network-load-balancer"]));
    });

    it("shows intent in plain values: count, names and sizes", async () => {
        const { find } = await runProgram({ preview, config: { replicas: 5, retired: [1] } });
        expect(find(component("BackendPool"), "web").inputs).toMatchObject({
            replicas: 5,
            retired: [1],
            servers: {
                "web-0": "s-1vcpu-1gb",
                "web-2": "s-1vcpu-1gb",
                "web-3": "s-1vcpu-1gb",
                "web-4": "s-1vcpu-1gb",
                "web-5": "s-1vcpu-1gb",
            },
            image: "debian-12-x64",
        });
    });

    it("lets the servers in hold keep what they have, and shows which", async () => {
        const { find } = await runProgram({ preview, config: { hold: [0, 2], size: "s-1vcpu-2gb" } });
        const kept = [0, 1, 2].map((slot) => find(droplet, `web-${slot}`).options.ignoreChanges);
        const held = ["image", "size", "userData"];
        expect(kept).toEqual([held, [], held]);
        expect(find(component("BackendPool"), "web").inputs).toMatchObject({
            hold: [0, 2],
            servers: { "web-0": "held", "web-1": "s-1vcpu-2gb", "web-2": "held" },
        });
    });

    it("gives every server another text in another generation", async () => {
        const { find } = await runProgram({ config: { generation: "2026-11" } });
        expect(splitUserData(String(find(droplet, "web-2").inputs.userData))).toEqual({
            text: readUserData("nginx"),
            generation: "2026-11",
        });
    });

    it("says in which order things happen", async () => {
        const { find } = await runProgram({ preview });
        expect(find(droplet, "load-balancer").dependsOn).toEqual(
            expect.arrayContaining(["network-backend", "network-load-balancer"]),
        );
        expect(find(remoteCommand, "haproxy-script").dependsOn).toContain("load-balancer-ready");
        expect(find(remoteCommand, "haproxy-staged").dependsOn).toEqual(
            expect.arrayContaining(["haproxy-script", "web-0", "web-1", "web-2"]),
        );
        expect(find(remoteCommand, "haproxy").dependsOn).toContain("haproxy-staged");
        expect(find("ReservedIpAssignment", "address").dependsOn).toContain("haproxy");
    });

    it("has no command that runs at delete or is replaced by a trigger", async () => {
        const { registrations } = await runProgram({ preview });
        const commands = registrations.filter(({ type }) => type.startsWith("command:"));
        expect(commands).toHaveLength(7);
        for (const { inputs } of commands) {
            expect(inputs).not.toHaveProperty("delete");
            expect(inputs).not.toHaveProperty("triggers");
        }
    });

    it("keeps secrets out of what people see", async () => {
        const { find, secrets } = await runProgram({ preview });
        expect(secrets).toEqual(["deployKey"]);
        expect(find(droplet, "load-balancer").options.additionalSecretOutputs).toEqual(["__meta"]);
        for (const name of ["keys-deploy", "keys-host"]) {
            expect(find("command:local:Command", name).options).toMatchObject({
                additionalSecretOutputs: ["stdout"],
                ignoreChanges: ["*"],
            });
        }
    });

    it("replaces a rotated key new before old: else the provider deletes it first, and every droplet with it", async () => {
        const { find } = await runProgram({ preview });
        expect(find("SshKey", "keys").options.deleteBeforeReplace).toBe(false);
    });

    it("costs what the sizes cost, known before anything runs", async () => {
        expect((await runProgram({ preview })).outputs.monthlyCost).toBe(24);
        const mixed = { replicas: 5, size: "s-1vcpu-2gb" };
        expect((await runProgram({ preview, config: mixed })).outputs.monthlyCost).toBe(68.5);
        expect((await runProgram({ preview, config: { replicas: 0 } })).outputs.monthlyCost).toBe(6);
    });

    it("refuses wrong config, and what the account does not have, in one message before it registers anything", async () => {
        const config = { replicas: -1, size: "g-9vcpu", loadBalancerImage: "debian-21-x64" };
        const run = runProgram({ preview, config });
        await expect(run).rejects.toThrow(
            new RegExp(
                [
                    "^the stack's config is wrong:",
                    "'replicas' should be a whole number .*",
                    "'size' g-9vcpu is not available .*closest: s-1vcpu-1gb \\(\\$6\\), s-1vcpu-2gb .*",
                    "'loadBalancerImage' debian-21-x64 is not available .*closest: debian-12-x64$",
                ].join("\n  "),
            ),
        );
    });
});

describe("what only the account can tell", () => {
    it("lets a pool go on whose size is sold out in its region", async () => {
        const running = { size: "g-2vcpu-8gb", image: "debian-12-x64", tags: ["dropscale-dev-backend"] };
        const config = { size: "g-2vcpu-8gb", replicas: 1 };
        const { outputs } = await runProgram({ config, droplets: [running, running] });
        expect(outputs.monthlyCost).toBe(69);
        await expect(runProgram({ config })).rejects.toThrow(
            "'size' g-2vcpu-8gb is not available in fra1; closest: ",
        );
    });

    it("refuses a region that there is not, and names those that there are", async () => {
        await expect(runProgram({ config: { region: "xyz9" } })).rejects.toThrow(
            /'region' should be one of fra1, nyc3, got xyz9$/,
        );
    });

    it("says in one line what a refused token needs, however the provider's words are broken", async () => {
        const refusal = 'GET http://api/v2/sizes: 401 (request "1")\n Unable to authenticate you\n\n';
        await expect(runProgram({ refusal })).rejects.toThrow(
            /^the account could not be read: .*401 \(request "1"\) Unable to authenticate you; set DIGITALOCEAN_TOKEN [^\n]+$/,
        );
    });

    it("refuses a VPC of another region", async () => {
        const vpcId = "5a4981aa-9653-4bd1-bef5-d6bff52042e4";
        await expect(runProgram({ config: { region: "nyc3", vpcId } })).rejects.toThrow(
            `'vpcId' should be a VPC in region nyc3, got ${vpcId}, which is in fra1`,
        );
    });
});

describe("one more replica", () => {
    it("adds a droplet and touches no other", async () => {
        const droplets = async (replicas: number) => {
            const { registrations } = await runProgram({ config: { replicas } });
            return registrations
                .filter(({ type }) => type === droplet)
                .map(({ name, inputs }) => ({ name, inputs }));
        };
        const before = await droplets(3);
        const after = await droplets(4);
        expect(after.filter(({ name }) => name !== "web-3")).toEqual(before);
        expect(after).toHaveLength(before.length + 1);
    });
});

describe("the load balancer", () => {
    it("gets the host key that connections pin, and the droplet's id in what runs on it", async () => {
        const { find } = await runProgram();
        const { inputs } = find(droplet, "load-balancer");
        const userData = (inputs.userData as { value: string }).value;
        expect(parse(userData)).toMatchObject({
            ssh_keys: {
                ed25519_private:
                    "-----BEGIN OPENSSH PRIVATE KEY-----\nprivate-keys-host\n-----END OPENSSH PRIVATE KEY-----\n",
                ed25519_public: "ssh-ed25519 AAAA-keys-host comment",
            },
            write_files: expect.arrayContaining([
                {
                    path: "/etc/dropscale/setup-key",
                    permissions: "0600",
                    content:
                        "-----BEGIN OPENSSH PRIVATE KEY-----\nprivate-keys-setup\n-----END OPENSSH PRIVATE KEY-----\n",
                },
                expect.objectContaining({ path: "/etc/ssh/sshd_config.d/00-keys-only.conf" }),
            ]) as unknown[],
        });
        const { value: connection } = find(remoteCommand, "haproxy").inputs.connection as {
            value: Record<string, unknown>;
        };
        expect(connection).toMatchObject({ user: "root", hostKey: "ssh-ed25519 AAAA-keys-host comment" });
        expect(connection.privateKey).toContain("private-keys-deploy");
        const id = find("ReservedIpAssignment", "address").inputs.dropletId as number;
        expect(id).toBeGreaterThan(1000);
        expect(find(remoteCommand, "load-balancer-ready").inputs.stdin).toContain(`# load balancer ${id}`);
        for (const name of ["haproxy-script", "haproxy-staged"])
            expect(find(remoteCommand, name).inputs.create).toContain(`# load balancer ${id}`);
    });

    it("gets a config with every backend's private address", async () => {
        const { find, outputs } = await runProgram();
        const servers = outputs.servers as { name: string; privateIp: string }[];
        expect(servers.map(({ name }) => name)).toEqual(["web-0", "web-1", "web-2"]);
        for (const { name, privateIp } of servers) {
            expect(find(remoteCommand, "haproxy-staged").inputs.stdin).toContain(
                `server ${name} ${privateIp}:80 `,
            );
        }
        expect(find(component("HaproxyConfig"), "haproxy").inputs.servers).toEqual(
            Object.fromEntries(servers.map(({ name, privateIp }) => [name, `${privateIp}:80`])),
        );
    });
});

describe("the network", () => {
    const everything = [
        { destinationAddresses: ["0.0.0.0/0", "::/0"], portRange: "all", protocol: "tcp" },
        { destinationAddresses: ["0.0.0.0/0", "::/0"], portRange: "all", protocol: "udp" },
        { destinationAddresses: ["0.0.0.0/0", "::/0"], protocol: "icmp" },
    ];

    it("opens the load balancer's port 80 to everybody and SSH to adminCidrs, the backends to the load balancer", async () => {
        const { find } = await runProgram({ stack: "prod", config: { adminCidrs: ["198.51.100.7/32"] } });
        expect(find("Firewall", "network-load-balancer").inputs).toEqual({
            name: "dropscale-prod-load-balancer",
            tags: ["dropscale-prod-load-balancer"],
            inboundRules: [
                { protocol: "tcp", portRange: "80", sourceAddresses: ["0.0.0.0/0", "::/0"] },
                { protocol: "tcp", portRange: "22", sourceAddresses: ["198.51.100.7/32"] },
            ],
            outboundRules: everything,
        });
        expect(find("Firewall", "network-backend").inputs).toEqual({
            name: "dropscale-prod-backend",
            tags: ["dropscale-prod-backend"],
            inboundRules: [
                { protocol: "tcp", portRange: "all", sourceTags: ["dropscale-prod-load-balancer"] },
            ],
            outboundRules: everything,
        });
    });

    it("lets in who else is to reach the servers, a rule for each of the ports, and shows them", async () => {
        const backendSources = [
            { from: "monitoring", ports: 9100 },
            { from: "198.51.100.7/32", ports: "9100" },
            { from: "monitoring", ports: "9113-9117" },
        ];
        const { find } = await runProgram({
            stack: "prod",
            tags: ["monitoring"],
            config: { backendSources },
        });
        expect(find("Firewall", "network-backend").inputs.inboundRules).toEqual([
            { protocol: "tcp", portRange: "all", sourceTags: ["dropscale-prod-load-balancer"] },
            {
                protocol: "tcp",
                portRange: "9100",
                sourceTags: ["monitoring"],
                sourceAddresses: ["198.51.100.7/32"],
            },
            { protocol: "tcp", portRange: "9113-9117", sourceTags: ["monitoring"] },
        ]);
        expect(find("dropscale:index:Network", "network").inputs.backendSources).toEqual({
            monitoring: "9100, 9113-9117",
            "198.51.100.7/32": "9100",
        });
        const none = await runProgram();
        expect(none.find("dropscale:index:Network", "network").inputs).not.toHaveProperty("backendSources");
    });

    it("is refused where it should let in a tag that the account does not have", async () => {
        const backendSources = ["monitoring", "other"].map((from) => ({ from, ports: "9100" }));
        await expect(
            runProgram({ tags: ["other"], config: { backendSources, replicas: -1 } }),
        ).rejects.toThrow(
            /'replicas' should be[^]*'backendSources' should name tags that the account has, got monitoring; give it to a host first: doctl/,
        );
    });

    it("makes firewalls that the doctor knows as the stack's own", async () => {
        const backendSources = [{ from: "198.51.100.0/24", ports: "9100" }];
        const { find } = await runProgram({ stack: "prod", config: { backendSources } });
        for (const role of ["backend", "load-balancer"]) {
            const { name, tags, inboundRules, outboundRules } = find("Firewall", `network-${role}`).inputs;
            const rules = (given: unknown, peers: "source" | "destination") =>
                (given as Record<string, string | string[]>[]).map((rule) => ({
                    protocol: rule.protocol as string,
                    // The API says 0 for all.
                    ports: rule.portRange === "all" ? "0" : (rule.portRange as string),
                    [`${peers}s`]: {
                        addresses: rule[`${peers}Addresses`] as string[],
                        tags: rule[`${peers}Tags`] as string[],
                    },
                }));
            const seen = { id: "fw", created_at: "", name, tags, droplet_ids: null };
            const firewall = {
                ...seen,
                inbound_rules: rules(inboundRules, "source"),
                outbound_rules: rules(outboundRules, "destination"),
            };
            expect(doubtFirewall("dropscale-prod", firewall as never)).toBeUndefined();
        }
    });

    it("is a VPC of the stack's own that destroy deletes, where the region has another default", async () => {
        const { find } = await runProgram();
        const vpc = find("digitalocean:index/vpc:Vpc", "network");
        expect(vpc.inputs).toEqual({
            name: "dropscale-dev",
            region: "fra1",
            description: "dropscale dropscale-dev",
        });
        expect(vpc.options).toMatchObject({ retainOnDelete: false, importId: "" });
    });

    it("leaves the VPC behind that becomes the region's default, and takes it over again", async () => {
        const first = (await runProgram({ noVpc: true })).find("digitalocean:index/vpc:Vpc", "network");
        expect(first.options).toMatchObject({ retainOnDelete: true, importId: "" });
        const defaultVpc = { id: "vpc-1", name: "dropscale-dev" };
        const later = (await runProgram({ defaultVpc })).find("digitalocean:index/vpc:Vpc", "network");
        expect(later.options).toMatchObject({ retainOnDelete: true, importId: "vpc-1" });
    });

    it("is an existing VPC where the config names one", async () => {
        const vpcId = "5a4981aa-9653-4bd1-bef5-d6bff52042e4";
        const { registrations, find } = await runProgram({ config: { vpcId } });
        expect(registrations.filter(({ type }) => type.includes("vpc"))).toEqual([]);
        expect(find(droplet, "web-0").inputs.vpcUuid).toBe(vpcId);
    });
});
