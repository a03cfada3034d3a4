import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { isDeepStrictEqual, promisify } from "node:util";
import { mask } from "../cli/mask";
import { arrow, count } from "../cli/words";
import { refusalOf, requireOrder, upOrClear } from "../deploy/up";
import { forgetGone } from "../deploy/gone";
import { readHaproxy } from "../live/haproxy";
import { readHistory } from "../history/read";
import type { Plan } from "../plan/model";
import { readPlan } from "../plan/read";
import { readOutputs } from "../pulumi/run";
import type { StackConfig } from "../pulumi/stack-config";
import { difference } from "./wanted";

/** What the autoscaler changes in a stack's config, and nothing else. */
export type Change = {
    replicas?: number;
    retired?: readonly number[];
    loadBalancerGeneration?: string;
};

/** Why a change was not made. */
export interface Refusal {
    problem: string;
    /** It was begun, and did not end well: such a one is not repeated at once. */
    failed: boolean;
}

const givesWay: Refusal = { problem: "somebody has just changed it: they go first", failed: false };

/** How the autoscaler makes a change. */
export interface Hand {
    name: "up" | "commit";
    /** Before each decision: what others have changed. @returns Why nothing can be decided now. */
    follow: () => Promise<string | undefined>;
    /** Where the servers are not those of the config: takes over what was applied elsewhere. @returns What that was. */
    adopt: () => Promise<string | undefined>;
    /** @param message One line, for the history. */
    apply: (change: Change, message: string) => Promise<Refusal | undefined>;
}

/** Runs `pulumi up` here. Needs the token, the state and its passphrase. */
export function upHand(stack: string, config: StackConfig, quiet: boolean): Hand {
    return {
        name: "up",
        follow: () => Promise.resolve(undefined),
        adopt: async () => {
            const [last] = await readHistory(stack, 1);
            const replicas = Number(config.read("replicas"));
            // An edit of the file that is newer is somebody's who will apply it.
            if (last?.status !== "success" || last.replicas.to === replicas) return undefined;
            if (statSync(config.file).mtimeMs > (last.endedAtMs ?? 0)) return undefined;
            config.write({ replicas: last.replicas.to });
            return `replicas ${arrow(replicas, last.replicas.to)}: applied elsewhere, by ${last.who}`;
        },
        apply: async (change, message) => {
            const before = valuesOf(config);
            const judge = () => config.with(change, (flags) => readPlan(stack, flags));
            const first = await judge();
            const wasGone = await forgetGone(stack, first.state);
            const isHalfDone = first.state.leftovers.length + first.state.pending.length > 0;
            const unfit = isHalfDone ? await requireOrder(stack) : undefined;
            if (unfit) return { problem: unfit.problem, failed: false };
            const { plan } = wasGone || isHalfDone ? await judge() : first;
            if (!plan.applicable) return { problem: refusalOf(plan.refusals), failed: false };
            const other = otherChanges(plan, change);
            if (other.length > 0)
                return {
                    problem:
                        `\`pulumi up\` would change more than the autoscaler may: ${other.join("; ")}. ` +
                        `Take over what others changed (git pull), or run \`pulumi up --stack ${stack}\` yourself`,
                    failed: false,
                };
            // Judging takes seconds.
            if (!isDeepStrictEqual(valuesOf(config), before)) return givesWay;
            config.write(change);
            const failure = await upOrClear(stack, { quiet, message });
            if (failure === undefined) return undefined;
            if (!(await serves(stack, { ...before, ...change }))) putBack(config, change, before);
            return { problem: failure.problem, failed: !failure.locked && !failure.interrupted };
        },
    };
}

/** What a {@link Change} may change, as the config has it. */
export function valuesOf(config: StackConfig): Required<Change> {
    const values = config.readAll();
    return {
        loadBalancerGeneration: String(values.loadBalancerGeneration),
        replicas: Number(values.replicas),
        retired: config.readSlots("retired", values),
    };
}

/** Whether the config has a change; one that somebody is just editing has none that is known. */
export function hasChange(config: StackConfig, change: Change): boolean {
    try {
        const written = valuesOf(config);
        return isDeepStrictEqual({ ...written, ...change }, written);
    } catch {
        return false;
    }
}

/**
 * What was not applied must not be applied by the next run of somebody else; but what a person has written since then
 * stays.
 */
export function putBack(config: StackConfig, change: Change, before: Required<Change>): void {
    const written: Change = valuesOf(config);
    const keys = (Object.keys(change) as (keyof Change)[]).filter((key) =>
        isDeepStrictEqual(written[key], change[key]),
    );
    config.write(Object.fromEntries(keys.map((key) => [key, before[key]])));
}

/** Whether HAProxy has the servers of a config: a run may fail after that, when it deletes. */
async function serves(stack: string, wanted: Required<Change>): Promise<boolean> {
    const { servers } = await readOutputs(stack)
        .then(readHaproxy)
        .catch(() => ({ servers: undefined }));
    return servers !== undefined && difference({ servers }, wanted) === undefined;
}

/** What a plan does beside what was asked for: in the folder's files, or in the state, is somebody else's change. */
export function otherChanges({ settings, servers, loadBalancer }: Plan, change: Change): string[] {
    // Its own settings are no droplet's.
    const strange = settings.filter(({ key }) => !(key in change) && !/^autoscale(\.|$)/.test(key));
    const replaced = servers.list.filter(({ action }) => action === "replace" || action === "update");
    return [
        ...strange.map(({ key, before, after }) => `${key} ${before ?? "unset"} → ${after ?? "unset"}`),
        ...replaced.map(({ name, action, why }) => `${action} ${name} (${why.join(", ")})`),
        ...(loadBalancer.action === "keep" || "loadBalancerGeneration" in change
            ? []
            : [`${loadBalancer.action} load-balancer`]),
    ];
}

/** How often the repository is asked what others have pushed, in seconds; before a change in any case. */
const fetchSeconds = 30;

/** Commits and pushes that one line; a pipeline applies it. No cloud token is needed here. */
export function commitHand(config: StackConfig): Hand {
    const upstream = "@{upstream}";
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
    const follow = async (): Promise<string | undefined> => {
        if (Date.now() - followedAtMs < fetchSeconds * 1000) return undefined;
        const problem = await catchUp();
        if (problem === undefined) followedAtMs = Date.now();
        return problem;
    };
    return {
        name: "commit",
        follow,
        // The repository is what is true; the pipeline will be there soon.
        adopt: () => Promise.resolve(undefined),
        apply: async (change, message) => {
            const decidedOn = valuesOf(config);
            const problem = await catchUp();
            if (problem) return { problem, failed: false };
            if (!isDeepStrictEqual(valuesOf(config), decidedOn)) return givesWay;
            config.write(change);
            try {
                await git("commit", "--quiet", "--message", message, "--", config.file);
            } catch (error) {
                await git("restore", "--staged", "--worktree", "--", config.file);
                return { problem: (error as Error).message, failed: false };
            }
            try {
                await git("push", "--quiet");
                return undefined;
            } catch (error) {
                // Unlike --hard, it leaves alone what somebody has begun to edit meanwhile.
                await git("reset", "--quiet", "--keep", "HEAD~1");
                return { problem: (error as Error).message, failed: false };
            }
        },
    };
}

/** @throws Error in git's own words. */
async function git(...args: string[]): Promise<string> {
    try {
        const { stdout } = await promisify(execFile)("git", args, {
            // Nobody is there to type a password.
            env: { ...process.env, GIT_TERMINAL_PROMPT: "0" },
        });
        return stdout;
    } catch (error) {
        const { stderr = "", message } = error as Error & { stderr?: string };
        throw new Error(`git ${args[0] ?? ""}: ${mask(stderr.trim() || message)}`, { cause: error });
    }
}
