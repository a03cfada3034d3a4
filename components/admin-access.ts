import { createSocket } from "node:dgram";
import { BlockList, isIPv4 } from "node:net";
import { refusal } from "../refusal";

/**
 * Refuses at once what would otherwise be minutes of dialling into a firewall that drops everything: an
 * `adminCidrs` that does not hold the address with which this machine reaches the load balancer.
 *
 * Behind NAT the Internet sees another address than the machine itself does: then nothing can be said here.
 *
 * @param adminCidrs IPv4 ranges.
 * @param address The load balancer's own public address; returned as it is.
 * @throws RunError that names the address to add.
 */
export async function reachableFrom(adminCidrs: readonly string[], address: string): Promise<string> {
    const source = await sourceAddress(address);
    if (source === undefined || contains(notOnTheInternet, source) || contains(adminCidrs, source))
        return address;
    throw refusal(
        `adminCidrs does not hold ${source}, the address from which this machine would reach the load balancer ` +
            `(${address}) by SSH; it holds ${adminCidrs.join(", ")}. ` +
            `Add it: pulumi config set --path 'adminCidrs[${adminCidrs.length}]' ${source}/32`,
    );
}

/** Ranges whose addresses are translated before they reach the Internet: RFC 1918, RFC 6598, loopback, link-local. */
const notOnTheInternet = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
];

/** Whether an IPv4 address lies in one of the ranges. */
export function contains(cidrs: readonly string[], address: string): boolean {
    const list = new BlockList();
    for (const cidr of cidrs) {
        const [network = "", bits] = cidr.split("/");
        list.addSubnet(network, Number(bits), "ipv4");
    }
    return list.check(address, "ipv4");
}

/** The address that the kernel would use to reach `target`; no packet is sent. Undefined where there is no route. */
async function sourceAddress(target: string): Promise<string | undefined> {
    if (!isIPv4(target)) return undefined;
    const socket = createSocket("udp4");
    try {
        return await new Promise<string | undefined>((resolve) => {
            socket.once("error", () => {
                resolve(undefined);
            });
            socket.connect(9, target, () => {
                resolve(socket.address().address);
            });
        });
    } finally {
        socket.close();
    }
}
