import { statSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { arrow, some } from "../cli/words";
import { refusalOf, requireOrder, upOrClear } from "../deploy/up";
import { forgetGone } from "../deploy/gone";
import { readHaproxy } from "../live/haproxy";
import { readHistory } from "../history/read";
import { readPlan } from "../plan/read";
import { readOutputs } from "../pulumi/run";
import type { StackConfig } from "../pulumi/stack-config";
import type { ConfigChange, WholeConfig } from "./model";
import { otherChanges } from "./other-changes";
import { serverDifference, valuesOf } from "./wanted";

/** Why a change was not made. */
export interface Refusal {
    problem: string;
    /** It was begun, and did not end well: such a one is not repeated at once. */
    failed: boolean;
}

/** Before anything was begun. */
export const refuse = (problem: string): Refusal => ({ problem, failed: false });

/** What was decided is not for what the config has by now. */
export const givesWay = refuse("somebody has just changed it: they go first");

/** How the autoscaler makes a change. */
export interface Hand {
    name: "up" | "commit";
    /** Before the config is read for a decision: what others have changed. @returns Why nothing can be decided now. */
    follow?: () => Promise<string | undefined>;
    /** Before that, after it was killed in the middle of a change: what of it would be in the way of `follow`. */
    takeBack?: (change: ConfigChange) => Promise<void>;
    /** Where the servers are not those of the config: takes over what was applied elsewhere. @returns What that was. */
    adopt?: () => Promise<string | undefined>;
    /**
     * @param message One line, for the history.
     * @param decidedOn What the config had when that was decided: where it has something else by now, others go first.
     */
    apply: (change: ConfigChange, message: string, decidedOn: WholeConfig) => Promise<Refusal | undefined>;
}

/** Runs `pulumi up` here. Needs the token, the state and its passphrase. */
export function upHand(stack: string, config: StackConfig, quiet: boolean): Hand {
    return {
        name: "up",
        adopt: async () => {
            const [last] = await readHistory(stack, 1);
            const replicas = Number(config.read("replicas"));
            // An edit of the file that is newer is somebody's who will apply it.
            if (last?.status !== "success" || last.replicas.to === replicas) return undefined;
            if (statSync(config.file).mtimeMs > (last.endedAtMs ?? 0)) return undefined;
            config.write({ replicas: last.replicas.to });
            return `replicas ${arrow(replicas, last.replicas.to)}: applied elsewhere, by ${last.who}`;
        },
        apply: async (change, message, decidedOn) => {
            const judge = () => config.with(change, (flags) => readPlan(stack, flags));
            const first = await judge();
            const wasGone = await forgetGone(stack, first.state);
            const isHalfDone = first.state.leftovers.length + first.state.pending.length > 0;
            const unfit = isHalfDone ? await requireOrder(stack) : undefined;
            if (unfit) return refuse(unfit.problem);
            const { plan } = wasGone || isHalfDone ? await judge() : first;
            if (!plan.applicable) return refuse(refusalOf(plan.refusals));
            const other = otherChanges(plan, change);
            if (other.length > 0)
                return refuse(
                    `\`pulumi up\` would change more than the autoscaler may: ${some(other, 5, "; ")}. ` +
                        `Take over what others changed (git pull), or run \`pulumi up --stack ${stack}\` yourself`,
                );
            // Judging takes seconds.
            if (!isDeepStrictEqual(valuesOf(config), decidedOn)) return givesWay;
            config.write(change);
            const failure = await upOrClear(stack, { quiet, message });
            if (failure === undefined) return undefined;
            if (!(await serves(stack, { ...decidedOn, ...change }))) putBack(config, change, decidedOn);
            return { problem: failure.problem, failed: !failure.locked && !failure.interrupted };
        },
    };
}

/** Whether the config has a change; one that somebody is just editing has none that is known. */
export function hasChange(config: StackConfig, change: ConfigChange): boolean {
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
export function putBack(config: StackConfig, change: ConfigChange, before: WholeConfig): void {
    const written: ConfigChange = valuesOf(config);
    const keys = (Object.keys(change) as (keyof ConfigChange)[]).filter((key) =>
        isDeepStrictEqual(written[key], change[key]),
    );
    config.write(Object.fromEntries(keys.map((key) => [key, before[key]])));
}

/** Whether HAProxy has the servers of a config: a run may fail after that, when it deletes. */
async function serves(stack: string, wanted: WholeConfig): Promise<boolean> {
    const { servers } = await readOutputs(stack)
        .then(readHaproxy)
        .catch(() => ({ servers: undefined }));
    return servers !== undefined && serverDifference({ servers }, wanted) === undefined;
}
