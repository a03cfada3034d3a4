import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv4 } from "node:net";
import * as pulumi from "@pulumi/pulumi";
import type { LoadBalancerArgs } from "../components/load-balancer";
import { refusal } from "../components/refusal";
import { keyOf, otherHostKey, shownKey } from "../lib/host-key";
import { admittedVariable } from "../lib/identity";
import { contains, isIpv4Range, isOpenToAll, privateRanges } from "../lib/ipv4-ranges";

/**
 * What can be known before anything dials: that this machine may reach SSH there, and, in an `up`, that the host is the
 * right one. A preview sends the host no packet.
 *
 * @param adminCidrs IPv4 ranges of the stack's config.
 * @param admitted Value of {@link admittedVariable}.
 * @throws RunError where `admitted` is no list of ranges; so does the check, where SSH would be refused.
 */
export function checkAccess(adminCidrs: readonly string[], admitted = ""): LoadBalancerArgs["checkAccess"] {
    const ranges = admittedRanges(admitted);
    return async (address, hostKey) => {
        await reachableFrom(adminCidrs, address, ranges);
        return pulumi.runtime.isDryRun() ? address : expectHostKey(address, hostKey);
    };
}

/**
 * Refuses at once what would otherwise be minutes of dialling into a firewall that drops everything: an
 * `adminCidrs` that does not hold the address with which this machine reaches the load balancer.
 *
 * Behind NAT the Internet sees another address than the machine itself does: then nothing can be said here.
 *
 * @param adminCidrs IPv4 ranges of the stack's config.
 * @param address The load balancer's own public address; returned as it is.
 * @param admitted Ranges that may reach it for the time of this run.
 * @throws RunError that names the address to add.
 */
export async function reachableFrom(
    adminCidrs: readonly string[],
    address: string,
    admitted: readonly string[] = [],
): Promise<string> {
    const source = await sourceAddress(address);
    const allowed = [...adminCidrs, ...admitted];
    if (source === undefined || contains(notOnTheInternet, source) || contains(allowed, source))
        return address;
    throw refusal(
        `adminCidrs does not hold ${source}, the address from which this machine would reach the load balancer ` +
            `(${address}) by SSH; it holds ${adminCidrs.join(", ")}. ` +
            `Add it: pulumi config set --path 'adminCidrs[${adminCidrs.length}]' ${source}/32`,
    );
}

/** How long a host may take to show its key, in seconds; one that is silent for longer is the dialling's business. */
const scanSeconds = 5;

/**
 * Refuses a host that shows another SSH host key than the program gave it, in words that name both. The connection
 * itself refuses it too, but dials for minutes, and says only that there is a mismatch.
 *
 * Asks by `ssh-keyscan`. A host that does not answer (it boots, or a firewall is in between) passes: what dials next
 * waits for it, and checks its key.
 *
 * @param address Where SSH listens; returned as it is.
 * @param expected The host's public key, as one line of type, key and comment.
 * @throws RunError that names the key expected, the key found, and what to do.
 */
export async function expectHostKey(address: string, expected: string): Promise<string> {
    const [type = ""] = expected.split(" ");
    const found = isIPv4(address) ? shownKey(await scan(address, type)) : undefined;
    if (found !== undefined && found !== keyOf(expected)) {
        throw refusal(`SSH to root@${address}: ${otherHostKey(expected, found)}`);
    }
    return address;
}

/**
 * The ranges in a value of {@link admittedVariable}; none where it is empty.
 *
 * @throws RunError that names each entry that is no range.
 */
export function admittedRanges(value: string): string[] {
    const ranges = value
        .split(",")
        .map((range) => range.trim())
        .filter((range) => range !== "");
    const wrong = ranges.filter((range) => !isIpv4Range(range) || isOpenToAll([range]));
    if (wrong.length > 0)
        throw refusal(
            `${admittedVariable} should be IPv4 ranges separated by commas, such as 203.0.113.9/32, not of the whole ` +
                `Internet, got ${wrong.join(", ")}; set it right, or unset it`,
        );
    return ranges;
}

/** Ranges whose addresses are translated before they reach the Internet: RFC 1918, RFC 6598, loopback, link-local. */
const notOnTheInternet = [...privateRanges, "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"];

/** The address that the kernel would use to reach `target`; no packet is sent. Undefined where there is no route. */
async function sourceAddress(target: string): Promise<string | undefined> {
    if (!isIPv4(target)) return undefined;
    const socket = createSocket("udp4");
    try {
        socket.connect(9, target);
        await once(socket, "connect");
        return socket.address().address;
    } catch {
        return undefined;
    } finally {
        socket.close();
    }
}

/** What `ssh-keyscan` prints; nothing where it fails, or where there is no such command. */
function scan(address: string, type: string): Promise<string> {
    const args = ["-T", String(scanSeconds), "-t", type.replace(/^ssh-/, ""), address];
    // ssh-keyscan's own bound does not hold while a host sends its banner byte by byte.
    const options = { timeout: (scanSeconds + 1) * 1000 };
    return new Promise((resolve) => {
        execFile("ssh-keyscan", args, options, (_error, stdout) => {
            resolve(stdout);
        });
    });
}
