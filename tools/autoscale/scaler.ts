import { isDeepStrictEqual } from "node:util";
import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { arrow, timeSince } from "../cli/words";
import { autoscalePrefix } from "../history/who";
import type { TimedReading } from "../live/reading";
import { projectName } from "../pulumi/stack";
import type { StackConfig } from "../pulumi/stack-config";
import type { CpuWatch } from "./cpu";
import { decide } from "./decide";
import { answeredBefore } from "./guards";
import { type Hand, hasChange, putBack, refuse } from "./hands";
import { healing } from "./heal";
import type { LiveLook } from "./looker";
import { forget, type Memory, memoryFile, noteMade, readMemory, seenIn, writeMemory } from "./memory";
import type { ConfigChange, Decision, Pool } from "./model";
import { type Obstacle, Obstacles } from "./obstacles";
import { floorAt } from "./schedule";
import { sampleOf } from "./signals";
import { serverDifference, readWanted, type Wanted } from "./wanted";

/** After a change that was refused, nothing is tried for so long, in seconds. */
const refusedSeconds = 60;

/** A decision, and the change that makes it true; `undefined`: none is to be made. */
interface Step {
    decision: Decision;
    change?: ConfigChange;
}

/** What is done, and why: for people, and for the stack's history. */
const sentence = ({ replicas, reason }: Decision, now: Wanted): string =>
    replicas === now.replicas ? reason : `replicas ${arrow(now.replicas, replicas)}: ${reason}`;

/** The autoscaler of one stack: takes a look, decides, and has its hand make the change while it goes on looking. */
export class Scaler {
    /** Of the last round; `undefined`: the config could not be read. */
    settings: AutoscaleSettings | undefined;
    private readonly file: string;
    private readonly memory: Memory;
    private before: TimedReading | undefined;
    private acting: { what: string; ended: Promise<string | undefined> } | undefined;
    private refused: { problem: string; atMs: number } | undefined;
    private readonly obstacles: Obstacles;

    /**
     * @param say Gets how a change ended.
     * @param hand @default a dry run: it only says what it would do
     * @param cpu @default CPU is not known
     */
    constructor(
        stack: string,
        private readonly config: StackConfig,
        private readonly say: (text: string) => void,
        private readonly hand?: Hand,
        private readonly cpu?: Pick<CpuWatch, "look">,
    ) {
        this.file = memoryFile(projectName(), stack, hand === undefined);
        this.memory = readMemory(this.file);
        this.obstacles = new Obstacles(stack, config, say, hand);
    }

    /** @param mayAct Whether a change may begin; a run with `--once` first gathers its looks. */
    async round(look: LiveLook, mayAct: boolean): Promise<Decision> {
        this.settings = undefined;
        // First: a decision goes by what others have pushed, not by what was there before that.
        const strange = await this.follow();
        const wanted = readWanted(this.config);
        this.settings = wanted.settings;
        this.remember(look, wanted);
        const obstacle = await this.obstacle(look, wanted, strange);
        const step = this.decide(look, wanted, { replicas: wanted.replicas, occupied: obstacle?.why });
        const decision = obstacle?.isAlarming ? { ...step.decision, alarming: true } : step.decision;
        writeMemory(this.file, this.memory);
        if (mayAct && step.change && this.hand)
            this.act(this.hand, step.change, sentence(decision, wanted), wanted);
        return { ...decision, reason: sentence(decision, wanted) };
    }

    /** Waits for the change that is under way. @returns Why it was not made; `undefined` where it was, or there is none. */
    async settle(): Promise<string | undefined> {
        return this.acting?.ended;
    }

    /** Takes over what others have changed. @returns Why nothing can be decided now. */
    private async follow(): Promise<string | undefined> {
        const { hand, acting, memory } = this;
        if (!hand || acting) return undefined;
        try {
            if (memory.begun) await hand.takeBack?.(memory.begun.change);
            return await hand.follow?.();
        } catch (error) {
            return (error as Error).message;
        }
    }

    private remember(look: LiveLook, wanted: Wanted): void {
        const { replicas, settings } = wanted;
        const { memory } = this;
        const { looks, seen } = memory;
        // While it acts, or was killed as it did, the file has what may have to be taken back.
        const isOwn = this.acting !== undefined || memory.begun !== undefined;
        const now = seenIn(wanted);
        const { inSeconds, outSeconds, heal } = settings;
        const windowSeconds = Math.max(inSeconds, outSeconds, heal?.downSeconds ?? 0);
        // What differs since longer ago, when nobody looked, was not done just now.
        const isRecent = look.atMs - (looks.at(-1)?.atMs ?? 0) < windowSeconds * 1000;
        const asksCpu = settings.cpu > 0 && "reading" in look;
        const cpu = asksCpu ? this.cpu?.look(look, memory.changed?.atMs) : undefined;
        const last = "reading" in look ? { ...sampleOf(look, this.before), cpu } : look;
        this.before = "reading" in look ? look : undefined;
        memory.looks = [...looks, last];
        forget(memory, windowSeconds, look.atMs);
        if (isOwn && seen) return;
        memory.seen = now;
        if (!seen || isDeepStrictEqual(seen, now)) return;
        // A person has changed it.
        memory.failures = 0;
        if (isRecent && seen.replicas !== replicas)
            memory.changed = { atMs: look.atMs, from: seen.replicas, to: replicas, byPerson: true };
    }

    /** Why nothing may be changed now. */
    private async obstacle(look: LiveLook, wanted: Wanted, strange?: string): Promise<Obstacle | undefined> {
        const { acting, refused } = this;
        if (acting) return { why: `under way (${acting.what})` };
        if (refused && look.atMs - refused.atMs < refusedSeconds * 1000)
            return { why: refused.problem, isAlarming: true };
        if (strange !== undefined) return { why: strange, isAlarming: true };
        const byOthers = await this.obstacles.byOthers(look, wanted);
        if (byOthers) return byOthers;
        const { begun } = this.memory;
        if (begun) return { why: this.goOn(begun, look, wanted) };
        const apart = await this.obstacles.apart(look, wanted, this.memory.apartSinceMs);
        this.memory.apartSinceMs = apart?.sinceMs;
        return apart;
    }

    /**
     * After this tool was killed in the middle of a change: if haproxy.cfg has it, it was made; if not, it is put back in the
     * config, so that the next look decides anew. What the run left is cleared before the next change.
     *
     * @returns What was done, as the reason why this look changes nothing else.
     */
    private goOn({ change, before }: NonNullable<Memory["begun"]>, look: LiveLook, wanted: Wanted): string {
        const what = "the last change was cut off, since the autoscaler was killed";
        // A load balancer that is dead is not waited for: it is what was being replaced.
        if (!("reading" in look) && change.loadBalancerGeneration === undefined)
            return `${what}: waits for an answer that tells how far it came`;
        // What is pushed is the pipeline's to make.
        const isApplied =
            this.hand?.name === "commit" ||
            ("reading" in look && serverDifference(look.reading, wanted) === undefined);
        const isMade = hasChange(this.config, change) && isApplied;
        if (!isMade) putBack(this.config, change, before);
        // It throws where somebody is at the file: then nothing is forgotten.
        const seen = seenIn(readWanted(this.config));
        if (isMade) noteMade(this.memory, change, before.replicas, look.atMs);
        this.memory.begun = undefined;
        this.memory.seen = seen;
        return isMade ? `${what}; but it had been made` : `${what}: decides anew`;
    }

    private decide(look: LiveLook, wanted: Wanted, pool: Pool): Step {
        const { settings, readySeconds } = wanted;
        const nowMs = look.atMs;
        const floor = floorAt(settings, nowMs, readySeconds);
        const decision = decide(pool, this.memory, settings, floor, nowMs);
        const { recommendation } = decision;
        if (recommendation) this.memory.recommendations = [...this.memory.recommendations, recommendation];
        // A sick server first: its share is what the others are busy with.
        const sick = pool.occupied === undefined ? healing(look, wanted, this.memory) : {};
        const { change, reason = "", alarming } = sick;
        // It leaves `replicas` as they are: what they are to be, the next look says again.
        const said = { ...decision, replicas: wanted.replicas, action: "none", reason } as const;
        if (change) return { decision: { ...said, ...(alarming && { alarming }) }, change };
        if (alarming && decision.action === "none") return { decision: { ...said, alarming } };
        if (decision.action === "none") return { decision };
        return { decision, change: { replicas: decision.replicas } };
    }

    private act(hand: Hand, change: ConfigChange, what: string, wanted: Wanted): void {
        const startedMs = Date.now();
        const answered = answeredBefore(this.memory.looks, wanted.settings, startedMs);
        const { replicas, retired, loadBalancerGeneration } = wanted;
        const before = { replicas, retired, loadBalancerGeneration };
        this.memory.begun = { change, before };
        writeMemory(this.file, this.memory);
        const run = async () => {
            const refusal = await hand
                .apply(change, `${autoscalePrefix}${what}`, before)
                .catch((error: unknown) => refuse((error as Error).message));
            this.acting = undefined;
            this.memory.begun = undefined;
            // One that failed when HAProxy had it already stays in the file, and is no person's.
            if (refusal === undefined || hasChange(this.config, change)) {
                // Not what the file has by now: a person may have edited it meanwhile.
                this.memory.seen = seenIn({ ...wanted, ...change });
                noteMade(this.memory, change, replicas, Date.now(), answered);
            }
            if (refusal === undefined) {
                this.memory.failures = 0;
                this.say(`${hand.name === "up" ? "done" : "pushed"} in ${timeSince(startedMs)}`);
            } else {
                this.refused = { problem: refusal.problem, atMs: Date.now() };
                if (refusal.failed) {
                    this.memory.failures++;
                    this.memory.failedAtMs = Date.now();
                }
            }
            writeMemory(this.file, this.memory);
            return refusal?.problem;
        };
        const [subject = ""] = what.split(": ");
        this.acting = { what: subject, ended: run() };
    }
}
