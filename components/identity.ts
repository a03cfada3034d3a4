/** What a stack's things are called in the account, and what tells them from everybody else's. */
export interface Identity {
    /** Tag of the servers, and name of their firewall. */
    backendTag: string;
    /** Tag of the load balancer, and name of its firewall. */
    loadBalancerTag: string;
    /** Of a VPC of the stack's own; its name is the prefix. */
    vpcDescription: string;
    /** The comment in the public deploy key; the account's key has the prefix as its name. */
    deployKeyComment: string;
}

/** @param prefix `<namePrefix>-<stack>`. */
export function identityOf(prefix: string): Identity {
    return {
        backendTag: `${prefix}-backend`,
        loadBalancerTag: `${prefix}-load-balancer`,
        vpcDescription: `dropscale ${prefix}`,
        deployKeyComment: `${prefix}-deploy`,
    };
}

/**
 * Whether the engine made up a name in the account: the resource's own, a dash and 7 hexadecimal digits.
 * https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
 *
 * @param resource Name of the resource, such as `web-0`.
 */
export function isEngineName(resource: string, name: string): boolean {
    return name.startsWith(`${resource}-`) && /^[0-9a-f]{7}$/.test(name.slice(resource.length + 1));
}

/**
 * Environment variable with the IPv4 ranges, separated by commas, that may reach SSH for the time of one run beside
 * `adminCidrs`: set by what admitted them with a firewall of its own, such as a pipeline on a hosted runner.
 */
export const admittedVariable = "DROPSCALE_ADMITTED";
