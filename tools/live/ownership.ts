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
import type { Droplet, Firewall, FirewallPeers, Inventory } from "./account";

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

/** Kinds of whom a rule names, where the config may name them. */
const anyPeers = /^(addresses|tags|addresses tags)$/;

const publicPorts = listenersFor(true).map(({ port }) => String(port));

/** As components/network.ts makes them. What `adminCidrs`, `backendSources` and `metricsSources` name may be any. */
function hasOurRules(prefix: string, firewall: Firewall): boolean {
    const { backendTag, loadBalancerTag, adminHostTag } = identityOf(prefix);
    const inbound = (firewall.inbound_rules ?? []).map(({ protocol, ports = "", sources }) => {
        const kinds = Object.keys(peersOf(sources)).sort().join(" ");
        return { protocol, ports: ports === "all" ? "0" : ports, kinds, sources: peersOf(sources) };
    });
    const outbound = (firewall.outbound_rules ?? []).map(({ protocol, destinations }) => {
        const { addresses = [], ...others } = peersOf(destinations);
        return `${protocol} ${[...addresses].sort().join(" ")}${Object.keys(others).join(" ")}`;
    });
    const everything = ["icmp", "tcp", "udp"].map((protocol) => `${protocol} 0.0.0.0/0 ::/0`);
    if (outbound.sort().join() !== everything.join()) return false;
    if (inbound.some(({ protocol }) => protocol !== "tcp")) return false;
    if (firewall.name === adminHostTag)
        return inbound.map(({ ports, kinds }) => `${ports} ${kinds}`).join() === "22 addresses";
    if (firewall.name === loadBalancerTag) {
        const mayEnter = ({ ports, kinds, sources }: (typeof inbound)[number]) =>
            ports === "22"
                ? kinds === "addresses" ||
                  (kinds === "addresses tags" && sources.tags?.join() === adminHostTag)
                : ports === String(metricsListener.port)
                  ? anyPeers.test(kinds)
                  : publicPorts.includes(ports) && kinds === "addresses";
        return inbound.every(mayEnter) && inbound.length >= 2;
    }
    const [own, ...more] = inbound.sort((a, b) => Number(b.ports === "0") - Number(a.ports === "0"));
    return (
        firewall.name === backendTag &&
        own?.ports === "0" &&
        own.kinds === "tags" &&
        own.sources.tags?.join() === loadBalancerTag &&
        more.every(({ ports, kinds }) => ports !== "0" && anyPeers.test(kinds))
    );
}

/** Without the kinds of which a rule names nobody. */
function peersOf(peers: FirewallPeers): Record<string, readonly (string | number)[]> {
    return Object.fromEntries(
        Object.entries(peers).flatMap(([kind, names]) => (names?.length ? [[kind, names] as const] : [])),
    );
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
