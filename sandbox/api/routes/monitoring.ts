import { Type } from "@fastify/type-provider-typebox";

import type { ControlPlane } from "../control-plane.ts";
import type { CpuMetrics, CpuPoint } from "../cpu-metrics.ts";
import { badRequest, found } from "../errors.ts";
import type { Api } from "../http.ts";
import { Metrics } from "../metrics-answers.ts";

/** As Linux counts them. https://docs.kernel.org/filesystems/proc.html, "/proc/stat" */
const modes = ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"] as const;

/** What droplets' agents report. Of all metrics, the sandbox has CPU. */
export function monitoringRoutes(api: Api, { cloud }: ControlPlane, cpu: CpuMetrics): void {
    const text = Type.Optional(Type.String());
    const schema = {
        querystring: Type.Object({ host_id: text, start: text, end: text }),
        response: { 200: Metrics },
    };
    api.get("/v2/monitoring/metrics/droplet/cpu", { schema }, ({ query }) => {
        const [start, end] = [timeOf("start", query.start), timeOf("end", query.end)];
        if (start > end) throw badRequest("start must not be after end");
        if (!query.host_id) throw badRequest("host_id is required");
        const droplet = found(cloud.droplets.find(({ id }) => String(id) === query.host_id));
        const points = cpu.pointsOf(droplet).filter((point) => {
            const at = secondsOf(point);
            return start <= at && at <= end;
        });
        const result = points.length === 0 ? [] : modes.map((mode) => series(droplet.id, mode, points));
        return { status: "success" as const, data: { resultType: "matrix" as const, result } };
    });
}

/** What a droplet here is not known to have done is 0: cgroups tell user from system, and no more. */
function series(dropletId: number, mode: (typeof modes)[number], points: readonly CpuPoint[]) {
    const seconds = (point: CpuPoint) =>
        mode === "idle" || mode === "user" || mode === "system" ? point[mode] : 0;
    return {
        metric: { host_id: String(dropletId), mode },
        values: points.map((point): [number, string] => [
            secondsOf(point),
            String(Math.round(seconds(point) * 100) / 100),
        ]),
    };
}

const secondsOf = ({ atMs }: CpuPoint): number => Math.floor(atMs / 1000);

/** Seconds since 1970. */
function timeOf(name: string, text: string | undefined): number {
    if (text === undefined || !/^\d{1,12}$/.test(text))
        throw badRequest(`${name} must be a UNIX timestamp in seconds`);
    return Number(text);
}
