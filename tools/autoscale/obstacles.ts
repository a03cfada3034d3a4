import { isDeepStrictEqual } from "node:util";
import { serverName } from "../../lib/identity";
import { duration, some } from "../cli/words";
import { engineOf, isElsewhere, listProcesses, type Lock } from "../pulumi/runs";
import { type LockPlace, locksOf, projectName, readBackend } from "../pulumi/stack";
import type { StackConfig } from "../pulumi/stack-config";
import type { Hand } from "./hands";
import type { LiveLook } from "./looker";
import { serverDifference, type Wanted } from "./wanted";

/** How often the history is read, at most, for a change that was applied elsewhere, in seconds. */
const adoptSeconds = 20;

/** How long the servers may differ from the config until a person should know, in seconds, beside `readySeconds`. */
const catchUpSeconds = 600;

/** Why nothing may be changed now. */
export interface Obstacle {
    why: string;
    /** A person should know. @default false */
    isAlarming?: boolean;
    /** Of servers that are not those of the config. */
    sinceMs?: number;
}

/** What others do to a stack, for which the autoscaler waits. */
export class Obstacles {
    private adoptedAtMs = 0;
    private place: LockPlace | undefined;

    /** @param say Gets what was taken over. */
    constructor(
        private readonly stack: string,
        private readonly config: StackConfig,
        private readonly say: (text: string) => void,
        private readonly hand: Hand | undefined,
    ) {}

    /** A roll-out, another run. */
    async byOthers(look: LiveLook, { hold }: Wanted): Promise<Obstacle | undefined> {
        const held = hold.map((slot) => serverName(slot));
        if (held.length > 0) return { why: `a roll-out holds ${some(held, 5)}` };
        const [lock] = await this.locks();
        if (lock) {
            const why = `another run holds the stack (${lock.username}@${lock.hostname})`;
            const dead = `${why}, and can't be seen from here any more: if it was killed, \`make doctor\` clears what it left`;
            return (await this.isDead(lock)) ? { why: dead, isAlarming: true } : { why };
        }
        const isApplying = "reading" in look && look.reading.isApplying;
        return isApplying ? { why: "haproxy.cfg is just being applied" } : undefined;
    }

    /**
     * Servers that are not those of the config. What was applied from elsewhere is taken over, for the next look.
     *
     * @param sinceMs Since when they have been so. @default they were not at the look before
     */
    async apart(look: LiveLook, wanted: Wanted, sinceMs = look.atMs): Promise<Obstacle | undefined> {
        const apart = "reading" in look ? serverDifference(look.reading, wanted) : undefined;
        if (apart === undefined) return undefined;
        if (await this.adopt(look.atMs)) return { why: "has taken over what was applied elsewhere", sinceMs };
        const seconds = Math.round((look.atMs - sinceMs) / 1000);
        const since = seconds >= 60 ? ` for ${duration(seconds)}` : "";
        return {
            why: `the servers are not those of ${this.config.file} (${apart})${since}: \`pulumi up\` makes them so`,
            isAlarming: seconds > wanted.readySeconds + catchUpSeconds,
            sinceMs,
        };
    }

    /** It is a person's edit: it wins, and is remembered as one at the next look. */
    private async adopt(nowMs: number): Promise<boolean> {
        if (!this.hand?.adopt || nowMs - this.adoptedAtMs < adoptSeconds * 1000) return false;
        this.adoptedAtMs = nowMs;
        const what = await this.hand.adopt().catch(() => undefined);
        if (what) this.say(what);
        return what !== undefined;
    }

    /** Its run can't be seen here any more, and has not given it back. */
    private async isDead(lock: Lock): Promise<boolean> {
        if (isElsewhere(lock) || engineOf(lock, await listProcesses())) return false;
        // It may have ended just now, and in order.
        return (await this.locks()).some((now) => isDeepStrictEqual(now, lock));
    }

    private async locks(): Promise<Lock[]> {
        // The answer is kept, not the question: one that failed is asked again.
        this.place ??= { name: this.stack, project: projectName(), backend: await readBackend() };
        return locksOf(this.place);
    }
}
