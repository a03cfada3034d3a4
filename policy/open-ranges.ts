import { isIPv6 } from "node:net";
import { isIpv4Range, isOpenToAll, mostAdminAddresses } from "../lib/ipv4-ranges";
import type { InboundRule } from "./facts";

/** The largest ranges that one organization was ever given: https://www.iana.org/numbers/allocations/ */
const widestIpv6Bits = 16;

export const ownRanges = `at most ${mostAdminAddresses} IPv4 addresses in all, and IPv6 ranges of /${widestIpv6Bits} and smaller`;

/** Those of the rules' ranges that open more than anybody's own network. */
export function openRanges(inbound: readonly InboundRule[]): string[] {
    const cidrs = inbound.flatMap(({ sourceAddresses = [] }) => sourceAddresses);
    const ipv4 = cidrs.filter(isIpv4Range);
    const ipv6 = cidrs.filter((cidr) => {
        const [address = "", bits] = cidr.split("/");
        return isIPv6(address) && bits !== undefined && Number(bits) < widestIpv6Bits;
    });
    return [...(isOpenToAll(ipv4) ? ipv4 : []), ...ipv6];
}

export function admitsSsh({ protocol, portRange = "all" }: InboundRule): boolean {
    if (protocol !== "tcp") return false;
    if (["all", "0", ""].includes(portRange)) return true;
    const [from = NaN, to = from] = portRange.split("-").map(Number);
    return from <= 22 && 22 <= to;
}
