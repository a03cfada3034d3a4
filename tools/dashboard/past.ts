import type { HistoryEntry } from "../history/entries";
import { readHistory, readRunning } from "../history/read";
import { rest } from "../cli/terminal";

/** How many changes are shown at the most. */
const mostEntries = 50;
/** How often the history is read, in seconds; and while a change is under way. */
const calmSeconds = 30;
const busySeconds = 5;

/** Reads a stack's history again and again: often while something is under way. */
export class Past {
    private wake: () => void = () => undefined;
    private isBusy = false;

    constructor(private readonly stack: string) {}

    /** Something has changed: it is read again soon. */
    changed(): void {
        this.isBusy = true;
        this.wake();
    }

    /** Newest first. @throws Error in pulumi's own words. */
    async read(): Promise<HistoryEntry[]> {
        const ended = await readHistory(this.stack, mostEntries);
        const applied = ended.find(({ status }) => status === "success")?.replicas.to ?? 0;
        const running = await readRunning(this.stack, applied);
        this.isBusy = running?.status === "in_progress";
        return running ? [running, ...ended] : ended;
    }

    /** @param tell Gets it each time, or why it can't be read just now. */
    async follow(tell: (entries: HistoryEntry[] | Error) => void, signal: AbortSignal): Promise<void> {
        while (!signal.aborted) {
            tell(await this.read().catch((error: unknown) => error as Error));
            if (this.isBusy) {
                await rest(busySeconds * 1000, signal);
                continue;
            }
            const woken = new Promise<void>((resolve) => (this.wake = resolve));
            await Promise.race([woken, rest(calmSeconds * 1000, signal)]);
        }
    }
}
