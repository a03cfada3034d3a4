/** By which way a page comes. */
export type Way =
    | "nginx and PHP-FPM"
    | "past the cache, with a cookie"
    | "from the cache"
    | "from the cache, over the load balancer";

/** From a page that does next to nothing to the article's: 22.25 requests a second are 45 ms each. */
export const pagesMs = [1, 10, 45];
/** One page by one way, under full load. */
export interface CacheFigure {
    /** What the page costs PHP, in milliseconds of CPU. */
    pageMs: number;
    way: Way;
    requestsPerSecond: number;
    p99Ms: number;
    /** CPU of the whole server, in milliseconds. */
    cpuMsPerRequest: number;
}

/** How many times more requests, and how many times less CPU, than the same page by nginx and PHP-FPM. */
export function cacheRatios(figures: readonly CacheFigure[], { pageMs, way }: { pageMs: number; way: Way }) {
    const of = (wanted: Way) => figures.find((one) => one.pageMs === pageMs && one.way === wanted);
    const [plain, other] = [of("nginx and PHP-FPM"), of(way)];
    if (!plain || !other) return undefined;
    return {
        requests: other.requestsPerSecond / plain.requestsPerSecond,
        cpu: plain.cpuMsPerRequest / other.cpuMsPerRequest,
        plain,
        other,
    };
}

/** In Markdown. */
export function cacheTable(figures: readonly CacheFigure[]): string {
    const rows = figures.map(({ pageMs, way, requestsPerSecond, cpuMsPerRequest, p99Ms }) => {
        const ratios = cacheRatios(figures, { pageMs, way });
        return [
            `${pageMs} ms`,
            way,
            Math.round(requestsPerSecond).toLocaleString("en-US"),
            p99Ms.toFixed(1),
            cpuMsPerRequest.toFixed(2),
            (ratios?.requests ?? NaN).toFixed(1),
            (ratios?.cpu ?? NaN).toFixed(1),
        ];
    });
    const head = ["page", "way", "requests/s", "p99 ms", "CPU ms a request", "× requests/s", "× less CPU"];
    return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
