/** The minutes that Linux averages over. */
export const loadMinutes = [1, 5, 15] as const;
export type LoadMinutes = (typeof loadMinutes)[number];

/** As Linux does: https://github.com/torvalds/linux/blob/v6.1/include/linux/sched/loadavg.h (LOAD_FREQ) */
export const loadSampleSeconds = 5;

/** How many tasks run or wait for a disk, in the mean: each sample counts less the older it gets. */
export class LoadAverage {
    readonly #means = new Map<LoadMinutes, number>(loadMinutes.map((minutes) => [minutes, 0]));

    /** @param active Tasks that do so just now; one sample each {@link loadSampleSeconds}. */
    add(active: number): void {
        for (const [minutes, mean] of this.#means) {
            const kept = Math.exp(-loadSampleSeconds / (60 * minutes));
            this.#means.set(minutes, mean * kept + active * (1 - kept));
        }
    }

    over(minutes: LoadMinutes): number {
        return this.#means.get(minutes) ?? 0;
    }
}
