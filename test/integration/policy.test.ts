import { cpSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeWorld, type Outcome, type World } from "../world.mts";

/** The policy pack under the real engine, on the real program, without machines. The tests build on each other. */
describe("the policy pack", () => {
    let world: World;
    beforeAll(async () => {
        world = await makeWorld("loopback");
        cpSync(path.resolve(__dirname, "../../policy"), path.join(world.folder, "policy"), {
            recursive: true,
        });
    });
    afterAll(async () => {
        await world.close();
    });

    const preview = () => world.pulumi(["preview", "--policy-pack", "policy"]);

    /** Runs with a file of the program or the pack edited. */
    async function withEdit<T>(name: string, edit: (text: string) => string, run: () => Promise<T>) {
        const file = path.join(world.folder, name);
        const text = await readFile(file, "utf8");
        expect(edit(text)).not.toBe(text);
        await writeFile(file, edit(text));
        try {
            return await run();
        } finally {
            await writeFile(file, text);
        }
    }

    /** Ids of the rules that the engine names, with `[mandatory]` or `[advisory]` before them. */
    const named = ({ text }: Outcome) =>
        [...text.matchAll(/- (\[\w+\]) {2}(\S+) {2}\(.*: (.*)\)/g)]
            .map((match) => match.slice(1).join(" "))
            .sort();

    it("lets a stack pass that keeps the limits, and says what it could not judge", async () => {
        const outcome = await preview();
        expect(outcome.code, outcome.text).toBe(0);
        expect(outcome.text).toMatch(/✅ dropscale@/);
        expect(named(outcome)).toEqual([]);
        expect(outcome.text).toContain("policy max-shrink: not judged: only `make plan` sees");
        expect(outcome.text).toMatch(
            /policy host-key-pinned: not judged: .* of haproxy pins .* not known yet/,
        );
    });

    it("ends a preview that breaks limits, or opens the servers to the Internet, with the fix for each, and makes nothing", async () => {
        await world.configure({
            replicas: 21,
            size: "s-2vcpu-2gb",
            adminCidrs: ["0.0.0.0/0"],
            sshFromAnywhere: true,
        });
        const opened = (text: string) =>
            text.replace(
                "...inboundRules(backendSources),",
                '{ protocol: "tcp", portRange: "9100", sourceAddresses: anywhere },',
            );
        const limited = (text: string) =>
            text.replace("if-configured\n", "never\n").replace("regions: any", "regions: [ams3]");
        const outcome = await withEdit("policy/limits.yaml", limited, () =>
            withEdit("components/network.ts", opened, preview),
        );
        expect(outcome.code).not.toBe(0);
        expect(outcome.text).toMatch(/❌ dropscale@/);
        expect([...new Set(named(outcome).map((words) => words.split(" ")[1]))]).toEqual([
            "allowed-regions",
            "backends-closed",
            "max-monthly-cost",
            "max-replicas",
            "no-ssh-from-everywhere",
        ]);
        expect(outcome.text).toContain(
            "21 servers; allowed: at most 20. To fix it: lower dropscale:replicas",
        );
        expect(outcome.text).toMatch(/\$\d+ a month; allowed: at most \$200\./);
        expect(outcome.text).toContain("network-load-balancer admits SSH from 0.0.0.0/0");
        expect(outcome.text).toContain(
            "network-backend opens the servers to 0.0.0.0/0, ::/0; allowed: at most",
        );
        expect((await world.api("tags")).tags).toEqual([]);
    });

    it("lets SSH from everywhere pass where the config says so and the limits let it, and only warns of advice", async () => {
        await world.configure({ replicas: 1, size: undefined });
        const outcome = await withEdit(
            "policy/limits.yaml",
            (text) => text.replace("advisory: []", "advisory: [min-replicas]"),
            preview,
        );
        await world.configure({ replicas: 2, adminCidrs: ["127.0.0.0/8"], sshFromAnywhere: undefined });
        expect(outcome.code, outcome.text).toBe(0);
        expect(named(outcome)).toEqual(["[advisory] min-replicas web"]);
    });

    it("does not run with limits that are wrong, and names every mistake", async () => {
        const wrong = (text: string) =>
            text.replace("sizes: any", "sizes: all").replace("minReplicas: 2", "");
        const { code, text } = await withEdit("policy/limits.yaml", wrong, preview);
        expect(code).not.toBe(0);
        expect(text).toContain(
            "'limits.sizes' should be any, or a list of slugs such as [fra1], got \"all\"",
        );
        expect(text).toContain("'limits.minReplicas' should be a whole number from 0 to 1000, got nothing");
        expect(text).not.toMatch(/\n\s+at /);
    });

    it("finds a droplet without a firewall, and one that would be deleted before its successor is made", async () => {
        const outcome = await withEdit(
            "components/droplet.ts",
            (text) =>
                text.replace("tags: [tag]", '...(name.startsWith("web-") ? { name } : { tags: [tag] })'),
            preview,
        );
        expect(outcome.code).not.toBe(0);
        expect(named(outcome)).toEqual([
            "[mandatory] create-before-delete web-0",
            "[mandatory] create-before-delete web-1",
            ...Array.from({ length: 2 }, () => "[mandatory] firewall-on-every-droplet dropscale-test"),
        ]);
        expect(outcome.text).toContain("no firewall holds for web-0 (its tags: none)");
    });

    it("sees into secrets once they are known, and shows none", async () => {
        const up = [
            "up",
            "--yes",
            "--skip-preview",
            "--exclude",
            "**load-balancer-ready",
            "--exclude-dependents",
        ];
        const made = await world.pulumi([...up, "--policy-pack", "policy"]);
        expect(made.code, made.text).toBe(0);
        const pinned = await preview();
        expect(pinned.code, pinned.text).toBe(0);
        expect(pinned.text).not.toContain("policy host-key-pinned: not judged");
        const unpinned = await withEdit(
            "components/load-balancer.ts",
            (text) => text.replace("hostKey: keys.host.publicKey,", ""),
            preview,
        );
        expect(unpinned.code).not.toBe(0);
        expect(named(unpinned)).toEqual([
            "[mandatory] host-key-pinned haproxy",
            "[mandatory] host-key-pinned haproxy-script",
            "[mandatory] host-key-pinned haproxy-staged",
            "[mandatory] host-key-pinned load-balancer-ready",
        ]);
        // The line of the private half; the first ones hold the public one.
        const line = (await world.outputs()).deployKey.split("\n")[4] ?? "";
        expect(line).toMatch(/^[\w+/]{60,}$/);
        for (const { text } of [made, pinned, unpinned]) expect(text).not.toContain(line);
    });
});
