import { rest } from "../cli/terminal";
import type { HistoryEntry } from "./entries";
import { readHistoryAndRun } from "./read";
import type { PoolReading } from "../live/reading";
import { locksOf, projectName, readBackend } from "../pulumi/stack";

/** How many changes are shown at the most. */
const mostEntries = 50;
/** How often the history is read, in seconds; and while HAProxy is being changed. */
const calmSeconds = 30;
const busySeconds = 5;
/** How often it is looked whether a run holds the stack, where that is a file: it is cheap, and begins and ends each run. */
const lockSeconds = 1;

/** Reads a stack's history again and again: at once when a run begins or ends, and often while HAProxy is being changed. */
export class FollowedHistory {
    private isBusy = false;
    private seen: PoolReading | undefined;

    constructor(private readonly stack: string) {}

    /** While HAProxy is being changed, the history may have something new. */
    saw(now: PoolReading): void {
        const before = this.seen;
        this.seen = now;
        if (before && (now.isApplying || before.isApplying || before.generation !== now.generation))
            this.isBusy = true;
    }

    /** @param tell Gets it each time, newest first, or why it can't be read just now. */
    async follow(tell: (entries: HistoryEntry[] | Error) => void, signal: AbortSignal): Promise<void> {
        const { stack: name } = this;
        /** Where the locks are; it does not change. */
        let place: Parameters<typeof locksOf>[0] | undefined;
        /** Of the runs that hold the stack, when they began; another text: one has begun, or ended. */
        const readLocks = async () => {
            place ??= { name, project: projectName(), backend: await readBackend() };
            return (await locksOf(place)).map(({ timestamp }) => timestamp).join();
        };
        let readAtMs = 0;
        for (let known: string | undefined; !signal.aborted;) {
            const locks = await readLocks().catch((error: unknown) => error as Error);
            const seconds = this.isBusy ? busySeconds : calmSeconds;
            if (locks instanceof Error) tell(locks);
            else if (locks !== known || Date.now() - readAtMs > 1000 * seconds) {
                readAtMs = Date.now();
                this.isBusy = false;
                tell(await readHistoryAndRun(name, mostEntries).catch((error: unknown) => error as Error));
            }
            known = String(locks);
            await rest(lockSeconds * 1000, signal);
        }
    }
}
