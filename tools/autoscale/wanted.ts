import type { AutoscaleSettings } from "../../lib/autoscale-settings";
import { serverName } from "../../lib/identity";
import { slots } from "../../lib/slots";
import { some } from "../cli/words";
import type { StackConfig } from "../pulumi/stack-config";
import type { WholeConfig } from "./model";

/** The stack's config, as far as the autoscaler goes by it. */
export interface Wanted extends WholeConfig {
    hold: number[];
    readySeconds: number;
    settings: AutoscaleSettings;
}

/** What of it the autoscaler may change, as it is just now. */
export function valuesOf(config: StackConfig, values = config.readAll()): WholeConfig {
    return {
        loadBalancerGeneration: String(values.loadBalancerGeneration),
        replicas: Number(values.replicas),
        retired: config.readSlots("retired", values),
    };
}

/** Read anew for each look: a person's edit counts at once. @throws Error for what is wrong in the file */
export function readWanted(config: StackConfig): Wanted {
    const values = config.readAll();
    const settings = config.readAutoscale(values);
    if (!settings)
        throw new Error(
            `${config.file} has no autoscale in it: pulumi config set --path autoscale.min 2, and the same with .max and .slots`,
        );
    const own = valuesOf(config, values);
    if (!Number.isInteger(own.replicas))
        throw new Error(
            `${config.file}: 'replicas' should be a whole number, got ${String(values.replicas)}`,
        );
    const hold = config.readSlots("hold", values);
    return { ...own, hold, readySeconds: Number(values.readySeconds), settings };
}

/** Names of the servers of haproxy.cfg against those of the config; `undefined`: they are the same. */
export function serverDifference(
    { servers }: { servers: readonly { name: string }[] },
    { replicas, retired }: Pick<WholeConfig, "replicas" | "retired">,
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
