/** What a load balancer runs, held against the state: what a run left is told from what somebody edited. */
import { generationIn, markGeneration } from "../../components/haproxy/render";
import { commandNames } from "../../lib/identity";
import type { LiveHaproxy } from "./haproxy";
import type { StagedHaproxy } from "../pulumi/state";

/** Whether a text of haproxy.cfg is whole and ours, as `generation_of` in apply.sh tells it. */
export function fitsItsMarker(text: string): boolean {
    return markGeneration(text.replace(/^ {4}description gen=[0-9a-f]{16}\n/m, "")) === text;
}

/** The file, and what HAProxy runs of it. */
export type RunningHaproxy = Pick<LiveHaproxy, "text" | "generation">;

export interface HaproxyFinding {
    /**
     * `unfinished`: a run ended before it had applied its text to the end, and the next `up` applies one. `other`: HAProxy
     * runs a text of this program that no run of this state has put there, such as after an older state was put back; no
     * plain `up` changes it. `not run`: the file is right, and HAProxy does not run it. `edited`: the file's marker does not
     * fit its text.
     */
    verdict: "unfinished" | "other" | "not run" | "edited";
    /** As the end of a sentence that begins with haproxy.cfg. */
    message: string;
    fix: string;
    /** HAProxy may send requests to servers that a plain `pulumi up` deletes without applying another text first. */
    isRisky: boolean;
}

/** @returns `undefined` where HAProxy runs the text of the state. */
export function findHaproxy(
    staged: StagedHaproxy,
    live: RunningHaproxy,
    stack: string,
): HaproxyFinding | undefined {
    const verdict = judge(staged, live);
    if (verdict === undefined) return undefined;
    const expected = generationIn(staged.text) ?? "none";
    const running = live.generation ?? "none";
    const isRunning = live.generation !== undefined;
    const texts: Record<HaproxyFinding["verdict"], string> = {
        unfinished:
            running === expected
                ? "is what the last run wrote, but that run ended before all was done"
                : `is not what the last run was to apply, which ended before (HAProxy runs ${running}, not ${expected})`,
        other: `is of another run than the state knows (HAProxy runs ${running}, not ${expected}): was an older state put back?`,
        "not run":
            `is as Pulumi wrote it, but HAProxy ${isRunning ? "runs another one" : "does not run it"} ` +
            `(${running}, not ${expected})`,
        edited: "was edited on the host",
    };
    return {
        verdict,
        message: texts[verdict],
        fix:
            verdict === "unfinished"
                ? "the next `pulumi up` applies what the config says, before it deletes a droplet"
                : `\`pulumi up --replace '**:Command::${commandNames().staged}' --stack ${stack}\` writes and loads it again, without losing a request; ` +
                  "a plain `pulumi up` does not, for its own text is unchanged",
        isRisky: verdict === "other" || (verdict === "not run" && isRunning),
    };
}

function judge(staged: StagedHaproxy, { text, generation }: RunningHaproxy) {
    // A new load balancer has Debian's own file until the first text is applied.
    const isOurs = fitsItsMarker(text) || (!staged.applied && generationIn(text) === undefined);
    if (!isOurs) return "edited";
    if (!staged.applied) return "unfinished";
    if (text !== staged.text) return "other";
    return generation === generationIn(staged.text) ? undefined : "not run";
}
