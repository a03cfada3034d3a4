import { isIPv4 } from "node:net";
import * as digitalocean from "@pulumi/digitalocean";
import type { GetDropletsDroplet } from "@pulumi/digitalocean/types/output";
import type { ConfigValues, Findings } from "../lib/config-values";
import { lookUpNames, resolverVariable } from "../lib/dns";
import { identityOf } from "../lib/identity";
import { contains } from "../lib/ipv4-ranges";
import { recordName, recordsIn } from "../lib/zone";
import { undefinedIfNone } from "./not-found";

/** A droplet of the account, as far as it tells whose it is. */
type AddressedDroplet = Pick<GetDropletsDroplet, "id" | "tags">;

/**
 * Whether the account has the zone, and what of it is in the way: an A record beside ours gets half of the visitors, an
 * AAAA record those with IPv6, and beside a CNAME there can't be ours. Three requests, and one more for each address that
 * is there.
 *
 * @param droplets All of the account.
 */
export async function checkZone(
    { prefix = "", dnsZone = "", domains = [] }: ConfigValues,
    droplets: readonly AddressedDroplet[],
): Promise<Findings> {
    if (dnsZone === "") return { problems: [], warnings: [] };
    if ((await digitalocean.getDomain({ name: dnsZone }).catch(undefinedIfNone)) === undefined) {
        const problem =
            `'dnsZone' should be a domain that the account has, got ${dnsZone}; add it: doctl compute domain create ${dnsZone}, and ` +
            "have its registrar name ns1, ns2 and ns3.digitalocean.com";
        return { problems: [problem], warnings: [] };
    }
    const { records } = await digitalocean.getRecords({ domain: dnsZone });
    const domainOf = new Map(recordsIn(domains, dnsZone).map(({ domain, record }) => [record, domain]));
    const found = (wanted: string) =>
        records.flatMap(({ type, name, value }) => {
            const domain = type === wanted ? domainOf.get(name) : undefined;
            return domain === undefined ? [] : [{ domain, value }];
        });
    const addresses = [...new Set(found("A").map(({ value }) => value))];
    const own = loadBalancers(prefix, droplets);
    const isOurs = await Promise.all(addresses.map((address) => leadsTo(address, own)));
    const strangers = found("A").filter(({ value }) => !isOurs[addresses.indexOf(value)]);
    const list = `doctl compute domain records list ${dnsZone}`;
    return {
        // The API refuses an A record beside it.
        problems: found("CNAME").map(
            ({ domain, value }) =>
                `'domains' should have no name with a CNAME record in 'dnsZone', got ${domain}, which is one for ${value}: ` +
                `there can be no A record beside it; delete it (${list}), or take the name out of ` +
                "'domains', or leave 'dnsZone' empty and point the names here yourself",
        ),
        warnings: [
            ...strangers.map(
                ({ domain, value }) =>
                    `${domain} has a record in ${dnsZone} already, ${value}, which is not this stack's: beside ours it gets half of ` +
                    `the visitors; delete it when ours is there: ${list}`,
            ),
            // The load balancer has no IPv6: no such record is ours.
            ...found("AAAA").map(
                ({ domain, value }) =>
                    `${domain} has an AAAA record in ${dnsZone}, ${value}, which is not this stack's: visitors with IPv6 go there, and ` +
                    `so does an authority that is asked for a certificate; delete it: ${list}`,
            ),
        ],
    };
}

/** The stack's own, by their ids: two while one is replaced. */
function loadBalancers(prefix: string, droplets: readonly AddressedDroplet[]): ReadonlySet<number> {
    const { loadBalancerTag } = identityOf(prefix);
    return new Set(droplets.filter(({ tags }) => tags.includes(loadBalancerTag)).map(({ id }) => id));
}

/** Whether it is a reserved IP of the account that leads to one of these droplets. */
async function leadsTo(ipAddress: string, droplets: ReadonlySet<number>): Promise<boolean> {
    if (!isIPv4(ipAddress)) return false;
    const found = await digitalocean.getReservedIp({ ipAddress }).catch(undefinedIfNone);
    return found !== undefined && droplets.has(found.dropletId);
}

const advice =
    "it should have one A record, the reserved IP (pulumi stack output loadBalancerIp), and no AAAA record; until then its " +
    "visitors do not come here, and no authority gives a certificate for it";

/**
 * Warnings of names that lead elsewhere than here or to trusted proxies, by what DNS says now, within seconds. There are
 * none before the first load balancer: nothing to compare with; nor where DNS or the account does not say.
 *
 * @param droplets All of the account.
 */
export async function checkDomains(
    { prefix = "", domains = [], dnsZone = "", trustedProxies = [] }: ConfigValues,
    droplets: readonly AddressedDroplet[],
): Promise<string[]> {
    const own = loadBalancers(prefix, droplets);
    // Records in the zone are made here, and judged where the zone is.
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
