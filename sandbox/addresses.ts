import { isIPv4 } from "node:net";

/** An IPv4 range: its first address as a number, and how many addresses it has. */
export interface Range {
    first: number;
    count: number;
}

/** `10.1.0.0/16` as a range; undefined if it is none, or if bits are set beyond the prefix. */
export function parseCidr(text: string): Range | undefined {
    const [address = "", prefix = "", ...rest] = text.split("/");
    if (!isIPv4(address) || !/^\d{1,2}$/.test(prefix) || Number(prefix) > 32 || rest.length > 0)
        return undefined;
    const range = { first: toNumber(address), count: 2 ** (32 - Number(prefix)) };
    return range.first % range.count === 0 ? range : undefined;
}

/** The range of a CIDR that the sandbox itself wrote; throws if it is none. */
export function range(cidr: string): Range {
    const parsed = parseCidr(cidr);
    if (!parsed) throw new Error(`${cidr} is no IPv4 range`);
    return parsed;
}

export function overlap(a: Range, b: Range): boolean {
    return a.first < b.first + b.count && b.first < a.first + a.count;
}

export function contains(outer: Range, inner: Range): boolean {
    return inner.first >= outer.first && inner.first + inner.count <= outer.first + outer.count;
}

/** `45.55.96.40` as 758604840: also what the API calls a reserved IP by in actions. */
export function toNumber(address: string): number {
    return address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
}

export function toAddress(number: number): string {
    return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join(".");
}

/** The netmask of a CIDR, dotted. */
export function netmask(cidr: string): string {
    return toAddress(2 ** 32 - range(cidr).count);
}

/** The first usable address: the gateway's in every range of the sandbox. */
export function gateway(cidr: string): string {
    return toAddress(range(cidr).first + 1);
}

/**
 * The lowest address of `cidr` that is not taken, never the network's, the gateway's or the last (broadcast).
 * `half` splits a range between two kinds of use. Undefined when all are taken.
 */
export function lowestFreeAddress(
    cidr: string,
    taken: ReadonlySet<string>,
    half: "all" | "lower" | "upper" = "all",
): string | undefined {
    const { first, count } = range(cidr);
    const start = first + (half === "upper" ? count / 2 : 2);
    const end = first + (half === "lower" ? count / 2 : count - 1);
    for (let number = start; number < end; number++) {
        const address = toAddress(number);
        if (!taken.has(address)) return address;
    }
    return undefined;
}

/** The lowest range with that prefix in `pool` that overlaps none of `taken`. Undefined when there is none. */
export function lowestFreeRange(pool: string, prefix: number, taken: readonly string[]): string | undefined {
    const { first, count } = range(pool);
    const used = taken.map(range);
    const size = 2 ** (32 - prefix);
    for (let start = first; start + size <= first + count; start += size) {
        if (!used.some((other) => overlap(other, { first: start, count: size }))) {
            return `${toAddress(start)}/${prefix}`;
        }
    }
    return undefined;
}
