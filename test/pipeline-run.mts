import { execFile } from "node:child_process";
import { readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import type { Workflow } from "./workflows.ts";
import { freeFolder, type Outcome, start } from "./world.mts";

const root = path.resolve(import.meta.dirname, "..");

/** A bare repository, and a clone of it where somebody works. */
export class Repository {
    readonly url: string;
    private readonly work: string;

    /** @param folder What is to be its first commit. */
    constructor(url: string, folder: string) {
        this.url = url;
        this.work = folder;
    }

    /** Makes the repository, with all of the folder on `main`. */
    async init(): Promise<void> {
        await git(path.dirname(this.url), "init", "-q", "--bare", "-b", "main", this.url);
        await git(this.work, "init", "-q", "-b", "main");
        writeFileSync(path.join(this.work, ".gitignore"), "node_modules\n");
        await git(this.work, "remote", "add", "origin", this.url);
        await this.push("main", "The site");
    }

    /** Commits all that was changed in the clone, and pushes it. */
    async push(branch: string, message: string): Promise<void> {
        await git(this.work, "checkout", "-q", "-B", branch);
        await git(this.work, "add", "--all");
        await git(this.work, "commit", "-q", "-m", message);
        await git(this.work, "push", "-q", "origin", branch);
    }

    /** What the button of a pull request does. */
    async merge(branch: string): Promise<void> {
        await git(this.work, "checkout", "-q", "--force", "main");
        await git(this.work, "merge", "-q", "--no-ff", "-m", `Merge ${branch}`, branch);
        await git(this.work, "push", "-q", "origin", "main");
    }
}

async function git(cwd: string, ...args: string[]): Promise<void> {
    const who = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"];
    await promisify(execFile)("git", [...who, ...args], {
        cwd,
        env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
    });
}

/** How a job of a workflow ended: what its commands printed, and the files that it left. */
export interface JobRun extends Outcome {
    file: (name: string) => string;
}

/**
 * Runs the commands of a job of .github/workflows/ in a fresh clone, as a runner would: one `bash -e` each, what they
 * write to GITHUB_ENV in the environment of the next, those with `always()` after a failure too. Left out are the
 * actions (the clone has its packages and `pulumi` already) and what writes on the forge.
 *
 * @param from Repository and branch.
 * @param env What the workflow takes from secrets, variables and inputs.
 * @param hooks.before Called before a command, with it.
 */
export async function runJob(
    workflow: string,
    job: string,
    from: { repository: Repository; branch: string },
    env: NodeJS.ProcessEnv,
    hooks: { before?: (command: string) => Promise<void> } = {},
): Promise<JobRun> {
    const runner = freeFolder("runner");
    try {
        const clone = path.join(runner, "clone");
        await git(runner, "clone", "-q", "--branch", from.branch, from.repository.url, clone);
        symlinkSync(path.join(root, "node_modules"), path.join(clone, "node_modules"));
        const variables = {
            GITHUB_ENV: path.join(runner, "env"),
            GITHUB_OUTPUT: path.join(runner, "output"),
        };
        for (const file of Object.values(variables)) writeFileSync(file, "");
        const text = readFileSync(path.join(root, ".github/workflows", `${workflow}.yml`), "utf8");
        const steps = (parse(text) as Workflow).jobs?.[job]?.steps ?? [];
        const commands = steps.filter(
            ({ run = "" }) => run.includes("tools/") && !run.includes("main.ts publish"),
        );
        if (commands.length === 0) throw new Error(`${workflow}.yml has no commands in a job ${job}`);
        const result: Outcome = { code: 0, stdout: "", text: "" };
        for (const { run = "", if: condition, env: stepEnv = {} } of commands) {
            if (result.code !== 0 && condition !== "always()") continue;
            await hooks.before?.(run);
            const written = readFileSync(variables.GITHUB_ENV, "utf8").trim().split("\n").filter(Boolean);
            const own = written.map((line) => line.split("=", 2) as [string, string]);
            const plain = Object.entries(stepEnv).filter(([, value]) => !value.includes("${{"));
            const more = Object.fromEntries([...plain, ...own]);
            const options = { cwd: clone, env: { ...env, ...variables, ...more } };
            const { code, stdout, text: all } = await start("bash", ["-e", "-c", run], options).ended;
            result.code ||= code;
            result.stdout += stdout;
            result.text += `$ ${run.trim()}\n${all}`;
        }
        const names = ["plan.md", "drift.md"];
        const files = new Map(names.map((name) => [name, contentOf(path.join(clone, name))]));
        files.set("output", contentOf(variables.GITHUB_OUTPUT));
        return { ...result, file: (name) => files.get(name) ?? "" };
    } finally {
        rmSync(runner, { recursive: true });
    }
}

function contentOf(file: string): string {
    try {
        return readFileSync(file, "utf8");
    } catch {
        return "";
    }
}
