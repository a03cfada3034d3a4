/**
 * A firewall of its own that lets one address reach SSH on a stack's load balancer, for the time of one run. When it
 * ends, and whose it is, stands in its name: whoever sweeps needs nothing but the account's list of firewalls.
 */
import { compactTime, readCompactTime } from "../../lib/compact-time";

export interface Admission {
    address: string;
    /** When it is to be swept, if nobody has removed it. */
    until: Date;
}

/**
 * The name of an admission: `<prefix>-admit-203.0.113.7-until-20260102T030405Z-5e0c1f77`, as a firewall's name may be.
 * https://docs.digitalocean.com/reference/api/reference/firewalls/
 *
 * @param run 8 hexadecimal digits that no other run has: no two firewalls of an account may have the same name, and two
 *     runs may begin in the same second.
 */
export function admissionName(prefix: string, { address, until }: Admission, run: string): string {
    return `${prefix}-admit-${address}-until-${compactTime(until)}-${run}`;
}

/** Reads {@link admissionName}; `undefined` if a firewall is no admission of this stack. */
export function readAdmission(prefix: string, name: string): Admission | undefined {
    const start = `${prefix}-admit-`;
    if (!name.startsWith(start)) return undefined;
    const [, address = "", time = ""] =
        /^([\d.]+)-until-(\w+)-[0-9a-f]{8}$/.exec(name.slice(start.length)) ?? [];
    const until = readCompactTime(time);
    return until && { address, until };
}

/** Whether it is past its time: its run was killed, or forgot it. */
export function isExpired(admission: Admission | undefined): boolean {
    return admission !== undefined && admission.until.getTime() < Date.now();
}

/**
 * The body of POST /v2/firewalls. It adds to the load balancer's own firewall: DigitalOcean lets in what any of a
 * droplet's firewalls lets in. It has no outbound rule: the other one has them.
 */
export function admissionFirewall(name: string, address: string, tag: string) {
    return {
        name,
        tags: [tag],
        inbound_rules: [{ protocol: "tcp", ports: "22", sources: { addresses: [`${address}/32`] } }],
    };
}
