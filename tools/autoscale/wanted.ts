import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { serverName } from "../../lib/identity";
import { slots } from "../../lib/slots";
import { some } from "../cli/words";
import type { StackConfig } from "../pulumi/stack-config";

/** The stack's config, as far as the autoscaler goes by it. */
export interface Wanted {
    replicas: number;
    retired: number[];
    loadBalancerGeneration: string;
    hold: number[];
    readySeconds: number;
    settings: AutoscaleSettings;
}

/** Read anew for each look: a person's edit counts at once. @throws Error for what is wrong in the file */
export function readWanted(config: StackConfig): Wanted {
    const values = config.readAll();
    const settings = config.readAutoscale(values);
    if (!settings)
        throw new Error(
            `${config.file} has no autoscale in it: pulumi config set --path autoscale.min 2, and the same with .max and .slots`,
        );
    const [replicas, readySeconds] = [Number(values.replicas), Number(values.readySeconds)];
    if (!Number.isInteger(replicas))
        throw new Error(
            `${config.file}: 'replicas' should be a whole number, got ${String(values.replicas)}`,
        );
    return {
        ...{ replicas, readySeconds, settings },
        retired: config.readSlots("retired", values),
        loadBalancerGeneration: String(values.loadBalancerGeneration),
        hold: config.readSlots("hold", values),
    };
}

/** Names of the servers of haproxy.cfg against those of the config; `undefined`: they are the same. */
export function serverDifference(
    { servers }: { servers: readonly { name: string }[] },
    { replicas, retired }: { replicas: number; retired: readonly number[] },
): string | undefined {
    const wanted = slots(replicas, retired).map((slot) => serverName(slot));
    const there = servers.map(({ name }) => name);
    const missing = wanted.filter((name) => !there.includes(name));
    const surplus = there.filter((name) => !wanted.includes(name));
    const parts = [
        ...(missing.length > 0 ? [`${some(missing, 3)} not yet in haproxy.cfg`] : []),
        ...(surplus.length > 0 ? [`${some(surplus, 3)} still in it`] : []),
    ];
    return parts.length > 0 ? parts.join(", ") : undefined;
}
