import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { commitHand, gitWithin } from "../../tools/autoscale/commit-hand";
import type { ConfigChange } from "../../tools/autoscale/model";
import { valuesOf } from "../../tools/autoscale/wanted";
import { StackConfig } from "../../tools/pulumi/stack-config";

const prod = `# The shop.
config:
  dropscale:replicas: 3 # enough since May
  dropscale:region: fra1
`;

/** A repository that a pipeline deploys from, the autoscaler's clone of it, and a colleague's. */
describe("the autoscaler's hand that commits", () => {
    const home = process.cwd();
    let folder: string;
    const at = (name: string) => path.join(folder, name);
    const git = (where: string, ...args: string[]) =>
        execFileSync("git", ["-c", "user.name=Ann", "-c", "user.email=ann@example.com", ...args], {
            ...{ cwd: at(where), encoding: "utf8" },
        }).trim();
    const fileOf = (where: string) => readFileSync(at(`${where}/Pulumi.prod.yaml`), "utf8");
    const edit = (where: string, from: string, to: string) => {
        writeFileSync(at(`${where}/Pulumi.prod.yaml`), fileOf(where).replace(from, to));
    };
    const push = (where: string, message: string) => {
        git(where, "commit", "--quiet", "--all", "--message", message);
        git(where, "push", "--quiet");
    };

    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-commit-"));
        git("", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git");
        git("", "clone", "--quiet", "origin.git", "colleague");
        git("colleague", "checkout", "--quiet", "-B", "main");
        writeFileSync(at("colleague/Pulumi.prod.yaml"), prod);
        writeFileSync(at("colleague/Pulumi.yaml"), "name: dropscale\nconfig: {}\n");
        git("colleague", "add", ".");
        git("colleague", "commit", "--quiet", "--message", "the shop");
        git("colleague", "push", "--quiet", "--set-upstream", "origin", "main");
        git("", "clone", "--quiet", "origin.git", "autoscaler");
        git("autoscaler", "config", "user.name", "autoscaler");
        git("autoscaler", "config", "user.email", "autoscaler@example.com");
        process.chdir(at("autoscaler"));
    });
    afterEach(() => {
        process.chdir(home);
        rmSync(folder, { recursive: true });
    });
    const config = () => new StackConfig("prod");
    const hand = () => commitHand(config());
    const apply = (change: ConfigChange, message: string, decidedOn = valuesOf(config())) =>
        hand().apply(change, message, decidedOn);

    it("pushes that one line, with the reason", async () => {
        const message = "autoscale: replicas 3 → 5: busy 0.90 of 0.60";
        expect(await apply({ replicas: 5 }, message)).toBeUndefined();
        git("colleague", "pull", "--quiet");
        expect(fileOf("colleague")).toBe(prod.replace("replicas: 3 #", "replicas: 5 #"));
        expect(git("colleague", "log", "-1", "--format=%an %s")).toBe(`autoscaler ${message}`);
    });

    it("follows what others push, before it decides", async () => {
        edit("colleague", "fra1", "ams3");
        push("colleague", "another region");
        expect(await hand().follow()).toBeUndefined();
        expect(fileOf("autoscaler")).toContain("ams3");
    });

    it("gives way to a person who has just changed the same value", async () => {
        edit("colleague", "replicas: 3", "replicas: 8");
        push("colleague", "sale begins");
        expect(await apply({ replicas: 5 }, "autoscale: more")).toEqual({
            ...{ problem: "somebody has just changed it: they go first", failed: false },
        });
        expect(git("origin.git", "log", "-1", "--format=%s")).toBe("sale begins");
        expect(fileOf("autoscaler")).toContain("replicas: 8");
    });

    it("gives way to a change that it has taken over itself since the decision", async () => {
        const decidedOn = valuesOf(config());
        edit("colleague", "replicas: 3", "replicas: 8");
        push("colleague", "sale begins");
        expect(await hand().follow()).toBeUndefined();
        expect((await apply({ replicas: 5 }, "autoscale: more", decidedOn))?.problem).toMatch(
            /^somebody has/,
        );
        expect(git("origin.git", "log", "-1", "--format=%s")).toBe("sale begins");
    });

    it("takes its commit back where the push is rejected, and can go on", async () => {
        const hook = at("origin.git/hooks/pre-receive");
        writeFileSync(hook, "#!/bin/sh\necho protected branch >&2; exit 1\n");
        chmodSync(hook, 0o755);
        const refusal = await apply({ replicas: 5 }, "autoscale: more");
        expect(refusal?.problem).toMatch(/^git push: .*protected branch/s);
        expect(fileOf("autoscaler")).toBe(prod);
        expect(await hand().follow()).toBeUndefined();
        rmSync(hook);
        expect(await apply({ replicas: 5 }, "autoscale: more")).toBeUndefined();
    });

    it("leaves alone what somebody begins to edit while it pushes", async () => {
        const hook = at("origin.git/hooks/pre-receive");
        const file = at("autoscaler/Pulumi.yaml");
        writeFileSync(hook, `#!/bin/sh\necho "# mine" >>${file}; exit 1\n`);
        chmodSync(hook, 0o755);
        expect((await apply({ replicas: 5 }, "autoscale: more"))?.problem).toMatch(/^git push: /);
        expect(readFileSync(file, "utf8")).toMatch(/# mine\n$/);
        expect(fileOf("autoscaler")).toBe(prod);
    });

    it("takes its edit back where the commit is refused", async () => {
        const hook = at("autoscaler/.git/hooks/pre-commit");
        writeFileSync(hook, "#!/bin/sh\necho not by robots >&2; exit 1\n");
        chmodSync(hook, 0o755);
        expect((await apply({ replicas: 5 }, "autoscale: more"))?.problem).toMatch(/not by robots/);
        expect(fileOf("autoscaler")).toBe(prod);
    });

    it.each([
        [
            "an edit that is not committed",
            () => {
                edit("autoscaler", "fra1", "ams3");
            },
            /^there are uncommitted changes \(M Pulumi\.prod\.yaml\)/,
        ],
        [
            "a commit that is not pushed",
            () => {
                edit("autoscaler", "fra1", "ams3");
                git("autoscaler", "commit", "--quiet", "--all", "--message", "mine");
            },
            /^1 commits? here (is|are) not pushed/,
        ],
    ])("does nothing beside %s, and says what to do", async (_what, change, words) => {
        change();
        expect(await hand().follow()).toMatch(words);
        expect((await apply({ replicas: 5 }, "autoscale: more"))?.problem).toMatch(words);
        expect(fileOf("autoscaler")).toContain("replicas: 3");
    });

    const commit = (message: string) => git("autoscaler", "commit", "--quiet", "--all", "--message", message);

    it.each<[string, () => void]>([
        ["before it committed", () => undefined],
        [
            "before it pushed",
            () => {
                commit("autoscale: replicas 3 → 5: busy");
            },
        ],
    ])("goes on after it was killed %s, with what others have pushed", async (_when, then) => {
        config().write({ replicas: 5 });
        then();
        edit("colleague", "fra1", "ams3");
        push("colleague", "another region");
        expect(await hand().follow()).toMatch(/uncommitted|not pushed/);
        await hand().takeBack({ replicas: 5 });
        expect(await hand().follow()).toBeUndefined();
        expect(fileOf("autoscaler")).toBe(prod.replace("fra1", "ams3"));
    });

    it("leaves what it pushed before it was killed", async () => {
        await apply({ replicas: 5 }, "autoscale: more");
        await hand().takeBack({ replicas: 5 });
        expect(fileOf("autoscaler")).toContain("replicas: 5");
        expect(git("autoscaler", "rev-parse", "HEAD")).toBe(git("origin.git", "rev-parse", "main"));
    });

    it.each<[string, () => void]>([
        [
            "an edit beside its own",
            () => {
                edit("autoscaler", "fra1", "ams3");
            },
        ],
        [
            "a commit of the same line",
            () => {
                commit("sale begins");
            },
        ],
        [
            "a commit of more than that line",
            () => {
                writeFileSync(at("autoscaler/Pulumi.yaml"), "name: dropscale\n");
                commit("autoscale: more");
            },
        ],
        [
            "a commit on top of its own",
            () => {
                commit("autoscale: more");
                edit("autoscaler", "fra1", "ams3");
                commit("mine");
            },
        ],
    ])("never takes back %s: that is a person's", async (_what, then) => {
        config().write({ replicas: 5 });
        then();
        const before = [fileOf("autoscaler"), git("autoscaler", "rev-parse", "HEAD")];
        await hand().takeBack({ replicas: 5 });
        expect([fileOf("autoscaler"), git("autoscaler", "rev-parse", "HEAD")]).toEqual(before);
    });

    it("does not wait for ever for a repository that does not answer", async () => {
        git("autoscaler", "remote", "set-url", "origin", "ssh://git@example.com/shop.git");
        git("autoscaler", "config", "core.sshCommand", "sleep 30;:");
        await expect(commitHand(config(), gitWithin(1)).follow()).rejects.toThrow(
            "git fetch: was not done within 1 s",
        );
    });

    it("says so outside of a repository", async () => {
        rmSync(at("autoscaler/.git"), { recursive: true });
        await expect(hand().follow()).rejects.toThrow(/^git status: fatal: not a git repository/);
    });
});
