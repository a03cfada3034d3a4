/**
 * Whose something in the account is. Names and tags alone say little: people make keys with a stack's name, and tag what
 * they like. Ours is only what nobody else can have made; each function here says why something may be another's.
 */
import { type Builder, builderName } from "../../lib/baked-images";
import {
    dropletTags,
    identityOf,
    isAdminHost,
    isLoadBalancer,
    isServer,
    resourceOf,
} from "../../lib/identity";
import { uptimeCheckWords } from "../../lib/alert-settings";
import { listenersFor, metricsListener } from "../../lib/listeners";
import type { Droplet, Firewall, FirewallPeers, FirewallRule, Inventory } from "./account";

/** Why something may be somebody else's; `undefined` for what only the stack's own program can have made. */
type Doubt = string | undefined;

export function carriesTagOf(prefix: string, { tags }: Pick<Droplet, "tags">): boolean {
    return dropletTags(prefix).some((tag) => tags.includes(tag));
}

/** Of a droplet that {@link carriesTagOf}: ours has exactly one tag, and the name that goes with it. */
export function doubtDroplet(prefix: string, { name, tags }: Pick<Droplet, "name" | "tags">): Doubt {
    const { loadBalancerTag, adminHostTag } = identityOf(prefix);
    const [tag, ...more] = tags;
    if (tag === undefined || more.length > 0) return `it has other tags, too: ${tags.join(", ")}`;
    const isOurs = { [loadBalancerTag]: isLoadBalancer, [adminHostTag]: isAdminHost }[tag] ?? isServer;
    return isOurs({ name: resourceOf(name) })
        ? undefined
        : "its name is none that this program gives; `backendSources` lets a host in without our tag";
}

/** Of a droplet with a builder's tag: ours has no other, and the name that goes with it. */
export function doubtBuilder(
    { name, tags }: Pick<Droplet, "name" | "tags">,
    builder: Builder | undefined,
): Doubt {
    if (tags.length > 1) return `it has other tags, too: ${tags.join(", ")}`;
    return builder && name === builderName(builder) ? undefined : "its name is none that a bake gives";
}

/** Of a firewall with the name of one of ours: ours holds by the tag of the same name alone, with rules of our form. */
export function doubtFirewall(prefix: string, firewall: Firewall): Doubt {
    const { name, tags, droplet_ids: dropletIds } = firewall;
    if (dropletIds?.length || tags?.length !== 1 || tags[0] !== name)
        return "it holds for others than the tag of its name";
    return hasOurRules(prefix, firewall) ? undefined : "its rules are none that this program makes";
}

/** As components/network.ts makes them. What `adminCidrs`, `backendSources` and `metricsSources` name may be any. */
function hasOurRules(prefix: string, firewall: Firewall): boolean {
    const { backendTag, loadBalancerTag, adminHostTag } = identityOf(prefix);
    const outbound = (firewall.outbound_rules ?? []).map(({ protocol, destinations }) =>
        sayRule({ protocol }, destinations),
    );
    const everything = ["icmp", "tcp", "udp"].map((protocol) => `${protocol} addresses=0.0.0.0/0,::/0`);
    if (outbound.sort().join("\n") !== everything.join("\n")) return false;
    const inbound = (firewall.inbound_rules ?? []).map((rule) => sayRule(rule, rule.sources));
    const allAre = (rules: readonly string[], ...forms: string[]) =>
        rules.every((rule) => new RegExp(`^tcp (${forms.join("|")})$`).test(rule));
    const ssh = "22 addresses=\\S+";
    const anybody = "(addresses=\\S+|tags=\\S+|addresses=\\S+ tags=\\S+)";
    if (firewall.name === adminHostTag) return inbound.length === 1 && allAre(inbound, ssh);
    if (firewall.name === loadBalancerTag) {
        const visitors = listenersFor(true).map(({ port }) => `${port} addresses=\\S+`);
        const metrics = `${metricsListener.port} ${anybody}`;
        return (
            inbound.length >= 2 && allAre(inbound, ssh, `${ssh} tags=${adminHostTag}`, ...visitors, metrics)
        );
    }
    const others = inbound.filter((rule) => rule !== `tcp 0 tags=${loadBalancerTag}`);
    const hasOwn = others.length === inbound.length - 1;
    return firewall.name === backendTag && hasOwn && allAre(others, `(?!0 )\\S+ ${anybody}`);
}

/** `tcp 22 addresses=198.51.100.7/32 tags=shop-prod-admin-host`, without the kinds of which it names nobody. */
function sayRule({ protocol, ports = "" }: FirewallRule, peers: FirewallPeers): string {
    const named = Object.entries(peers).flatMap(([kind, names]) =>
        names?.length ? [`${kind}=${names.map(String).sort().join()}`] : [],
    );
    return [protocol, ports === "all" ? "0" : ports, ...named.sort()].filter(Boolean).join(" ");
}

/** Of a key with the stack's name: ours says whose it is in its comment, too. */
export function doubtKey(prefix: string, { public_key: key }: Inventory["keys"][number]): Doubt {
    const { deployKeyComment } = identityOf(prefix);
    const [type, , ...comment] = key.trim().split(/\s+/);
    return type === "ssh-ed25519" && comment.join(" ") === deployKeyComment
        ? undefined
        : `its comment is not ${deployKeyComment}`;
}

export function doubtVpc(prefix: string, { description }: Inventory["vpcs"][number]): Doubt {
    const { vpcDescription } = identityOf(prefix);
    return description === vpcDescription ? undefined : `its description is not '${vpcDescription}'`;
}

/** Of an alert whose description begins as ours do: ours is for machines with tags of ours, and no other. */
export function doubtAlert(prefix: string, { tags }: Inventory["alerts"][number]): Doubt {
    const { backendTag, loadBalancerTag } = identityOf(prefix);
    const others = (tags ?? []).filter((tag) => tag !== backendTag && tag !== loadBalancerTag);
    if (others.length > 0) return `it is for other tags, too: ${others.join(", ")}`;
    return tags?.length ? undefined : "it is for no tag of this stack";
}

/** Of a check whose name begins as ours does. */
export function doubtCheck(prefix: string, { name }: Inventory["uptimeChecks"][number]): Doubt {
    const own = identityOf(prefix).alertName(uptimeCheckWords);
    return name === own ? undefined : `its name is not '${own}'`;
}
