import { readFileSync } from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../tools/plan/model";
import { callApi } from "../faults.mts";
import { type FailedTries, failedTries, rowOf } from "../failed-tries.mts";
import { haproxyAnswers } from "../loopback-ssh.mts";
import { type Outcome, upEndsWell } from "../world.mts";

/**
 * Two servers, an account that has room for eight droplets, and user data that does not work, twice. The real engine and
 * API, an HAProxy that is asked and answers, no machines. The tests build on each other.
 */
describe("tries that fail", { timeout: 300_000 }, () => {
    const made = failedTries();
    let tries: FailedTries;
    let world: FailedTries["world"];
    beforeAll(() => {
        tries = made();
        ({ world } = tries);
    });

    const tool = (name: string, ...args: string[]) => world.tool(name, ["test", ...args]);
    async function plan(): Promise<Outcome & { plan: Plan }> {
        const file = path.join(world.folder, "plan.json");
        const outcome = await tool("plan", "--json", file);
        return { ...outcome, plan: JSON.parse(readFileSync(file, "utf8")) as Plan };
    }

    it("are none so far: each command says that all is well", async () => {
        const { stdout } = await tool("status");
        expect(stdout).toMatch(/^http:\/\/\S+ {3}\$18 a month\n/);
        for (const droplet of tries.serving) expect(rowOf(stdout, droplet)).toMatch(/ active .* serves /);
        expect((await tool("drift")).text).toBe("test: no drift, all is as Pulumi made it\n");
        expect((await tool("doctor")).text).toBe("stack test is in order; next: pulumi up --stack test\n");
    });

    it("are told by `status`: what serves, what waits, what is to be deleted, and what they cost", async () => {
        await tries.fail({ generation: "b" });
        const first = await tries.notServing("web-");
        await tries.fail({ generation: "c" });
        const { stdout, code } = await tool("status");
        expect(code).toBe(0);
        expect(stdout).toMatch(/^http:\/\/\S+ {3}\$18 a month, and \$24 for what serves nobody\n/);
        for (const droplet of tries.serving.slice(1))
            expect(rowOf(stdout, droplet)).toMatch(/ serves until its successor does .* UP /);
        for (const droplet of first)
            expect(rowOf(stdout, droplet)).toMatch(/ serves nobody, pending delete .* not in service /);
        for (const droplet of (await tries.notServing("web-")).filter((one) => !first.includes(one)))
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
        const old = tries.serving
            .slice(1)
            .map((droplet) => droplet.replace(/(\S+) (\d+)/, "the old $1 ($2)"));
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
        const before = await tries.droplets();
        const answers = haproxyAnswers(world.ssh);
        const part = (name: string, to: string) =>
            answers.replace(new RegExp(`(: ${name}\\n)[^]*?(\\n--)`), to);
        for (const look of [() => new Error("no"), () => part("applying", "$1yes$2")]) {
            world.ssh.look = look;
            await tool("doctor", "--yes");
            expect(await tries.droplets()).toEqual(before);
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
        expect(await tries.droplets()).toEqual(tries.serving);
        expect(text).toMatch(/^next: pulumi up --stack test$/m);
        expect(text).not.toContain("in order");
    });

    it("leave room for the next: the good user data again is applied, with nothing left", async () => {
        const { plan: planned } = await plan();
        expect(planned.servers).toMatchObject({ before: 2, after: 2 });
        expect(planned.servers.list.map(({ why }) => why)).toEqual(
            tries.serving
                .slice(1)
                .map((droplet) => [droplet.replace(/(\S+) (\d+)/, "in place of the old $1 ($2)")]),
        );
        expect(planned.applicable).toBe(true);
        await upEndsWell(world);
        expect(await tries.droplets()).toHaveLength(3);
        expect((await tool("doctor")).text).toBe("stack test is in order; next: pulumi up --stack test\n");
        expect((await tool("drift")).code).toBe(0);
        tries.serving = await tries.droplets();
    });
});
