import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { ExecaError } from "execa";
import pLimit from "p-limit";
import { gateway } from "../addresses.ts";
import { requireLinuxRoot, run } from "../host.ts";
import type { Instance } from "../instance.ts";
import type { Traffic } from "../machines.ts";
import type { Cloud, Droplet } from "../model.ts";
import { METADATA_ADDRESS, netnsOf, portsOf, UPLINK_IN_ROUTER, uplinkOf } from "./names.ts";
import { renderHostGuard, renderRules, reservedIpPairs } from "./rules.ts";
import { startServices } from "./services.ts";

/** Where `ip netns` keeps its namespaces. */
const NETNS_FOLDER = "/run/netns";

/** Worse than any route that a person or a routing daemon sets, so that it counts only when theirs is gone. */
const LAST_RESORT_METRIC = 4_278_198_272;

/** Where a flow has the addresses of its droplet, which are behind the NAT, and where a reserved IP. */
const OWN_SIDES = ["--orig-src", "--reply-src"];
const RESERVED_SIDES = ["--orig-dst", "--reply-dst"];

/**
 * The network of one sandbox: a router in a namespace of its own, with one cable to the host ("the Internet")
 * and two to each droplet (public and VPC side). There is no bridge: every packet between droplets crosses the
 * router, where the cloud firewalls are. All of it is kernel state, which goes on without this process; only
 * metadata, DNS and package mirror are served from here.
 *
 * Every method rejects with an Error of one line. Needs root, and `ip`, `nft`, `conntrack`, `nsenter`, `sysctl`.
 */
export class Region {
    readonly #instance: Instance;
    readonly #transactions = pLimit(1);
    #cloud: Cloud | undefined;
    #services: { close(): Promise<void> } | undefined;
    #holders = new Map<string, string>();

    constructor(instance: Instance) {
        this.#instance = instance;
    }

    /** Makes or adopts the router and its cable, guards the host, and serves. Once, before any other method. */
    async start(cloud: Cloud): Promise<void> {
        requireLinuxRoot();
        const { id, addresses } = this.#instance;
        const uplink = uplinkOf(this.#instance);
        await run("conntrack", ["--version"]); // needed only when something goes: better missed now

        await run("nft", ["-f", "-"], { input: renderHostGuard(this.#instance) });
        await ip(this.#blackholes("replace"));
        if (!existsSync(`${NETNS_FOLDER}/${id}`)) await ip([`netns add ${id}`]);
        if (!existsSync(`/sys/class/net/${uplink}`)) {
            await ip([`link add ${uplink} type veth peer name ${UPLINK_IN_ROUTER} netns ${id}`]);
        }
        await this.#sysctl({
            "ipv4.ip_forward": 1,
            "ipv4.conf.all.rp_filter": 1,
            [`ipv4.conf.${UPLINK_IN_ROUTER}.rp_filter`]: 1,
        });
        await ip(
            [
                `addr replace ${addresses.uplinkRouter}/24 dev ${UPLINK_IN_ROUTER}`,
                `addr replace ${METADATA_ADDRESS}/32 dev lo`,
                "link set lo up",
                `link set ${UPLINK_IN_ROUTER} up`,
                // What no droplet holds is the router's: it answers ARP for reserved IPs, and swallows the rest.
                `route replace local ${addresses.publicCidr} dev lo table main`,
            ],
            id,
        );
        // Before the rules: a second process for the same instance fails here, and has changed nothing.
        this.#services ??= await startServices(this.#instance, () => this.#cloud ?? cloud);
        await this.sync(cloud);
    }

    /**
     * Makes firewalls, tags, VPCs and reserved IPs what `cloud` says, in one transaction; calls queue up.
     * Flows through a reserved IP that moved are cut: their new droplet answers with a reset, and the client
     * connects again. Otherwise it would hold on to the old droplet for as long as its connection lives, which
     * may be for ever; DigitalOcean does not say what becomes of it there.
     */
    async sync(cloud: Cloud): Promise<void> {
        this.#cloud = cloud;
        await this.#transactions(async () => {
            await this.#raiseUplink();
            await this.#inRouter("nft", ["-f", "-"], renderRules(cloud, this.#instance));
            const holders = new Map(reservedIpPairs(cloud));
            const moved = [...this.#holders.keys()].filter(
                (address) => this.#holders.get(address) !== holders.get(address),
            );
            this.#holders = holders;
            await Promise.all(moved.map((address) => this.#cut(address, RESERVED_SIDES)));
        });
    }

    /**
     * Gives a droplet that is off a new namespace with `eth0` and `eth1`, both down and without addresses, and
     * connects the router's ends. Whatever the droplet's last boot left in the network is gone. Its firewalls
     * hold from the first packet; until a `sync` has told of it, nothing passes.
     */
    async attach(droplet: Droplet): Promise<void> {
        const { id: router, addresses } = this.#instance;
        const vpc = this.#cloud?.vpcs.find(({ id }) => id === droplet.vpcUuid);
        if (!vpc)
            throw new Error(
                `droplet ${droplet.id} is in VPC ${droplet.vpcUuid}, which the region was not told of`,
            );
        await this.#removePorts(droplet.id);
        const netns = netnsOf(this.#instance, droplet.id);
        const ports = portsOf(droplet.id);
        await ip([`netns add ${netns}`]);
        await ip(
            Object.values(ports).map(
                ({ inside, outside, mac }) =>
                    `link add ${outside} type veth peer name ${inside} address ${mac} netns ${netns}`,
            ),
            router,
        );
        await this.#sysctl(
            Object.fromEntries(
                Object.values(ports).flatMap(({ outside }) => [
                    // Strict: who takes another's address is not heard. Said for each, as what it inherits from
                    // the host may be looser, and would win. https://docs.kernel.org/networking/ip-sysctl.html
                    [`ipv4.conf.${outside}.rp_filter`, 1],
                    // The droplet takes its whole subnet for its neighbours; the router answers for them, at once.
                    [`ipv4.conf.${outside}.proxy_arp`, 1],
                    [`ipv4.neigh.${outside}.proxy_delay`, 0],
                ]),
            ),
        );
        await ip(
            [
                `addr add ${addresses.publicGateway} peer ${droplet.publicIp}/32 dev ${ports.public.outside}`,
                `addr add ${addresses.anchorGateway} peer ${droplet.anchorIp}/32 dev ${ports.public.outside}`,
                `addr add ${gateway(vpc.ipRange)} peer ${droplet.privateIp}/32 dev ${ports.private.outside}`,
                ...Object.values(ports).map(({ outside }) => `link set ${outside} up`),
            ],
            router,
        );
    }

    /** What has passed its cables since they were laid, which is when it was switched on. */
    async traffic(dropletId: number): Promise<Traffic> {
        const args = ["-n", this.#instance.id, "-s", "-j", "link", "show"];
        const links = JSON.parse(await run("ip", args)) as LinkStatistics[];
        const { public: outer, private: inner } = portsOf(dropletId);
        const bytes = (port: string) => {
            const { rx, tx } = links.find(({ ifname }) => ifname === port)?.stats64 ?? {};
            // What the router gets, the droplet has sent.
            return { inbound: tx?.bytes ?? 0, outbound: rx?.bytes ?? 0 };
        };
        return { public: bytes(outer.outside), private: bytes(inner.outside) };
    }

    /** Removes a droplet's namespace and cables and ends its flows. No error when there is nothing. */
    async detach(dropletId: number): Promise<void> {
        const addresses = await this.#removePorts(dropletId);
        await Promise.all(addresses.map((address) => this.#cut(address, OWN_SIDES)));
    }

    /** Forgets flows: what still arrives of them is judged anew, by today's rules. */
    async #cut(address: string, sides: string[]): Promise<void> {
        await Promise.all(sides.map((side) => this.#forget(side, address)));
    }

    async #forget(side: string, address: string): Promise<void> {
        await this.#inRouter("conntrack", ["-D", side, address]).catch((error: unknown) => {
            // A flow that ends between its listing and its deletion ends the whole command: once more.
            if (String(error).includes("such conntrack doesn't exist")) return this.#forget(side, address);
            if (!String(error).includes(" 0 flow entries")) throw error; // its exit status is 1 then
        });
    }

    /** Ends what this process serves; the network stays as it is. */
    async stop(): Promise<void> {
        await this.#services?.close();
        this.#services = undefined;
    }

    /** Removes all that carries this instance's name from the host, whoever made it; machines have ended before. */
    async purge(): Promise<void> {
        requireLinuxRoot();
        await this.stop();
        const { id } = this.#instance;
        const ours = (names: string[]) => names.filter((name) => name === id || name.startsWith(`${id}-`));
        await ip(ours(await readdir("/sys/class/net")).map((link) => `link del ${link}`));
        const namespaces = existsSync(NETNS_FOLDER) ? await readdir(NETNS_FOLDER) : [];
        await ip(ours(namespaces).map((namespace) => `netns del ${namespace}`));
        await ip([...this.#blackholes("replace"), ...this.#blackholes("del")]); // del alone fails on a missing one
        await run("nft", ["-f", "-"], { input: `table inet ${id}\ndelete table inet ${id}\n` });
    }

    /** Without the cable, packets for this instance end here instead of at the host's default gateway. */
    #blackholes(verb: "replace" | "del"): string[] {
        const { publicCidr, uplinkCidr } = this.#instance.addresses;
        return [publicCidr, uplinkCidr].map(
            (range) => `route ${verb} unreachable ${range} metric ${LAST_RESORT_METRIC}`,
        );
    }

    /** Also brings back the route that a cable silently loses when somebody sets it down and up. */
    async #raiseUplink(): Promise<void> {
        const { publicCidr, uplinkHost, uplinkRouter } = this.#instance.addresses;
        const uplink = uplinkOf(this.#instance);
        await ip([
            `addr replace ${uplinkHost}/24 dev ${uplink}`,
            `link set ${uplink} up`,
            `route replace ${publicCidr} via ${uplinkRouter} dev ${uplink} src ${uplinkHost}`,
        ]);
    }

    /** Resolves with the addresses that the droplet had. */
    async #removePorts(dropletId: number): Promise<string[]> {
        const router = this.#instance.id;
        const names: string[] = Object.values(portsOf(dropletId)).map(({ outside }) => outside);
        const links = JSON.parse(await run("ip", ["-n", router, "-j", "addr", "show"])) as Link[];
        const present = links.filter(({ ifname }) => names.includes(ifname));
        // The cables first: a namespace ends some time after its name is gone, and its cables with it.
        await ip(
            present.map(({ ifname }) => `link del ${ifname}`),
            router,
        );
        const netns = netnsOf(this.#instance, dropletId);
        if (existsSync(`${NETNS_FOLDER}/${netns}`)) await ip([`netns del ${netns}`]);
        return present
            .flatMap(({ addr_info }) => addr_info.map(({ address }) => address ?? ""))
            .filter(Boolean);
    }

    async #sysctl(values: Record<string, number>): Promise<void> {
        const settings = Object.entries(values).map(([name, value]) => `net.${name}=${value}`);
        await this.#inRouter("sysctl", ["-q", "-w", ...settings]);
    }

    async #inRouter(command: string, args: string[], input = ""): Promise<string> {
        return run("nsenter", [`--net=${NETNS_FOLDER}/${this.#instance.id}`, command, ...args], { input });
    }
}

/** `ip -j addr`, as far as it is read here; `address` is the far end of a point-to-point address. */
interface Link {
    ifname: string;
    addr_info: { address?: string }[];
}

/** `ip -s -j link`, as far as it is read here. */
interface LinkStatistics {
    ifname: string;
    stats64?: Record<"rx" | "tx", { bytes: number }>;
}

/** Runs `ip` once for all lines; the first that fails ends it, and is named. */
async function ip(lines: string[], netns?: string): Promise<void> {
    if (lines.length === 0) return;
    const args = [...(netns ? ["-n", netns] : []), "-batch", "-"];
    await run("ip", args, { input: `${lines.join("\n")}\n` }).catch((error: unknown) => {
        const said =
            error instanceof Error && error.cause instanceof ExecaError ? error.cause.stderr : undefined;
        const [, number] = /Command failed -:(\d+)/.exec(String(said)) ?? [];
        if (number === undefined) throw error;
        const line = lines[Number(number) - 1] ?? "";
        throw new Error(`ip ${line}: ${String(said).split("\n")[0]}`, { cause: error });
    });
}
