import * as digitalocean from "@pulumi/digitalocean";
import * as pulumi from "@pulumi/pulumi";
import { types } from "../lib/identity";
import { recordsIn } from "../lib/zone";
import type { PublicAddress } from "./public-address";

export interface DnsRecordsArgs {
    /** A domain that the account has: never made, changed or deleted here. */
    zone: string;
    /** How long resolvers may keep an answer, in seconds. */
    ttl: number;
    /** Host names; those of other zones are left to others. */
    domains: readonly string[];
    /** Where they lead. */
    address: PublicAddress;
}

/** An A record for each of the names in a zone. They cost nothing. */
export class DnsRecords extends pulumi.ComponentResource {
    /** What has to be there before the names lead to the address. */
    readonly records: pulumi.Resource[];

    constructor(name: string, args: DnsRecordsArgs, opts?: pulumi.ComponentResourceOptions) {
        const { zone, ttl, domains, address } = args;
        const own = recordsIn(domains, zone);
        const shown = { dnsZone: zone, dnsTtl: ttl, records: own.map(({ domain }) => domain) };
        super(types.dns, name, shown, opts);
        this.records = own.map(
            ({ domain, record }) =>
                new digitalocean.DnsRecord(
                    `${name}-${domain}`,
                    { domain: zone, type: "A", name: record, value: address.ip, ttl },
                    // A name leads nowhere before the address does.
                    { parent: this, dependsOn: [address.assigned] },
                ),
        );
        this.registerOutputs({});
    }
}
