import { isIPv4 } from "node:net";

/** Every address, of both kinds: as a firewall names them. */
export const anywhere = ["0.0.0.0/0", "::/0"];

/** Nobody on the Internet: https://www.rfc-editor.org/rfc/rfc1918 */
export const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/** Whether a value is `a.b.c.d/bits` without bits set behind the mask. */
export function isIpv4Range(value: unknown): value is string {
    const [address = "", bits = "", ...more] = typeof value === "string" ? value.split("/") : [];
    if (!isIPv4(address) || more.length > 0 || !/^\d{1,2}$/.test(bits) || Number(bits) > 32) return false;
    const { first, size } = bounds(`${address}/${bits}`);
    return first % size === 0;
}

/** Whether an IPv4 address lies in one of the ranges. */
export function contains(cidrs: readonly string[], address: string): boolean {
    return cidrs.some((cidr) => within(cidr, `${address}/32`));
}

/** Whether all of a range lies in another one. */
export function within(outer: string, inner: string): boolean {
    const [all, part] = [bounds(outer), bounds(inner)];
    return part.first >= all.first && part.first + part.size <= all.first + all.size;
}

/**
 * How many addresses may reach SSH without more ado: two /8. That is the largest block that was ever given to one
 * holder, and 10.0.0.0/8 beside it; more is nobody's own network.
 * https://www.iana.org/assignments/ipv4-address-space/
 */
export const mostAdminAddresses = 2 ** 25;

/** Whether ranges hold more than {@link mostAdminAddresses}: all of the Internet, or much of it. */
export function isOpenToAll(cidrs: readonly string[]): boolean {
    return addressCount(cidrs) > mostAdminAddresses;
}

/** How many IPv4 addresses lie in at least one of the ranges. */
export function addressCount(cidrs: readonly string[]): number {
    let count = 0;
    let end = 0;
    for (const { first, size } of cidrs.map(bounds).sort((a, b) => a.first - b.first)) {
        count += Math.max(first + size - Math.max(first, end), 0);
        end = Math.max(end, first + size);
    }
    return count;
}

/** The number of a range's first address, and how many addresses it has. */
function bounds(cidr: string): { first: number; size: number } {
    const [network = "", bits] = cidr.split("/");
    const first = network.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
    return { first, size: 2 ** (32 - Number(bits)) };
}
