/**
 * What the program's things are called, in Pulumi and in the account, and how they are told apart. Nothing else knows it:
 * the program, the tools and the policy ask here. No Pulumi is loaded, so that tools start fast.
 */

/** Types of all that the program makes, its own components first. */
export const types = {
    stack: "pulumi:pulumi:Stack",
    network: "dropscale:index:Network",
    keys: "dropscale:index:DeployKey",
    pool: "dropscale:index:BackendPool",
    loadBalancer: "dropscale:index:LoadBalancer",
    https: "dropscale:index:Https",
    haproxy: "dropscale:index:HaproxyConfig",
    content: "dropscale:index:Content",
    address: "dropscale:index:PublicAddress",
    dns: "dropscale:index:DnsRecords",
    adminHost: "dropscale:index:AdminHost",
    alerts: "dropscale:index:Alerts",
    droplet: "digitalocean:index/droplet:Droplet",
    firewall: "digitalocean:index/firewall:Firewall",
    tag: "digitalocean:index/tag:Tag",
    vpc: "digitalocean:index/vpc:Vpc",
    sshKey: "digitalocean:index/sshKey:SshKey",
    reservedIp: "digitalocean:index/reservedIp:ReservedIp",
    reservedIpAssignment: "digitalocean:index/reservedIpAssignment:ReservedIpAssignment",
    dnsRecord: "digitalocean:index/dnsRecord:DnsRecord",
    monitorAlert: "digitalocean:index/monitorAlert:MonitorAlert",
    uptimeCheck: "digitalocean:index/uptimeCheck:UptimeCheck",
    uptimeAlert: "digitalocean:index/uptimeAlert:UptimeAlert",
    remoteCommand: "command:remote:Command",
    localCommand: "command:local:Command",
} as const;

/** Names of the program's components. Their children are named after them. */
export const names = {
    network: "network",
    keys: "keys",
    pool: "web",
    loadBalancer: "load-balancer",
    https: "https",
    haproxy: "haproxy",
    content: "content",
    address: "address",
    dns: "dns",
    adminHost: "admin-host",
    alerts: "alerts",
} as const;

/** A resource by its type and name; one without a type is a droplet. */
interface Named {
    type?: string;
    name?: string;
}

/** Whether a type is the stack's or one of the program's own components': records in the state, nothing in the account. */
export const isComponent = (type: string): boolean =>
    type === types.stack || type.startsWith("dropscale:index:");

/** The name of the server in a slot, in Pulumi's state and in haproxy.cfg. */
export const serverName = (slot: number, pool: string = names.pool): string => `${pool}-${slot}`;

/** The slot of a server's droplet; `undefined` for anything else. */
export function slotOf({ type = types.droplet, name = "" }: Named): number | undefined {
    const slot = Number(/\d+$/.exec(name)?.[0]);
    return type === types.droplet && name === serverName(slot) ? slot : undefined;
}

/** Whether it is a server's droplet. */
export const isServer = (resource: Named): boolean => slotOf(resource) !== undefined;

/** Whether it is the load balancer's droplet. */
export const isLoadBalancer = ({ type = types.droplet, name }: Named): boolean =>
    type === types.droplet && name === names.loadBalancer;

/** Whether it is the admin host's droplet: no part of what serves. */
export const isAdminHost = ({ type = types.droplet, name }: Named): boolean =>
    type === types.droplet && name === names.adminHost;

/** Names of the key pairs in a DeployKey component. */
export const keyNames = (component: string = names.keys) => ({
    deploy: `${component}-deploy`,
    host: `${component}-host`,
    setup: `${component}-setup`,
});

/** Names of the tags and firewalls in a Network component. */
export const guardNames = (component: string = names.network) => ({
    loadBalancer: `${component}-load-balancer`,
    backend: `${component}-backend`,
    adminHost: `${component}-admin-host`,
});

/** Name of the command that waits until a LoadBalancer component is set up. */
export const readyName = (component: string = names.loadBalancer): string => `${component}-ready`;

/** Names of the commands in an Https component; `account`, `before` and `after` only where an authority is asked. In the order in which they run. */
export const httpsCommandNames = (component: string = names.https) => ({
    account: `${component}-account`,
    script: `${component}-script`,
    staged: `${component}-staged`,
    applied: `${component}-certificate`,
    before: `${component}-before`,
    after: `${component}-after`,
});

/** Names of the commands in a HaproxyConfig component, in the order in which they run. */
export const commandNames = (component: string = names.haproxy) => ({
    script: `${component}-script`,
    staged: `${component}-staged`,
    applied: component,
});

/** Names of the commands in a Content component, in the order in which they run. */
export const contentCommandNames = (component: string = names.content) => ({
    script: `${component}-script`,
    sent: `${component}-sent`,
    pushed: `${component}-pushed`,
});

/**
 * The resource that a name in the account belongs to, where the engine made that name up: the resource's own, a dash and
 * 7 hexadecimal digits. https://www.pulumi.com/docs/iac/concepts/resources/names/#autonaming
 *
 * @returns `undefined` for a name that the engine did not make up.
 */
export const resourceOf = (accountName: string): string | undefined =>
    /^(.+)-[0-9a-f]{7}$/.exec(accountName)?.[1];

/** Takes a resource's URN apart: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`; `chain` has its parents' types, too. */
export function parseUrn(urn: string): { stack: string; chain: string; type: string; name: string } {
    const [start = "", , chain = "", ...name] = urn.split("::");
    return {
        stack: start.slice(start.lastIndexOf(":") + 1),
        chain,
        type: chain.slice(chain.lastIndexOf("$") + 1),
        name: name.join("::"),
    };
}

/** Whether a resource is one of the program's components, or a child of it of one of these types and with such a name. */
function isIn(
    component: keyof typeof names,
    urn: string,
    kinds: readonly string[],
    isChild: (name: string) => boolean,
): boolean {
    const { chain, name } = parseUrn(urn);
    if (chain === types[component]) return name === names[component];
    return kinds.some((kind) => chain === `${types[component]}$${kind}`) && isChild(name);
}

const commands = [types.remoteCommand, types.localCommand];

const isOneOf = (all: Record<string, string>) => (name: string) => Object.values(all).includes(name);

/** Whether a resource is of those that come and go with the config's `domains`: HTTPS, and the names in DNS. */
export const isOfDomains = (urn: string): boolean =>
    isIn("https", urn, commands, isOneOf(httpsCommandNames())) ||
    isIn("dns", urn, [types.dnsRecord], (name) => name.startsWith(`${names.dns}-`));

/** Whether a resource is of those that come and go with the config's `content`. */
export const isOfContent = (urn: string): boolean =>
    isIn("content", urn, commands, isOneOf(contentCommandNames()));

/** Whether a resource is of those that come and go with the config's `adminHost`; no request comes to any of them. */
export function isOfAdminHost(urn: string): boolean {
    const { type, name } = parseUrn(urn);
    if (type === types.firewall || type === types.tag) return name === guardNames().adminHost;
    return isIn("adminHost", urn, [types.droplet], (child) => child === names.adminHost);
}

/** Whether a resource is of those that come and go with the config's `alerts`; no request comes to any of them. */
export const isOfAlerts = (urn: string): boolean =>
    isIn("alerts", urn, [types.monitorAlert, types.uptimeCheck, types.uptimeAlert], (name) =>
        name.startsWith(`${names.alerts}-`),
    );

/** First part of every name and tag of a stack in the account. */
export const prefixOf = (namePrefix: string, stack: string): string => `${namePrefix}-${stack}`;

/**
 * What a stack's things are called in the account, and what tells them from everybody else's. Its VPC and its SSH key have
 * the prefix itself as their name.
 *
 * @param prefix Of {@link prefixOf}.
 */
export function identityOf(prefix: string) {
    return {
        /** Tag of the servers, of whatever pool, and name of their firewall. */
        backendTag: `${prefix}-backend`,
        /** Tag of load balancers, and name of their firewall. */
        loadBalancerTag: `${prefix}-load-balancer`,
        /** Tag of the admin host, and name of its firewall. */
        adminHostTag: `${prefix}-admin-host`,
        vpcDescription: `dropscale ${prefix}`,
        deployKeyComment: `${prefix}-deploy`,
        hostKeyComment: `${prefix}-load-balancer`,
        setupKeyComment: `${prefix}-setup`,
        /** What alerts and the uptime check are called in the account, and in the messages that people get. */
        alertName: (words: string) => `${prefix}: ${words}`,
    };
}

/** The tags of all of a stack's droplets, which are the names of its firewalls, too. */
export function dropletTags(prefix: string): string[] {
    const { backendTag, loadBalancerTag, adminHostTag } = identityOf(prefix);
    return [backendTag, loadBalancerTag, adminHostTag];
}

/**
 * Environment variable with the IPv4 ranges, separated by commas, that may reach SSH for the time of one run beside
 * `adminCidrs`: set by what admitted them with a firewall of its own, such as a pipeline on a hosted runner.
 */
export const admittedVariable = "DROPSCALE_ADMITTED";
