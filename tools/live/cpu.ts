import { askApi } from "./api";

/** What DigitalOcean's metrics say of the CPU of some droplets. */
export interface CpuReading {
    /** Mean share that was busy, 0 to 1. */
    share: number;
    /** Since when, for the droplet whose figures reach back furthest. */
    sinceMs: number;
}

/**
 * The answer to `GET /v2/monitoring/metrics/droplet/cpu`: for each mode of Linux, seconds of all processors together
 * since the droplet was started. The times are in seconds since 1970.
 * https://docs.digitalocean.com/reference/api/reference/monitoring/#monitoring_get_DropletCpuMetrics
 */
export interface CpuMetrics {
    data: { result: { metric: { mode?: string }; values: [number, string][] }[] };
}

/** The mean is of so many minutes, up to the newest figures: there is one a minute, or one in two. */
const meanSeconds = 180;
/** How far back figures are asked for: the newest ones are minutes late. */
const askedSeconds = 420;
/**
 * Of a larger pool, so many servers are asked, evenly spread: an account has 5,000 requests an hour, also for `up`.
 * https://docs.digitalocean.com/reference/api/reference/#rate-limit
 */
const mostAsked = 25;
const askedAtOnce = 5;
/** Modes in which a processor has nothing to do. */
const idleModes = ["idle", "iowait"];

/** How busy droplets were in the last minutes; or why nobody knows. Never throws: it is a second opinion. */
export async function readCpu(
    dropletIds: readonly string[],
    nowMs = Date.now(),
): Promise<CpuReading | { problem: string }> {
    const asked = spread(dropletIds, mostAsked);
    const [start, end] = [Math.floor(nowMs / 1000) - askedSeconds, Math.floor(nowMs / 1000)];
    const known: CpuReading[] = [];
    try {
        for (let i = 0; i < asked.length; i += askedAtOnce) {
            const answers = asked
                .slice(i, i + askedAtOnce)
                .map((id) =>
                    askApi(`monitoring/metrics/droplet/cpu?host_id=${id}&start=${start}&end=${end}`),
                );
            for (const answer of await Promise.all(answers)) {
                // `undefined`: there is no such droplet any more.
                const reading = answer === undefined ? undefined : busyOf(answer as CpuMetrics);
                if (reading) known.push(reading);
            }
        }
    } catch (error) {
        return { problem: (error as Error).message };
    }
    if (known.length === 0 || known.length < asked.length / 2)
        return { problem: `DigitalOcean has figures of ${known.length} of ${asked.length} servers` };
    return {
        share: known.reduce((sum, { share }) => sum + share, 0) / known.length,
        sinceMs: Math.min(...known.map(({ sinceMs }) => sinceMs)),
    };
}

/** How busy one droplet was up to the newest of its figures; `undefined`: there are too few. */
export function busyOf({ data }: CpuMetrics): CpuReading | undefined {
    const times = data.result.flatMap(({ values }) => values.map(([at]) => at));
    const newest = Math.max(...times);
    const oldest = Math.min(...times.filter((at) => at >= newest - meanSeconds));
    const spent = data.result.map(({ metric: { mode = "" }, values }) => {
        const at = new Map(values);
        return { mode, seconds: Number(at.get(newest)) - Number(at.get(oldest)) };
    });
    const sum = (some: typeof spent) => some.reduce((total, { seconds }) => total + seconds, 0);
    const [all, idle] = [sum(spent), sum(spent.filter(({ mode }) => idleModes.includes(mode)))];
    // Less than before: it was started again in between.
    if (!(all > 0) || idle < 0) return undefined;
    return { share: Math.max(0, 1 - idle / all), sinceMs: oldest * 1000 };
}

/** At most so many of them, as far from each other as can be. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
    if (all.length <= most) return all;
    return all.filter(
        (_, i) => Math.floor((i * most) / all.length) !== Math.floor(((i - 1) * most) / all.length),
    );
}
