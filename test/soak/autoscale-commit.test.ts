import { execFileSync } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, it } from "vitest";
import { configured, Crowd, historyOf, startAutoscaler, stopAutoscaler, untilSaid } from "../autoscalers.mts";
import { serversAnswering } from "../e2e/client";
import { servedSite, visitedThroughout } from "../e2e/served-site";
import { expectConverged } from "../faults.mts";
import { Repository } from "../pipeline-run.mts";
import { type Running, start } from "../world.mts";

const root = path.resolve(__dirname, "../..");

/** It pushes to a bare repository, and a pipeline deploys what is in there. Every step builds on the last. */
describe("the autoscaler's hand that commits", () => {
    const site = servedSite({ replicas: 2, autoscale: { min: 2, max: 4, slots: 8 } });
    visitedThroughout(site);
    let scaler: Running | undefined;
    let crowd: Crowd | undefined;

    const beside = (name: string) => path.join(path.dirname(site.world.folder), name);
    const git = (where: string, ...args: string[]) =>
        execFileSync("git", args, { cwd: beside(where), encoding: "utf8" }).trim();
    function clone(name: string): void {
        git("", "clone", "--quiet", "site.git", name);
        symlinkSync(path.join(root, "node_modules"), path.join(beside(name), "node_modules"));
    }
    /** What a pipeline runs when something was merged. */
    async function deploy(): Promise<string> {
        git("pipeline", "pull", "--quiet");
        const env = { ...site.world.env, CI: "true", GITHUB_ACTIONS: "true", GITHUB_RUN_NUMBER: "7" };
        const command = [path.join(beside("pipeline"), "tools/main.ts"), "deploy", "test"];
        const { code, text } = await start("tsx", command, { cwd: beside("pipeline"), env }).ended;
        if (code !== 0) throw new Error(text);
        return text;
    }

    afterAll(async () => {
        await crowd?.stop();
        await stopAutoscaler(scaler);
    });

    it("needs no token of the account to begin", async () => {
        for (const name of ["tools", "policy"])
            cpSync(path.join(root, name), path.join(site.world.folder, name), { recursive: true });
        await new Repository(beside("site.git"), site.world.folder).init();
        for (const name of ["pipeline", "autoscaler"]) clone(name);
        git("autoscaler", "config", "user.name", "autoscaler");
        git("autoscaler", "config", "user.email", "autoscaler@example.com");
        const env = { ...site.world.env, DIGITALOCEAN_TOKEN: undefined, DIGITALOCEAN_API_URL: undefined };
        scaler = startAutoscaler(site.world, ["--apply", "commit"], { folder: beside("autoscaler"), env });
        await untilSaid(scaler, /busy 0\.\d\d/, { seconds: 60 });
    });

    it("commits the servers that a crowd needs, and waits for the pipeline", async () => {
        if (!scaler) throw new Error("it runs");
        crowd = new Crowd(site.url, 24);
        await untilSaid(scaler, /replicas 2 → 4: busy/);
        await untilSaid(scaler, /pushed in/, { seconds: 60 });
        expect(git("site.git", "log", "-1", "--format=%an %s", "main")).toMatch(
            /^autoscaler autoscale: replicas 2 → 4: busy/,
        );
        await untilSaid(scaler, /waits: the servers are not those of Pulumi\.test\.yaml/);
        // Three looks: nothing more is pushed meanwhile.
        await sleep(15_000);
        expect(git("site.git", "rev-list", "--count", "main")).toBe("2");
        expect((await site.world.outputs()).servers).toHaveLength(2);
    });

    it("has them served by the pipeline, which knows for whom", async () => {
        await deploy();
        const servers = ["web-0", "web-1", "web-2", "web-3"];
        await expectConverged(site.world, site.url, servers);
        expect(await serversAnswering(site.url, 4)).toEqual(servers);
        const [last] = await historyOf(site.world);
        expect(last).toMatchObject({
            ...{ by: "autoscaler", status: "success", reason: "SCALE_UP" },
            ...{ current_instance_count: 2, desired_instance_count: 4 },
        });
        expect(last?.who).toMatch(/^autoscaler, GitHub Actions/);
        expect(last?.message).toMatch(/^autoscale: replicas 2 → 4: busy/);
    });

    it("follows what people push, and leaves it alone", async () => {
        if (!scaler) throw new Error("it runs");
        await crowd?.stop();
        clone("colleague");
        const file = path.join(beside("colleague"), "Pulumi.test.yaml");
        execFileSync("sed", ["-i", "s/replicas: 4/replicas: 3/", file]);
        const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        git("colleague", ...who, "commit", "--quiet", "--all", "--message", "Three will do");
        git("colleague", "push", "--quiet");
        await deploy();
        const poll = { timeout: 120_000, interval: 1000 };
        await expect.poll(() => configured(beside("autoscaler"), "replicas"), poll).toBe(3);
        await expectConverged(site.world, site.url, ["web-0", "web-1", "web-2"]);
        expect(git("site.git", "log", "-1", "--format=%an", "main")).toBe("Ann");
        await stopAutoscaler(scaler);
        expect(git("autoscaler", "status", "--porcelain", "--branch")).toBe("## main...origin/main");
    });
});
