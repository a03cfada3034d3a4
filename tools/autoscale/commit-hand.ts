import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { isDeepStrictEqual, promisify } from "node:util";
import { mask } from "../cli/mask";
import { count } from "../cli/words";
import { autoscalePrefix } from "../history/who";
import type { StackConfig } from "../pulumi/stack-config";
import { givesWay, type Hand, refuse } from "./hands";
import type { ConfigChange } from "./model";
import { valuesOf } from "./wanted";

/** How often the repository is asked what others have pushed, in seconds; before a change in any case. */
const fetchSeconds = 30;
/** How long `git` may take, in seconds: over a connection that was dropped it would wait for hours. */
const gitSeconds = 60;

const upstream = "@{upstream}";

/**
 * Commits and pushes that one line; a pipeline applies it. No cloud token is needed here. It adopts nothing: the repository
 * is what is true, and the pipeline will be there soon.
 *
 * @param git Runs it; tests bring their own.
 */
export function commitHand(config: StackConfig, git: Git = gitWithin(gitSeconds)) {
    let followedAtMs = 0;
    const catchUp = async (): Promise<string | undefined> => {
        const dirty = (await git("status", "--porcelain", "--untracked-files=no")).trim();
        if (dirty !== "")
            return `there are uncommitted changes (${dirty.split("\n")[0]?.trim() ?? ""}): commit them, or \`git restore\` them`;
        await git("fetch", "--quiet");
        const ahead = (await git("rev-list", "--count", `${upstream}..HEAD`)).trim();
        if (ahead !== "0")
            return `${count(Number(ahead), "commit")} here ${ahead === "1" ? "is" : "are"} not pushed: \`git push\` them, or \`git reset --hard ${upstream}\``;
        await git("merge", "--quiet", "--ff-only", upstream);
        return undefined;
    };
    return {
        name: "commit",
        follow: async () => {
            if (Date.now() - followedAtMs < fetchSeconds * 1000) return undefined;
            const problem = await catchUp();
            if (problem === undefined) followedAtMs = Date.now();
            return problem;
        },
        takeBack: (change) => takeBack(config, change, git),
        apply: async (change, message, decidedOn) => {
            const problem = await catchUp();
            if (problem) return refuse(problem);
            if (!isDeepStrictEqual(valuesOf(config), decidedOn)) return givesWay;
            config.write(change);
            let undo = ["restore", "--staged", "--worktree", "--", config.file];
            try {
                await git("commit", "--quiet", "--message", message, "--", config.file);
                // Unlike --hard, it leaves alone what somebody has begun to edit meanwhile.
                undo = ["reset", "--quiet", "--keep", "HEAD~1"];
                await git("push", "--quiet");
                return undefined;
            } catch (error) {
                await git(...undo);
                return refuse((error as Error).message);
            }
        },
    } satisfies Hand;
}

/** The edit or the commit of a run that was killed: each only where it is that change and nothing else, and not pushed. */
async function takeBack(config: StackConfig, change: ConfigChange, git: Git): Promise<void> {
    const textAt = (commit: string) => git("show", `${commit}:./${config.file}`);
    const isChange = (old: string, next: string) => old !== next && config.textWith(old, change) === next;
    const head = await textAt("HEAD");
    if (isChange(head, readFileSync(config.file, "utf8")))
        await git("restore", "--staged", "--worktree", "--", config.file);
    await git("fetch", "--quiet");
    const titles = linesOf(await git("log", "--format=%s", `${upstream}..HEAD`));
    if (titles.length !== 1 || !titles[0]?.startsWith(autoscalePrefix)) return;
    const files = linesOf(await git("diff", "--name-only", "HEAD~1", "HEAD"));
    if (files.length === 1 && isChange(await textAt("HEAD~1"), head))
        await git("reset", "--quiet", "--keep", "HEAD~1");
}

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** @returns What it printed. @throws Error in git's own words. */
type Git = (...args: string[]) => Promise<string>;

/** `git` here, which may take so many seconds. */
export function gitWithin(seconds: number): Git {
    return async (...args) => {
        try {
            const { stdout } = await promisify(execFile)("git", args, {
                timeout: seconds * 1000,
                // Nobody is there to type a password.
                env: { ...process.env, GIT_TERMINAL_PROMPT: "0" },
            });
            return stdout;
        } catch (error) {
            const { stderr = "", message, killed } = error as Error & { stderr?: string; killed?: boolean };
            const why = killed ? `was not done within ${seconds} s` : stderr.trim() || message;
            throw new Error(`git ${args[0] ?? ""}: ${mask(why)}`, { cause: error });
        }
    };
}
