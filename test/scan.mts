import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { toAddress, toNumber } from "../sandbox/addresses.ts";
import { run } from "../sandbox/host.ts";
import { METADATA_ADDRESS, MIRROR_PORT, netnsOf, uplinkOf } from "../sandbox/region/names.ts";
import type { World } from "./world.mts";

export { METADATA_ADDRESS, MIRROR_PORT };

/** Where packets start. */
export interface Vantage {
    /** For people. */
    name: string;
    /** The address that they come from, and the interface that has it. @default the kernel's choice */
    source?: { address: string; device: string };
    /** A droplet's network namespace. @default the host's, which plays the Internet */
    netns?: string;
}

/** A droplet as its neighbours see it. */
export interface Host {
    id: number;
    publicIp: string;
    privateIp: string;
}

/** Two on the Internet: the one that `adminCidrs` holds, and one that it does not. */
export async function onTheInternet({ instance }: World): Promise<{ operator: Vantage; stranger: Vantage }> {
    const device = uplinkOf(instance);
    const { uplinkHost } = instance.addresses;
    const second = toAddress(toNumber(uplinkHost) + 1);
    await run("ip", ["address", "replace", `${second}/24`, "dev", device]);
    return {
        operator: { name: "adminCidrs", source: { address: uplinkHost, device } },
        stranger: { name: "the Internet", source: { address: second, device } },
    };
}

/** In a droplet. */
export function inside(world: World, name: string, { id }: Host): Vantage {
    return { name, netns: netnsOf(world.instance, id) };
}

/** The words that make a command start there. */
function at({ netns }: Pick<Vantage, "netns">): string[] {
    return netns === undefined ? [] : [`--net=/run/netns/${netns}`];
}

/** The account's droplets by their names in state: `web-0`, `load-balancer`. */
export async function hostsOf(world: World): Promise<Record<string, Host>> {
    const { droplets } = (await world.api("droplets?per_page=200")) as {
        droplets: {
            id: number;
            name: string;
            networks: { v4: { type: string; ip_address: string }[] };
        }[];
    };
    const hosts = droplets.map(({ id, name, networks }): [string, Host] => {
        const address = (wanted: string) =>
            networks.v4.find(({ type }) => type === wanted)?.ip_address ?? "(none yet)";
        const host = { id, publicIp: address("public"), privateIp: address("private") };
        return [name.replace(/-[0-9a-f]{7}$/, ""), host];
    });
    return Object.fromEntries(hosts);
}

/** What nmap is told for each kind of scan; what does not answer is asked once more. https://nmap.org/book/man.html */
const scans = {
    /** All 65,535 ports. */
    tcp: ["-sS", "-p-", "-Pn", "--min-rate", "50000", "--max-retries", "1"],
    /** The hundred that are most often open. */
    udp: ["-sU", "--top-ports", "100", "-Pn", "--min-rate", "1000", "--max-retries", "1"],
    ping: ["-sn", "-PE", "--max-retries", "1"],
};

/**
 * Scans with nmap.
 *
 * @returns For each address, in the order given, what answers: port numbers, or `ping`. Silence and refusals are
 *   nothing (for UDP "open|filtered" is silence).
 */
export async function scan(
    from: Vantage,
    addresses: string[],
    kind: keyof typeof scans,
): Promise<Record<string, (number | "ping")[]>> {
    const source = from.source ? ["-S", from.source.address, "-e", from.source.device] : [];
    const nmap = ["nmap", "-n", "--disable-arp-ping", ...scans[kind], ...source, "-oG", "-", ...addresses];
    const text = await run("nsenter", [...at(from), ...nmap]);
    const scanned = /# Nmap done .* -- (\d+) IP/.exec(text)?.[1];
    if (scanned !== String(addresses.length))
        throw new Error(`nmap scanned ${scanned ?? "nothing"} instead of ${addresses.length}:\n${text}`);
    return Object.fromEntries(
        addresses.map((address) => {
            const lines = text.split("\n").filter((line) => line.startsWith(`Host: ${address} `));
            const ports = [...lines.join("\n").matchAll(/(\d+)\/open\//g)].map(([, port]) => Number(port));
            const up = lines.some((line) => line.endsWith("Status: Up"));
            return [address, kind === "ping" && up ? ["ping"] : ports];
        }),
    );
}

/** Somebody who dials all the time. */
export interface Watch {
    /** `address:port` of what opened so far, in the order in which it did. */
    open: string[];
    /** Ends it; resolves with how often it dialled. */
    stop: () => Promise<number>;
}

/** Dials ports of addresses every 50 ms, from now on. */
export async function watchPorts(from: Vantage, addresses: string[], ports: number[]): Promise<Watch> {
    const targets = addresses.flatMap((address) => ports.map((port) => `${address}:${port}`));
    const script = fileURLToPath(new URL("prober.mjs", import.meta.url));
    const args = [process.execPath, script, from.source?.address ?? "", "50", ...targets];
    const child = spawn("nsenter", [...at(from), ...args], {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(child, "spawn");
    const open: string[] = [];
    const total = new Promise<number>((resolve, reject) => {
        child.on("message", (message: { open: string } | { dials: number }) => {
            if ("open" in message) open.push(message.open);
            else resolve(message.dials);
        });
        child.once("exit", () => {
            reject(new Error("the prober ended before it was told to"));
        });
    });
    total.catch(() => undefined); // reported by `stop`
    return {
        open,
        stop: () => {
            if (child.connected) child.send("end");
            return total;
        },
    };
}

/** Sockets on which a process waits for others, in a network namespace: `tcp 127.0.0.1:8080`; sorted. */
export async function listening(pid: number, netns?: string): Promise<string[]> {
    const text = await run("nsenter", [...at(netns === undefined ? {} : { netns }), "ss", "-Hlnutp"]);
    const lines = text.split("\n").filter((line) => line.includes(`pid=${pid},`));
    return lines
        .map((line) => line.split(/\s+/))
        .map(([type, , , , local]) => `${type} ${local}`)
        .sort();
}
