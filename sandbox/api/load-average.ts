/** The minutes that Linux averages over. */
export const loadMinutes = [1, 5, 15] as const;

/** As Linux does: https://github.com/torvalds/linux/blob/v6.1/include/linux/sched/loadavg.h (LOAD_FREQ) */
export const loadSampleSeconds = 5;

/** How many tasks run or wait for a disk, in the mean over so many minutes: each sample counts less the older it gets. */
export type LoadAverage = Readonly<Record<(typeof loadMinutes)[number], number>>;

/** Of a machine that has just been switched on. */
export const noLoad: LoadAverage = { 1: 0, 5: 0, 15: 0 };

/** @param active Tasks that do so just now; one sample each {@link loadSampleSeconds}. */
export function withSample(means: LoadAverage, active: number): LoadAverage {
    const next = (minutes: keyof LoadAverage) => {
        const kept = Math.exp(-loadSampleSeconds / (60 * minutes));
        return means[minutes] * kept + active * (1 - kept);
    };
    return { 1: next(1), 5: next(5), 15: next(15) };
}
