import type { AlertSettings } from "./alert-settings";

/** What DigitalOcean watches for the stack, and from when on it tells: plain facts, and the words for them. */

/** A measure of a kind of machine. */
export interface WatchedMeasure {
    /** Its resource's name, behind the component's. */
    name: string;
    /** As the API calls it. https://docs.digitalocean.com/reference/api/reference/monitoring/ */
    type: string;
    /** More than this is told. */
    percent: number;
    /** Whose; by tag, so that those that come later are watched, too. */
    of: readonly ("server" | "loadBalancer")[];
    /** For the message that people get. */
    words: string;
}

/** For so long it is too much before anybody is told: the shortest that there is. */
export const watchWindow = "5m";

export function watchesOf(
    thresholds: Pick<
        AlertSettings,
        "cpuPercent" | "loadBalancerCpuPercent" | "memoryPercent" | "diskPercent"
    >,
): WatchedMeasure[] {
    const { cpuPercent, loadBalancerCpuPercent, memoryPercent, diskPercent } = thresholds;
    const all = ["server", "loadBalancer"] as const;
    const watch = (
        name: string,
        type: string,
        percent: number,
        of: WatchedMeasure["of"],
        what: string,
    ): WatchedMeasure => ({
        ...{ name, type: `v1/insights/droplet/${type}`, percent, of },
        words: `${what} over ${percent} % for 5 minutes`,
    });
    return [
        watch("cpu", "cpu", cpuPercent, ["server"], "CPU of a server"),
        watch(
            "load-balancer-cpu",
            "cpu",
            loadBalancerCpuPercent,
            ["loadBalancer"],
            "CPU of the load balancer",
        ),
        watch(
            "memory",
            "memory_utilization_percent",
            memoryPercent,
            all,
            "memory of a server or the load balancer",
        ),
        watch("disk", "disk_utilization_percent", diskPercent, all, "disk of a server or the load balancer"),
    ];
}

/** Of the check of the site from outside; names behind the component's. */
export const uptimeNames = { check: "site", down: "down", certificate: "certificate" } as const;

/** From all there are: one of them that can't reach the site is no outage. */
export const uptimeRegions = ["eu_west", "se_asia", "us_east", "us_west"];

/** A certificate of an authority is renewed when a third of its time is left, which is 30 days of 90. */
export const certificateDays = 14;

/** What is told of the site. */
export const uptimeWords = {
    [uptimeNames.check]: "the site, from outside",
    [uptimeNames.down]: "the site is down, from everywhere, for 2 minutes",
    [uptimeNames.certificate]: `the site's certificate runs out in less than ${certificateDays} days`,
} as const;

/** In USD. Its alerts, and those of machines, cost nothing. https://docs.digitalocean.com/products/uptime/details/pricing/ */
export const uptimeCheckMonthlyUsd = 1;
