import { readFile, rm, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopSandbox } from "../../sandbox/process.ts";
import { makeWorld, type Outcome, type World } from "../world.mts";

/** The real engine and the real API, without machines: what a reviewer sees before anything runs. */
describe("a preview", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback", { adminCidrs: ["198.51.100.7/32"] });
    });
    afterAll(async () => {
        await world.close();
    });

    it("shows count, names, sizes and cost in plain values, and no token", async () => {
        const { code, text } = await world.pulumi(["preview", "--diff"]);
        expect(code, text).toBe(0);
        expect(text).toMatch(/replicas\s*: 3/);
        expect(text).toMatch(/web-2\s*: "s-1vcpu-1gb"/);
        expect(text).toMatch(/monthlyCost\s*: 24/);
        expect(text).not.toContain(world.sandbox.token);
    });

    it("makes nothing", async () => {
        expect(await world.api("droplets")).toMatchObject({ droplets: [], meta: { total: 0 } });
        expect(await world.api("tags")).toMatchObject({ tags: [] });
    });

    it("refuses wrong config of several keys in one message, without a stack trace", async () => {
        await world.configure({ replicas: 1001, region: "frankfurt", healthPath: "healthz", adminCidrs: [] });
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure({
            replicas: undefined,
            region: undefined,
            healthPath: undefined,
            adminCidrs: ["198.51.100.7/32"],
        });
        expect(code).not.toBe(0);
        expect(text).toContain("'replicas' should be a whole number from 0 to 1000, got 1001");
        expect(text).toContain("'region' should be a region's slug such as fra1, got frankfurt");
        expect(text).toContain("'healthPath' should be a path that starts with /");
        expect(text).toContain("pulumi config set --path 'adminCidrs[0]' ADDRESS/32");
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("refuses user data that cloud-init can't read, and texts that lack quotes or --path", async () => {
        const [config, userData] = [
            path.join(world.folder, "Pulumi.test.yaml"),
            path.join(world.folder, "userdata/haproxy.yaml"),
        ];
        const [stack, text] = await Promise.all([readFile(config, "utf8"), readFile(userData, "utf8")]);
        const wrong = "  dropscale:generation: 2026.10\n  dropscale:retired[0]: 1\n";
        await writeFile(config, stack.replace(/^config:\n/m, `config:\n${wrong}`));
        await writeFile(userData, text.replace("runcmd:\n  - ", "runcmd:\n  -\t"));
        const { code, text: said } = await world.pulumi(["preview"]);
        await Promise.all([writeFile(config, stack), writeFile(userData, text)]);
        expect(code).not.toBe(0);
        expect(said).toContain("pulumi config set generation 2026.10\n");
        expect(said).toContain("pulumi config set --path 'retired[0]' 1\n");
        expect(said).toMatch(/userdata\/haproxy\.yaml: a tab may stand in .* \(line \d+: -\tsystemctl /);
        expect(said).not.toMatch(/\n\s+at /);
    });

    it("refuses SSH for everybody, and shows it where the config insists", async () => {
        const open = ["0.0.0.0/1", "128.0.0.0/1"];
        await world.configure({ adminCidrs: open });
        const refused = await world.pulumi(["preview"]);
        await world.configure({ sshFromAnywhere: true });
        const allowed = await world.pulumi(["preview", "--diff"]);
        await world.configure({ sshFromAnywhere: undefined, adminCidrs: ["198.51.100.7/32"] });
        expect(refused.code).not.toBe(0);
        expect(refused.text).toContain("that is SSH for everybody");
        expect(allowed.code, allowed.text).toBe(0);
        expect(allowed.text).toMatch(/sshFromAnywhere\s*: true/);
        expect(allowed.text).toContain("warning: SSH to the load balancer is open to the whole Internet");
    });

    it("refuses in one message all that is wrong in itself, or that the account does not have", async () => {
        const wrong = {
            drainSeconds: 5,
            size: "s-2vcpu-3gb",
            image: "debian-99-x64",
            loadBalancerImage: "123456",
            vpcId: "5a4981aa-9653-4bd1-bef5-d6bff52042e4",
            replicas: 30,
        };
        await world.configure(wrong);
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure(Object.fromEntries(Object.keys(wrong).map((key) => [key, undefined])));
        expect(code).not.toBe(0);
        const message = text.slice(text.lastIndexOf("the stack's config is wrong:")).split("\n", 7);
        expect(message.map((line) => line.trim())).toEqual([
            "the stack's config is wrong:",
            "'drainSeconds' should be a whole number from 6 to 3600, got 5",
            expect.stringMatching(
                /^'size' s-2vcpu-3gb is not available in fra1; closest: s-2vcpu-[24]gb \(\$\d+\), /,
            ),
            expect.stringMatching(/^'image' debian-99-x64 is not available in fra1; closest: debian-1/),
            expect.stringMatching(/^'loadBalancerImage' 123456 is not available in fra1; closest: /),
            expect.stringMatching(
                /^'replicas' 30 needs 31 more droplet\(s\), 6 too many: the account has 0 and may have 25;/,
            ),
            `'vpcId' should be the id of a VPC that the account has, got ${wrong.vpcId}`,
        ]);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("refuses a region that there is not, and names those that there are", async () => {
        await world.configure({ region: "xyz9" });
        const { code, text } = await world.pulumi(["preview"]);
        await world.configure({ region: undefined });
        expect(code).not.toBe(0);
        expect(text).toMatch(/'region' should be one of .*fra1, .*got xyz9/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("refuses user data with a leading blank, of the backends and of the load balancer at once", async () => {
        const files = ["nginx", "haproxy"].map((name) => path.join(world.folder, `userdata/${name}.yaml`));
        const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
        for (const [i, file] of files.entries()) await writeFile(file, ` ${texts[i] ?? ""}`);
        const { code, text } = await world.pulumi(["preview"]);
        for (const [i, file] of files.entries()) await writeFile(file, texts[i] ?? "");
        expect(code).not.toBe(0);
        for (const name of ["nginx", "haproxy"])
            expect(text).toContain(
                `userdata/${name}.yaml: user data should start with the line "#cloud-config"`,
            );
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("says that a token is refused", async () => {
        const { code, text } = await world.pulumi(["preview"], { DIGITALOCEAN_TOKEN: "wrong" });
        expect(code).not.toBe(0);
        expect(text).toMatch(/the account could not be read: .*Unable to authenticate you/);
        expect(text).not.toMatch(/\n\s+at /);
    });

    describe("of a change to a stack that is there", () => {
        let made: Outcome;
        beforeAll(async () => {
            // All but what needs a machine: the commands on the load balancer, and what waits for them.
            made = await world.pulumi([
                "up",
                "--yes",
                "--skip-preview",
                ...["--exclude", "**load-balancer-ready", "--exclude-dependents"],
            ]);
            expect(made.code, made.text).toBe(0);
        });
        afterAll(async () => {
            const destroyed = await world.pulumi(["destroy", "--yes", "--skip-preview"]);
            expect(destroyed.code, destroyed.text).toBe(0);
        });

        /** What `preview --diff` says of each component that changes, by its name, without indents; and the outputs. */
        async function changes(config: Record<string, unknown>): Promise<Record<string, string[]>> {
            await world.configure(config);
            const { code, text } = await world.pulumi(["preview", "--diff"]);
            await world.configure(Object.fromEntries(Object.keys(config).map((key) => [key, undefined])));
            expect(code, text).toBe(0);
            const blocks = text.split(/^ +(?=[~+-]+ ?\S+:\S+:\S+: \(|--outputs:--)/m);
            const named = blocks.map((block): [string, string[]] => [
                /^~ dropscale:index:(\w+)|^--(outputs)/.exec(block)?.slice(1).join("") ?? "",
                block.split("\n").map((line) => line.trim().replace(/ +:/, ":")),
            ]);
            return Object.fromEntries(named);
        }

        it("names the servers that come and go, in haproxy.cfg too, and the cost", async () => {
            const { BackendPool, HaproxyConfig, outputs } = await changes({ replicas: 4, retired: [1] });
            expect(BackendPool).toEqual(
                expect.arrayContaining([
                    "~ replicas: 3 => 4",
                    "+ [0]: 1",
                    'web-0: "s-1vcpu-1gb"',
                    '- web-1: "s-1vcpu-1gb"',
                    '+ web-3: "s-1vcpu-1gb"',
                    '+ web-4: "s-1vcpu-1gb"',
                ]),
            );
            expect(HaproxyConfig).toEqual(
                expect.arrayContaining([
                    expect.stringMatching(/^web-0: "10\.\d+\.\d+\.\d+:80"$/),
                    expect.stringMatching(/^- web-1: "10\.\d+\.\d+\.\d+:80"$/),
                    "+ web-3: [unknown]",
                    "+ web-4: [unknown]",
                ]),
            );
            expect(outputs).toContain("~ monthlyCost: 24 => 30");
        });

        it("names the servers that are replaced, those that are held, and why", async () => {
            const { BackendPool, HaproxyConfig } = await changes({
                size: "s-1vcpu-2gb",
                generation: "7",
                hold: [0],
            });
            expect(BackendPool).toEqual(
                expect.arrayContaining([
                    '~ size: "s-1vcpu-1gb" => "s-1vcpu-2gb"',
                    '+ generation: "7"',
                    '~ web-0: "s-1vcpu-1gb" => "held"',
                    '~ web-1: "s-1vcpu-1gb" => "s-1vcpu-2gb"',
                ]),
            );
            expect(HaproxyConfig).toEqual(
                expect.arrayContaining([expect.stringMatching(/^~ web-1: "10\..*:80" => \[unknown\]$/)]),
            );
        });

        it("shows what changes on the load balancer and in the network", async () => {
            const file = path.join(world.folder, "userdata/haproxy.yaml");
            const text = await readFile(file, "utf8");
            await writeFile(file, `${text}# edited\n`);
            const { LoadBalancer, HaproxyConfig, outputs } = await changes({
                loadBalancerSize: "s-2vcpu-2gb",
                healthPath: "/ok",
            });
            await writeFile(file, text);
            expect(LoadBalancer).toEqual(
                expect.arrayContaining([
                    '~ size: "s-1vcpu-1gb" => "s-2vcpu-2gb"',
                    expect.stringMatching(
                        /^~ userData: "\d+ lines, sha256 \w{12}" => "\d+ lines, sha256 \w{12}"$/,
                    ),
                ]),
            );
            expect(HaproxyConfig).toContain('~ healthPath: "/healthz" => "/ok"');
            expect(outputs).toContain("~ monthlyCost: 24 => 36");
        });

        it("of nothing shows nothing", async () => {
            const { text } = await world.pulumi(["preview", "--diff"]);
            expect(text).not.toMatch(/~ dropscale:|outputs/);
        });

        it("and all that is kept shows no private key, also when the keys are made", async () => {
            const plain = JSON.parse((await world.pulumi(["stack", "export", "--show-secrets"])).stdout) as {
                deployment: { resources: { type: string; outputs?: { stdout?: { plaintext: string } } }[] };
            };
            const privateKeys = plain.deployment.resources
                .filter(({ type }) => type === "command:local:Command")
                .map(({ outputs }) => JSON.parse(outputs?.stdout?.plaintext ?? '""') as string);
            expect(privateKeys).toHaveLength(3);
            const seen = [
                made,
                await world.pulumi(["preview", "--diff"]),
                await world.pulumi(["preview", "--json"]),
                await world.pulumi(["stack", "export"]),
                await world.pulumi(["stack", "output", "--json"]),
            ];
            for (const key of privateKeys) {
                // The line of the private half; the first ones hold the public one.
                const line = key.split("\n")[4] ?? "";
                expect(line).toMatch(/^[\w+/]{60,}$/);
                for (const { text } of seen) expect(text).not.toContain(line);
            }
        });
    });

    it("says how to start the sandbox when it does not run", async () => {
        await stopSandbox(world.instance.stateDir);
        const { code, text } = await world.pulumi(["preview"]);
        expect(code).not.toBe(0);
        expect(text).toContain(world.sandbox.url);
        expect(text).toContain("make up");
        expect(text).not.toMatch(/\n\s+at /);
        await rm(path.join(world.folder, "Pulumi.test.yaml"), { force: true });
    });
});
