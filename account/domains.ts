import { isIPv4 } from "node:net";
import { lookUpNames, resolverVariable } from "../lib/dns";
import { contains } from "../lib/ipv4-ranges";
import { recordName } from "../lib/zone";
import { type AddressedDroplet, leadsTo, loadBalancers } from "./zone";

/** What of the config says where the names should lead. A key that is missing was refused already. */
interface NamesWanted {
    prefix?: string;
    domains?: readonly string[];
    /** Records in it are made here, and judged where the zone is. Empty: DNS is somebody else's. */
    dnsZone?: string;
    /** Names may lead to these. */
    trustedProxies?: readonly string[];
}

const advice =
    "it should have one A record, the reserved IP (pulumi stack output loadBalancerIp), and no AAAA record; until then its " +
    "visitors do not come here, and no authority gives a certificate for it";

/**
 * Warnings of names that lead elsewhere, by what DNS says now, within seconds. There are none before the first load
 * balancer: nothing to compare with; nor where DNS or the account does not say.
 *
 * @param droplets All of the account.
 */
export async function checkDomains(
    wanted: NamesWanted,
    droplets: readonly AddressedDroplet[],
): Promise<string[]> {
    const { prefix = "", domains = [], dnsZone = "", trustedProxies = [] } = wanted;
    const own = loadBalancers(prefix, droplets);
    const names = domains.filter((domain) => dnsZone === "" || recordName(domain, dnsZone) === undefined);
    if (own.size === 0 || names.length === 0) return [];
    const found = await lookUpNames(names, process.env[resolverVariable]);
    const isOurs = async (address: string) => {
        if (!isIPv4(address)) return trustedProxies.length > 0;
        return contains(trustedProxies, address) || (await leadsTo(address, own).catch(() => true));
    };
    const warnings = names.map(async (name, index): Promise<string[]> => {
        const addresses = found[index];
        if (addresses?.length === 0) return [`${name} has no address in DNS: ${advice}`];
        const right = await Promise.all((addresses ?? []).map(isOurs));
        const wrong = (addresses ?? []).filter((_, i) => !right[i]);
        return wrong.length === 0
            ? []
            : [`${name} leads to ${wrong.join(", ")}, which is not this stack's load balancer: ${advice}`];
    });
    return (await Promise.all(warnings)).flat();
}
