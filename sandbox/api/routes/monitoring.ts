import { Type } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";

import type { Droplet } from "../../model.ts";
import { sizeOf } from "../catalog.ts";
import type { ControlPlane } from "../control-plane.ts";
import type { DropletMetrics, Point } from "../droplet-metrics.ts";
import { badRequest, found } from "../errors.ts";
import type { Api } from "../http.ts";
import { loadMinutes } from "../load-average.ts";
import { Metrics } from "../metrics-answers.ts";

const text = Type.Optional(Type.String());
const Query = Type.Object({ host_id: text, start: text, end: text, interface: text, direction: text });
type Query = Static<typeof Query>;

/** Labels beside the droplet's id, and the values at times in seconds since 1970. */
interface Series {
    labels: Record<string, string>;
    values: readonly [number, number][];
}
/** What an endpoint says of a droplet. @throws a 400 for what it can't be asked. */
type Metric = (points: readonly Point[], droplet: Droplet, query: Query) => Series[];

/** What droplets' agents report. https://docs.digitalocean.com/reference/api/reference/monitoring/ */
const metrics: Record<string, Metric> = {
    cpu: (points) => modes.map((mode) => ({ labels: { mode }, values: valuesOf(points, secondsIn(mode)) })),
    memory_total: memory(({ total }) => total),
    memory_free: memory(({ total, used }) => total - used),
    memory_cached: memory(({ cached }) => cached),
    memory_available: memory(({ total, used, cached }) => total - used + cached),
    bandwidth,
    ...Object.fromEntries(
        loadMinutes.map((minutes) => [
            `load_${minutes}`,
            (points: readonly Point[]) => [
                { labels: {}, values: valuesOf(points, ({ load }) => hundredths(load[minutes])) },
            ],
        ]),
    ),
    filesystem_size: filesystem((total) => total),
    filesystem_free: filesystem((total, used) => Math.max(0, total - used)),
};

export function monitoringRoutes(api: Api, { cloud }: ControlPlane, agents: DropletMetrics): void {
    const schema = { querystring: Query, response: { 200: Metrics } };
    for (const [name, metric] of Object.entries(metrics)) {
        api.get(`/v2/monitoring/metrics/droplet/${name}`, { schema }, ({ query }) => {
            const [start, end] = [timeOf("start", query.start), timeOf("end", query.end)];
            if (start > end) throw badRequest("start must not be after end");
            if (!query.host_id) throw badRequest("host_id is required");
            const droplet = found(cloud.droplets.find(({ id }) => String(id) === query.host_id));
            const result = metric(agents.pointsOf(droplet), droplet, query)
                .map(({ labels, values }) => ({
                    metric: { host_id: String(droplet.id), ...labels },
                    values: values
                        .filter(([at]) => start <= at && at <= end)
                        .map(([at, value]): [number, string] => [at, String(value)]),
                }))
                .filter(({ values }) => values.length > 0);
            return { status: "success" as const, data: { resultType: "matrix" as const, result } };
        });
    }
}

/** As Linux counts them. https://docs.kernel.org/filesystems/proc.html, "/proc/stat" */
const modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"] as const;

/** What a droplet here is not known to have done is 0: cgroups tell user from system, and no more. */
const secondsIn = (mode: (typeof modes)[number]) => (point: Point) => {
    if (mode === "idle") return hundredths(point.idle);
    return mode === "user" || mode === "system" ? hundredths(point.cpu[mode]) : 0;
};

/** In bytes. */
function memory(of: (bytes: { total: number; used: number; cached: number }) => number): Metric {
    return (points, { size }) => {
        const total = sizeOf(size).memoryMiB * 2 ** 20;
        const value = ({ memory: { usedBytes, cachedBytes } }: Point) =>
            Math.max(0, of({ total, used: usedBytes, cached: cachedBytes }));
        return [{ labels: {}, values: valuesOf(points, value) }];
    };
}

/** In bytes. Here a droplet's disk is a folder of its host's: it is as large as its size says. */
function filesystem(of: (total: number, used: number) => number): Metric {
    const labels = { device: "/dev/vda1", fstype: "ext4", mountpoint: "/" };
    return (points, { diskGiB }) => {
        const total = diskGiB * 2 ** 30;
        return [{ labels, values: valuesOf(points, ({ diskBytes }) => of(total, diskBytes)) }];
    };
}

/** In megabits per second, since the look before. */
function bandwidth(points: readonly Point[], _droplet: Droplet, query: Query): Series[] {
    const which = oneOf(["public", "private"], "interface", query.interface);
    const direction = oneOf(["inbound", "outbound"], "direction", query.direction);
    const values = points.slice(1).map((point, index): [number, number] => {
        const before = points[index] ?? point;
        const bytes = point.traffic[which][direction] - before.traffic[which][direction];
        // A machine that was off counts from 0.
        const megabits = (Math.max(0, bytes) * 8) / 1e6;
        return [secondsOf(point), megabits / Math.max(0.001, (point.atMs - before.atMs) / 1000)];
    });
    return [{ labels: { interface: which, direction }, values }];
}

const valuesOf = (points: readonly Point[], value: (point: Point) => number) =>
    points.map((point): [number, number] => [secondsOf(point), value(point)]);

const secondsOf = ({ atMs }: Point): number => Math.floor(atMs / 1000);
const hundredths = (value: number): number => Math.round(value * 100) / 100;

function oneOf<T extends string>(known: readonly T[], name: string, value: string | undefined): T {
    const found = known.find((one) => one === value);
    if (found === undefined) throw badRequest(`${name} must be one of ${known.join(", ")}`);
    return found;
}

/** Seconds since 1970. */
function timeOf(name: string, given: string | undefined): number {
    if (given === undefined || !/^\d{1,12}$/.test(given))
        throw badRequest(`${name} must be a UNIX timestamp in seconds`);
    return Number(given);
}
