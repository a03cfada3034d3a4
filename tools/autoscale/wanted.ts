import { type AutoscaleSettings, readAutoscale } from "../../lib/autoscale-settings";
import { serverName } from "../../lib/identity";
import { slots } from "../../lib/slots";
import { some } from "../cli/words";
import type { StackConfig } from "../pulumi/stack-config";

/** The stack's config, as far as the autoscaler goes by it. */
export interface Wanted {
    replicas: number;
    retired: number[];
    hold: number[];
    readySeconds: number;
    settings: AutoscaleSettings;
}

/** Read anew for each look: a person's edit counts at once. @throws Error for what is wrong in the file */
export function readWanted(config: StackConfig): Wanted {
    const given = config.read("autoscale") ?? {};
    const settings = readSettings(config.file, typeof given === "string" ? given : JSON.stringify(given));
    const [replicas, readySeconds] = [Number(config.read("replicas")), Number(config.read("readySeconds"))];
    if (!Number.isInteger(replicas))
        throw new Error(
            `${config.file}: 'replicas' should be a whole number, got ${String(config.read("replicas"))}`,
        );
    return {
        ...{ replicas, readySeconds, settings },
        retired: config.readSlots("retired"),
        hold: config.readSlots("hold"),
    };
}

function readSettings(file: string, raw: string): AutoscaleSettings {
    const settings = readAutoscale(raw);
    if (settings) return settings;
    throw new Error(
        `${file} has no autoscale in it: pulumi config set --path autoscale.min 2, and the same with .max and .slots`,
    );
}

/** Names of the servers of haproxy.cfg against those of the config; `undefined`: they are the same. */
export function difference(
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
