import type { AutoscaleSettings } from "./autoscale-settings";
import type { BackendSource } from "./backend-sources";

/** What is wrong, so that nothing is done; and what is likely not meant. */
export interface Findings {
    problems: string[];
    warnings: string[];
}

/**
 * Values of the config that are judged together, or against the account, by key; meanings and defaults stand in Pulumi.yaml.
 * One that is missing was refused already: nothing is said about it.
 */
export interface ConfigValues {
    /** `<namePrefix>-<stack>`: first part of every name and tag in the account. */
    prefix?: string;
    region?: string;
    /** Empty: a VPC of the stack's own. */
    vpcId?: string;
    replicas?: number;
    retired?: readonly number[];
    hold?: readonly number[];
    autoscale?: AutoscaleSettings;
    image?: string;
    /** The text of the servers' user data. */
    userdata?: string;
    size?: string;
    loadBalancerImage?: string;
    loadBalancerSize?: string;
    adminHost?: boolean;
    adminHostImage?: string;
    adminHostSize?: string;
    adminCidrs?: readonly string[];
    sshFromAnywhere?: boolean;
    backendSources?: readonly BackendSource[];
    metricsSources?: readonly string[];
    trustedProxies?: readonly string[];
    serverTimeoutSeconds?: number;
    drainSeconds?: number;
    domains?: readonly string[];
    /** Empty: DNS is somebody else's. */
    dnsZone?: string;
    tlsCertificate?: string;
    tlsKey?: string;
    acmeEmail?: string;
    acmeServer?: string;
    httpsRedirect?: boolean;
    hsts?: number;
}
