import * as pulumi from "@pulumi/pulumi";
import { type Account, lookUpAccount } from "../account/lookup";
import { refusal } from "../components/refusal";
import { listenersFor } from "../lib/listeners";
import { readableSecrets, readUnquoted } from "../lib/stack-file";
import { parseSettings, trafficOf, type Values } from "./settings";

/** The stack's config, checked, in the groups in which the program uses it. */
export type Settings = ReturnType<typeof grouped>;

/**
 * Reads the stack's config (nothing else in the program does), and looks up whether the account can give it.
 *
 * @throws RunError that lists all that is wrong, of the config and of what the account does not have.
 */
export async function readSettings(): Promise<{ settings: Settings; account: Account }> {
    const [project, stack] = [pulumi.getProject(), pulumi.getStack()];
    const file = [pulumi.getRootDirectory(), project, stack] as const;
    const own = Object.entries(pulumi.runtime.allConfig()).flatMap(([key, raw]) =>
        key.startsWith(`${project}:`) ? [[key.slice(project.length + 1), raw] as const] : [],
    );
    const config = parseSettings(Object.fromEntries(own), stack, readUnquoted(...file));
    const account = await lookUpAccount(config.settings).catch((error: unknown) => {
        if (config.problems.length === 0) throw error;
        return { problems: [(error as Error).message] };
    });
    const problems = [...config.problems, ...readableSecrets(...file), ...account.problems];
    if (problems.length > 0 || !("ownVpc" in account))
        throw refusal(["the stack's config is wrong:", ...problems].join("\n  "));
    for (const warning of [...config.warnings, ...account.warnings]) void pulumi.log.warn(warning);
    return { settings: grouped(config.settings as Values), account };
}

function grouped(values: Values) {
    const { prefix, region, vpcId, readySeconds, content, https, alerts } = values;
    const { adminCidrs, sshFromAnywhere, backendSources, metricsSources, adminHost } = values;
    const { replicas, retired, hold, autoscale } = values;
    const { image, size, userdata, generation } = values;
    return {
        ...{ prefix, region, vpcId, readySeconds, content, https, alerts },
        access: { adminCidrs, sshFromAnywhere, backendSources, metricsSources, adminHost },
        scale: { replicas, retired, hold, autoscale },
        backend: { image, size, userData: userdata, generation },
        loadBalancer: {
            image: values.loadBalancerImage,
            size: values.loadBalancerSize,
            userData: values.loadBalancerUserData,
            generation: values.loadBalancerGeneration,
        },
        adminHost: adminHost
            ? { image: values.adminHostImage, size: values.adminHostSize, userData: values.adminHostUserData }
            : undefined,
        dns: { zone: values.dnsZone, ttl: values.dnsTtl },
        listeners: listenersFor(https !== undefined),
        traffic: trafficOf(values),
    };
}
