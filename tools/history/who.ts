import { plain } from "../cli/words";
import type { Update } from "./updates";

type Recorded = Pick<Update, "message" | "environment">;

/** How the messages of the autoscaler's updates and the titles of its commits begin. */
export const autoscalePrefix = "autoscale: ";

/** In place of a name. */
export const notRecorded = "not recorded";

/** Why, without what stands beside it anyway: that it is the autoscaler's, and from how many servers to how many. */
export const bareReason = (message: string): string =>
    message.replace(/^autoscale: (replicas \d+ (?:→|->) \d+: )?/, "");

/** Who changed a stack. */
export interface Actor {
    by: "autoscaler" | "pipeline" | "person";
    /** {@link autoscalerItself}, `autoscaler, GitHub Actions #5`, `Ann <ann@example.com>`, or why nobody is known. */
    who: string;
}

/** It ran `pulumi up`. What it committed, others apply. */
export const autoscalerItself = "autoscaler";

/**
 * Who did it, as far as Pulumi records it: the pipeline, and the author of the commit that was checked out.
 *
 * @param replicas How many servers the config asked for; `undefined`: not known.
 */
export function actorOf(update: Recorded, replicas: number | undefined): Actor {
    const { environment: env } = update;
    const pipeline = env["ci.system"] && pipelineOf(env);
    if (isAutoscaler(update, replicas)) {
        const applied = isGiven(env) ? autoscalerItself : "autoscaler, its commit";
        return { by: "autoscaler", who: pipeline ? `autoscaler, ${pipeline}` : applied };
    }
    if (pipeline) {
        const author = env["git.author"];
        return { by: "pipeline", who: author ? `${pipeline} (${plain(author)})` : pipeline };
    }
    return { by: "person", who: personOf(env) };
}

/**
 * A message may be the title of the commit that is checked out, and that may be the autoscaler's while a person changes
 * something else: it counts where it was given to `pulumi up` itself, and where nothing stands beside the commit.
 */
function isAutoscaler({ message, environment: env }: Recorded, replicas: number | undefined): boolean {
    if (!message.startsWith(autoscalePrefix)) return false;
    if (isGiven(env)) return true;
    const [, wanted] = /^autoscale: replicas \d+ (?:→|->) (\d+)/.exec(message) ?? [];
    if (wanted !== undefined && Number(wanted) !== replicas) return false;
    // A pipeline's checkout is dirty by what it wrote itself.
    return env["ci.system"] !== undefined || env["git.dirty"] === "false";
}

/** The message was given to `pulumi` itself; without one it is the commit's title. */
const isGiven = (env: Update["environment"]): boolean => env["pulumi.flag.message"] !== undefined;

/** https://www.pulumi.com/docs/iac/operations/continuous-delivery/: what Pulumi knows of the pipeline that it runs in. */
function pipelineOf(env: Update["environment"]): string {
    const number = env["ci.build.number"] ?? env["ci.build.id"];
    return plain(number ? `${env["ci.system"]} #${number}` : (env["ci.system"] ?? ""));
}

/** Outside of a repository Pulumi takes the author from PULUMI_GIT_AUTHOR. */
function personOf(env: Update["environment"]): string {
    const { "git.author": author, "git.author.email": email, "git.head": head = "" } = env;
    if (!author) return notRecorded;
    if (env["git.dirty"] === "true") return `uncommitted, on ${head.slice(0, 7)} of ${plain(author)}`;
    return plain(email ? `${author} <${email}>` : author);
}

/** Why, in the words of who did it: not the title of a commit beside which something was changed by hand. */
export function reasonOf({ message, environment: env }: Recorded): string {
    const isTitle = !isGiven(env) && env["ci.system"] === undefined;
    return isTitle && env["git.dirty"] === "true" ? "" : plain(message);
}
