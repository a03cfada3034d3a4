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
    private readAtMs = 0;
    /** Where the locks are; it does not change. */
    private place: Parameters<typeof locksOf>[0] | undefined;

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
        for (let known: string | undefined; !signal.aborted;) {
            const locks = await this.locks().catch((error: unknown) => error as Error);
            if (locks instanceof Error) tell(locks);
            else if (locks !== known || this.isDue())
                tell(await this.read().catch((error: unknown) => error as Error));
            known = String(locks);
            await rest(lockSeconds * 1000, signal);
        }
    }

    /** Of the runs that hold the stack, when they began; another text: one has begun, or ended. */
    private async locks(): Promise<string> {
        const { stack: name } = this;
        this.place ??= { name, project: projectName(), backend: await readBackend() };
        return (await locksOf(this.place)).map(({ timestamp }) => timestamp).join();
    }

    private isDue(): boolean {
        return Date.now() - this.readAtMs > 1000 * (this.isBusy ? busySeconds : calmSeconds);
    }

    private read(): Promise<HistoryEntry[]> {
        this.readAtMs = Date.now();
        this.isBusy = false;
        return readHistoryAndRun(this.stack, mostEntries);
    }
}
