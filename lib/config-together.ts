import { openSources } from "./backend-sources";
import type { ConfigValues } from "./config-values";
import { dropletTags, identityOf } from "./identity";
import { addressCount, isOpenToAll, mostAdminAddresses } from "./ipv4-ranges";
import { wrongMetricsSources } from "./metrics";
import { slots } from "./slots";

/** How much longer than a server may take to answer its drain lasts, in seconds: or a reload cuts what still may run. */
export const drainMargin = 5;

/** What is legal, and likely not meant. */
export function unlikely(settings: ConfigValues): string[] {
    const { replicas, retired, hold, autoscale, adminCidrs, sshFromAnywhere, trustedProxies } = settings;
    const warnings: string[] = [];
    if (replicas !== undefined && autoscale && (replicas < autoscale.min || replicas > autoscale.max))
        warnings.push(
            `'replicas' is ${replicas}, and 'autoscale' has ${autoscale.min} to ${autoscale.max}: the autoscaler will make it ` +
                `${replicas < autoscale.min ? autoscale.min : autoscale.max}`,
        );
    if (trustedProxies && isOpenToAll(trustedProxies))
        warnings.push(
            `'trustedProxies' has ${addressCount(trustedProxies)} addresses, more than any CDN: who sends requests from one of them ` +
                "can pass for anybody, in the log, towards the servers and against the limits",
        );
    if (adminCidrs && sshFromAnywhere && isOpenToAll(adminCidrs))
        warnings.push(
            "SSH to the load balancer is open to the whole Internet: 'sshFromAnywhere' is set, and 'adminCidrs' covers it",
        );
    if (replicas === undefined || !retired || !hold) return warnings;
    const inUse = slots(replicas, retired);
    const highest = inUse.at(-1);
    const used = highest === undefined ? "none is in use" : `the highest in use is ${highest}`;
    const idle = {
        retired: retired.filter((slot) => slot > (highest ?? -1)),
        hold: hold.filter((slot) => !inUse.includes(slot)),
    };
    for (const [key, some] of Object.entries(idle))
        if (some.length > 0)
            warnings.push(
                `'${key}' ${some.join(", ")} has no effect while no server has such a slot: ${used}`,
            );
    return warnings;
}

/** SSH for everybody needs a word of its own, which a reviewer sees; the servers are nobody's but the load balancer's. */
export function openAccess(settings: ConfigValues): string[] {
    const { adminCidrs, sshFromAnywhere, backendSources = [], metricsSources = [], prefix = "" } = settings;
    const { adminHost } = settings;
    const { backendTag, loadBalancerTag } = identityOf(prefix);
    const open = [
        ...openSources(backendSources, [backendTag, loadBalancerTag]),
        ...wrongMetricsSources(metricsSources, { adminHost, ownTags: dropletTags(prefix) }),
    ];
    if (!adminCidrs || sshFromAnywhere !== false || !isOpenToAll(adminCidrs)) return open;
    return [
        ...open,
        `'adminCidrs' should hold at most ${mostAdminAddresses} addresses in all, got ${JSON.stringify(adminCidrs)}, with ` +
            `${addressCount(adminCidrs)}: that is SSH for everybody; name the addresses that run pulumi ` +
            "(pulumi config set --path 'adminCidrs[0]' ADDRESS/32), or say so: pulumi config set sshFromAnywhere true",
    ];
}

/** A drain that ends before what a server may still answer. */
export function shortDrain({ serverTimeoutSeconds, drainSeconds }: ConfigValues): string[] {
    if (serverTimeoutSeconds === undefined || drainSeconds === undefined) return [];
    const least = serverTimeoutSeconds + drainMargin;
    if (drainSeconds >= least) return [];
    return [
        `'drainSeconds' should be at least ${least}, ${drainMargin} more than 'serverTimeoutSeconds' (${serverTimeoutSeconds}), got ${drainSeconds}: ` +
            `a reload would cut requests that may still run; pulumi config set drainSeconds ${least}`,
    ];
}
