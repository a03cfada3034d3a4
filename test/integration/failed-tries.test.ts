import { readFileSync } from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../tools/plan/model";
import { callApi } from "../faults.mts";
import { type DeployableWorld, haproxyAnswers, makeDeployableWorld } from "../loopback-ssh.mts";
import { type Outcome, up, upEndsWell } from "../world.mts";

interface Droplet {
    id: number;
    name: string;
    networks: { v4: { ip_address: string; type: string }[] };
}

/**
 * Two servers, an account that has room for eight droplets, and user data that does not work, twice. The real engine and
 * API, an HAProxy that is asked and answers, no machines. The tests build on each other.
 */
describe("tries that fail", { timeout: 300_000 }, () => {
    let made: DeployableWorld | undefined;
    let world: DeployableWorld;
    beforeAll(async () => {
        made = await makeDeployableWorld({ replicas: 2 }, { dropletLimit: 8 });
        world = made;
        await upEndsWell(world);
        world.ssh.host = await addressesOf("load-balancer");
        serving = await droplets();
    });
    afterAll(async () => {
        await made?.close();
    });

    /** `name id` of what served before anything failed. */
    let serving: string[];

    const listed = async () => (await world.api("droplets?per_page=200")).droplets as Droplet[];
    const droplets = async () => (await listed()).map(nameAndId).sort();
    const nameAndId = ({ name, id }: Droplet) => `${name.replace(/-[0-9a-f]{7}$/, "")} ${id}`;
    async function addressesOf(name: string): Promise<string[]> {
        const found = (await listed()).find((droplet) => droplet.name.startsWith(name));
        return (found?.networks.v4 ?? []).map(({ ip_address }) => ip_address);
    }

    /** A plain `pulumi up` of this generation, where no new server answers. */
    async function failedTry(generation: string): Promise<void> {
        await world.configure({ generation });
        world.ssh.exitCode = 1;
        const { code, text } = await up(world);
        world.ssh.exitCode = 0;
        expect(code, text).not.toBe(0);
    }
    const tool = (name: string, ...args: string[]) => world.tool(name, ["test", ...args]);
    async function plan(): Promise<Outcome & { plan: Plan }> {
        const file = path.join(world.folder, "plan.json");
        const outcome = await tool("plan", "--json", file);
        return { ...outcome, plan: JSON.parse(readFileSync(file, "utf8")) as Plan };
    }
    /** Lines of the status table, by droplet. */
    function rowOf(text: string, droplet: string): string {
        const [name = "", id = ""] = droplet.split(" ");
        return text.split("\n").find((line) => line.includes(` ${name} `) && line.includes(` ${id} `)) ?? "";
    }
    const notServing = async (name: string) =>
        (await droplets()).filter((droplet) => droplet.startsWith(name) && !serving.includes(droplet));

    it("are none so far: each command says that all is well", async () => {
        const { stdout } = await tool("status");
        expect(stdout).toMatch(/^http:\/\/\S+ {3}\$18 a month\n/);
        for (const droplet of serving) expect(rowOf(stdout, droplet)).toMatch(/ active .* serves /);
        expect((await tool("drift")).text).toBe("test: no drift, all is as Pulumi made it\n");
        expect((await tool("doctor")).text).toBe("stack test is in order; next: pulumi up --stack test\n");
    });

    it("are told by `status`: what serves, what waits, what is to be deleted, and what they cost", async () => {
        await failedTry("b");
        const first = await notServing("web-");
        await failedTry("c");
        const { stdout, code } = await tool("status");
        expect(code).toBe(0);
        expect(stdout).toMatch(/^http:\/\/\S+ {3}\$18 a month, and \$24 for what serves nobody\n/);
        for (const droplet of serving.slice(1))
            expect(rowOf(stdout, droplet)).toMatch(/ serves until its successor does .* UP /);
        for (const droplet of first)
            expect(rowOf(stdout, droplet)).toMatch(/ serves nobody, pending delete .* not in service /);
        for (const droplet of (await notServing("web-")).filter((one) => !first.includes(one)))
            expect(rowOf(stdout, droplet)).toMatch(/ waits: gets no request .* not in service /);
        expect(stdout).toContain("a run did not end well: ");
        expect(stdout).toContain("next: `make doctor STACK=test` clears what serves nobody");
    });

    it("are told by `plan`, with the one way out that fits: no batch does", async () => {
        await world.configure({ generation: undefined });
        const { text, plan: planned } = await plan();
        expect(planned.left.map(({ leaves, serves }) => [leaves, serves])).toEqual([
            ...[
                [true, true],
                [true, true],
                [false, false],
                [false, false],
                [true, false],
                [true, false],
            ],
        ]);
        const old = serving.slice(1).map((droplet) => droplet.replace(/(\S+) (\d+)/, "the old $1 ($2)"));
        expect(text).toContain(
            `${old.join(" ")} deleted last: serves until its successor does, left by a run that did not end well`,
        );
        expect(text).toContain(
            "deleted: serves nobody, pending delete, left by a run that did not end well, $6 a month",
        );
        expect(text).toMatch(/web-0 web-1 .*replaced: .*waits so far: it gets no request/);
        expect(planned.warnings).toEqual([
            expect.stringMatching(/^an earlier run ended before its haproxy\.cfg was applied/),
            expect.stringMatching(
                /^a run did not end well: .*`make doctor STACK=test` deletes what serves nobody/,
            ),
            "the account's limit is 8 droplets, 7 exist, this needs 9 at once: `make doctor STACK=test` deletes 4 that serve nobody, then it fits",
        ]);
        expect(planned.monthlyCost).toMatchObject({ before: 42, after: 18 });
    });

    it("are told by `drift`, and not as an edit of haproxy.cfg", async () => {
        const { text, code } = await tool("drift");
        expect(code).toBe(2);
        expect(text).toMatch(
            /^Run of the stack a run did not end well: web-0 \(\d+\) web-1 \(\d+\) serve until/m,
        );
        expect(text).toMatch(/; web-0 \(\d+\) web-1 \(\d+\) wait: they get no request, \$12 a month; web-0/);
        expect(text).toContain("haproxy.cfg load balancer is not what the last run was to apply");
        expect(text).toContain("the next `pulumi up` applies what the config says");
        expect(text).not.toContain("edited");
    });

    it("are cleared by nobody while HAProxy can't be asked, or just gets another text", async () => {
        const before = await droplets();
        const answers = haproxyAnswers(world.ssh);
        const part = (name: string, to: string) =>
            answers.replace(new RegExp(`(: ${name}\\n)[^]*?(\\n--)`), to);
        for (const look of [() => new Error("no"), () => part("applying", "$1yes$2")]) {
            world.ssh.look = look;
            await tool("doctor", "--yes");
            expect(await droplets()).toEqual(before);
        }
        world.ssh.look = undefined;
    });

    it("are cleared by the doctor, when that is agreed to: what serves stays", async () => {
        const asked = await tool("doctor");
        expect(asked.code).toBe(1);
        expect(asked.text).toMatch(
            /^delete {2}droplet {2}web-0 {2}\d+ {2}waits: gets no request, \$6 a month$/m,
        );
        expect(asked.text).toMatch(/^- {2}droplet {2}web-0 {2}\d+ {2}serves until its successor does$/m);
        // Somebody has begun to tidy up by hand: `pulumi up` would fail on it, with the official provider.
        const idle = /^delete {2}droplet {2}web-1 {2}(\d+) {2}serves nobody/m.exec(asked.text)?.[1] ?? "";
        await callApi(world, "DELETE", `/v2/droplets/${idle}`);
        const { text, code } = await tool("doctor", "--yes");
        expect(code, text).toBe(0);
        expect(text).toContain(`deleted droplet web-1 (${idle}), which was gone already`);
        expect(await droplets()).toEqual(serving);
        expect(text).toMatch(/^next: pulumi up --stack test$/m);
        expect(text).not.toContain("in order");
    });

    it("leave room for the next: the good user data again is applied, with nothing left", async () => {
        const { plan: planned } = await plan();
        expect(planned.servers).toMatchObject({ before: 2, after: 2 });
        expect(planned.servers.list.map(({ why }) => why)).toEqual(
            serving
                .slice(1)
                .map((droplet) => [droplet.replace(/(\S+) (\d+)/, "in place of the old $1 ($2)")]),
        );
        expect(planned.applicable).toBe(true);
        await upEndsWell(world);
        expect(await droplets()).toHaveLength(3);
        expect((await tool("doctor")).text).toBe("stack test is in order; next: pulumi up --stack test\n");
        expect((await tool("drift")).code).toBe(0);
        serving = await droplets();
    });

    it("leave nothing behind where `deploy` makes them, nor where a roll-out does", async () => {
        world.ssh.exitCode = 1;
        await world.configure({ generation: "d" });
        const deployed = await tool("deploy", "--quiet");
        expect(deployed.code).toBe(1);
        expect(deployed.text).toMatch(/^deleted droplet web-0 \(\d+\), which served nobody$/m);
        expect(await droplets()).toEqual(serving);
        const rolled = await world.tool("rollout", ["--stack", "test", "--quiet"]);
        world.ssh.exitCode = 0;
        expect(rolled.code).toBe(1);
        expect(rolled.text).toContain("stopped at: before the batches");
        expect(await droplets()).toEqual(serving);
    });

    it("are no obstacle to `deploy`: what no run will use again goes first", async () => {
        await failedTry("e");
        const first = await notServing("web-");
        await failedTry("f");
        const { code, text } = await tool("deploy", "--quiet");
        expect(code, text).toBe(0);
        for (const droplet of first)
            expect(text).toContain(`(${droplet.split(" ")[1] ?? ""}), which served nobody`);
        expect(await droplets()).toHaveLength(3);
        serving = await droplets();
    });

    it("of a load balancer are told apart by the one that answers", async () => {
        world.ssh.exitCode = 1;
        await world.configure({ loadBalancerSize: "s-1vcpu-2gb" });
        expect((await up(world)).code).not.toBe(0);
        world.ssh.exitCode = 0;
        const [second] = await notServing("load-balancer");
        const { stdout } = await tool("status");
        expect(rowOf(stdout, serving[0] ?? "")).toContain(" serves until its successor does ");
        expect(rowOf(stdout, second ?? "")).toContain(" waits: gets no request ");
        const { code, text } = await tool("doctor", "--yes");
        expect(code, text).toBe(0);
        expect(await droplets()).toEqual(serving);
    });

    it("of a first deployment don't pile up: what has a successor is cleared, and the rest is gone on with", async () => {
        const other = await world.addStack("second", { replicas: 1 });
        world.ssh.exitCode = 1;
        for (const generation of ["a", "b"]) {
            await other.configure({ generation });
            expect((await up(other)).code).not.toBe(0);
        }
        expect(await droplets()).toHaveLength(6);
        const { code, text } = await world.tool("doctor", ["second", "--yes"]);
        expect(code, text).toBe(0);
        expect(text.match(/^deleted droplet/gm)).toHaveLength(1);
        expect(await droplets()).toHaveLength(5);
    });
});
