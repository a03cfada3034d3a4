import * as pulumi from "@pulumi/pulumi";
import { type Account, lookUpAccount } from "../account/lookup";
import { refusal } from "../components/refusal";
import { setSlackUrl, slackUrlKey } from "../lib/alert-settings";
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
    const namespace = `${pulumi.getProject()}:`;
    const own = Object.entries(pulumi.runtime.allConfig()).filter(([key]) => key.startsWith(namespace));
    const config = parseSettings(
        Object.fromEntries(own.map(([key, raw]) => [key.slice(namespace.length), raw])),
        pulumi.getStack(),
        readUnquoted(pulumi.getRootDirectory(), pulumi.getProject(), pulumi.getStack()),
    );
    const account = await lookUpAccount(config.settings).catch((error: unknown) => {
        if (config.problems.length === 0) throw error;
        return { problems: [(error as Error).message] };
    });
    const readable = readableSecrets(pulumi.getRootDirectory(), pulumi.getProject(), pulumi.getStack(), {
        tlsKey: "pulumi config set --secret tlsKey < FILE.pem",
        [slackUrlKey]: setSlackUrl,
    });
    const problems = [...config.problems, ...readable, ...account.problems];
    if (problems.length > 0 || !("ownVpc" in account))
        throw refusal(["the stack's config is wrong:", ...problems].join("\n  "));
    for (const warning of [...config.warnings, ...account.warnings]) void pulumi.log.warn(warning);
    return { settings: grouped(config.settings as Values), account };
}

function grouped(values: Values) {
    const { prefix, region, vpcId, adminCidrs, sshFromAnywhere, backendSources, metricsSources } = values;
    const { https, alerts } = values;
    const { replicas, retired, hold, autoscale, generation } = values;
    return {
        prefix,
        region,
        vpcId,
        access: { adminCidrs, sshFromAnywhere, backendSources, metricsSources, adminHost: values.adminHost },
        scale: { replicas, retired, hold, autoscale },
        backend: { image: values.image, size: values.size, userData: values.userdata, generation },
        loadBalancer: {
            image: values.loadBalancerImage,
            size: values.loadBalancerSize,
            userData: values.loadBalancerUserData,
            generation: values.loadBalancerGeneration,
        },
        adminHost: values.adminHost
            ? { image: values.adminHostImage, size: values.adminHostSize, userData: values.adminHostUserData }
            : undefined,
        alerts: alerts && {
            ...alerts,
            slack: alerts.slack && { ...alerts.slack, url: pulumi.secret(alerts.slack.url) },
        },
        content: values.content,
        dns: { zone: values.dnsZone, ttl: values.dnsTtl },
        listeners: listenersFor(https !== undefined),
        https,
        traffic: trafficOf(values),
        readySeconds: values.readySeconds,
    };
}
