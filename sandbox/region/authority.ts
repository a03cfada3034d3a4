import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, open, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { firstLine, type Log, run } from "../host.ts";
import type { Instance } from "../instance.ts";
import type { Cloud } from "../model.ts";
import { buildGoTool, type GoTool } from "../offline-engine/build-cli.ts";
import { AUTHORITY_IN_ROUTER, authorityNetns } from "./names.ts";

/** Let's Encrypt's names (https://letsencrypt.org/docs/staging-environment/), and how long certificates last. */
const LIFETIME_SECONDS: Readonly<Record<string, number>> = {
    "acme-v02.api.letsencrypt.org": 90 * 24 * 3600,
    // So short that a renewal can be waited for.
    "acme-staging-v02.api.letsencrypt.org": 300,
};

const TOOL: GoTool = {
    module: path.join(import.meta.dirname, "authority"),
    package: "example.invalid/sandbox/authority",
    versionOf: "github.com/letsencrypt/pebble/v2",
    title: "Pebble",
    takes: "about half a minute",
    needsMiB: 50,
};
const START_SECONDS = 30;
const END_SECONDS = 10;

/**
 * Builds the authority's program, once. @throws what {@link buildGoTool} throws.
 */
export function buildAuthority(log: Log): Promise<string> {
    return buildGoTool(TOOL, log, process.env);
}

/** Folder of what droplets see of the authority; it has the file {@link rootsFile}, once there is one. */
export function trustFolder({ stateDir }: Pick<Instance, "stateDir">): string {
    return path.join(stateDir, "trust");
}

/**
 * The roots of all certificates that a sandbox has ever issued, PEM, the newest first: for `curl --cacert` and a
 * browser on the host. Droplets have them in their own trust store. It is there from the first domain on.
 */
export function rootsFile(instance: Pick<Instance, "stateDir">): string {
    return path.join(trustFolder(instance), "roots.pem");
}

/** What the region's DNS says of Let's Encrypt: nothing, while the account has no domain and the authority is off. */
export function letsEncryptNames({ addresses }: Instance, { domains }: Pick<Cloud, "domains">) {
    const names = domains.length > 0 ? Object.keys(LIFETIME_SECONDS) : [];
    return Object.fromEntries(names.map((name) => [name, addresses.authority]));
}

/**
 * The region's certificate authority: Pebble, which Let's Encrypt makes for tests. It runs in a network namespace that
 * the router takes for a neighbour on the Internet, so that its validations meet firewalls and reserved IPs as Let's
 * Encrypt's do, and can't leave the machine. It is a process of its own, and outlives this one as droplets do; when it
 * ends, its accounts are forgotten, and the next has new roots.
 */
export class Authority {
    readonly #instance: Instance;
    readonly #log: Log;
    #starting: Promise<void> | undefined;

    constructor(instance: Instance, log: Log) {
        this.#instance = instance;
        this.#log = log;
    }

    /**
     * Starts it in the background if the account has a domain and it does not run: from the first domain on somebody
     * may want a certificate. What goes wrong is logged; the next call sees whether it runs, and tries again.
     */
    follow({ domains }: Pick<Cloud, "domains">): void {
        if (domains.length === 0 || this.#starting) return;
        this.#starting = this.#start()
            .catch((error: unknown) => {
                this.#log(`no certificate authority: ${firstLine(error)}`);
            })
            .finally(() => (this.#starting = undefined));
    }

    /** Ends its process, whoever started it; its network is the region's to remove. */
    async stop(): Promise<void> {
        await this.#starting;
        const deadline = Date.now() + END_SECONDS * 1000;
        for (let pids = await this.#pids(); pids.length > 0; pids = await this.#pids()) {
            if (Date.now() > deadline)
                throw new Error(`processes ${pids.join(", ")} of the authority do not end`);
            for (const pid of pids) end(pid);
            await sleep(50);
        }
    }

    async #start(): Promise<void> {
        if ((await this.#pids()).length > 0) return;
        const binary = await buildAuthority(this.#log);
        await this.#connect();
        const { stateDir, addresses } = this.#instance;
        const roots = rootsFile(this.#instance);
        await mkdir(path.dirname(roots), { recursive: true });
        const log = await open(path.join(stateDir, "authority.log"), "a", 0o600);
        const options = {
            listen: `${addresses.authority}:443`,
            resolver: `${addresses.uplinkRouter}:53`,
            roots,
        };
        const before = await readFile(roots, "utf8").catch(() => "");
        const child = spawn(
            "nsenter",
            [
                `--net=/run/netns/${authorityNetns(this.#instance)}`,
                binary,
                ...Object.entries(options).map(([name, value]) => `-${name}=${value}`),
                ...Object.entries(LIFETIME_SECONDS).map(([name, seconds]) => `${name}=${seconds}`),
            ],
            // One good nonce in twenty is refused, as Pebble's default is: clients must bear it.
            { detached: true, stdio: ["ignore", log.fd, log.fd], env: { PEBBLE_VA_NOSLEEP: "1" } },
        );
        await log.close();
        child.unref();
        const deadline = Date.now() + START_SECONDS * 1000;
        while ((await readFile(roots, "utf8").catch(() => "")) === before) {
            if (child.exitCode !== null || Date.now() > deadline) {
                throw new Error(`it did not start; its log is authority.log in ${stateDir}`);
            }
            await sleep(50);
        }
        this.#log(`certificate authority: ${Object.keys(LIFETIME_SECONDS).join(", ")}; roots in ${roots}`);
    }

    /** A new cable to the router: whatever an earlier one left is gone. */
    async #connect(): Promise<void> {
        const netns = authorityNetns(this.#instance);
        const { authority, uplinkRouter } = this.#instance.addresses;
        if (existsSync(`/run/netns/${netns}`)) await run("ip", ["netns", "del", netns]);
        await run("ip", ["netns", "add", netns]);
        const router = [
            `link add ${AUTHORITY_IN_ROUTER} type veth peer name eth0 netns ${netns}`,
            `addr add ${uplinkRouter} peer ${authority}/32 dev ${AUTHORITY_IN_ROUTER}`,
            `link set ${AUTHORITY_IN_ROUTER} up`,
        ];
        await run("ip", ["-n", this.#instance.id, "-batch", "-"], { input: router.join("\n") });
        const inside = [
            "link set lo up",
            `addr add ${authority} peer ${uplinkRouter}/32 dev eth0`,
            "link set eth0 up",
            `route add default via ${uplinkRouter}`,
        ];
        await run("ip", ["-n", netns, "-batch", "-"], { input: inside.join("\n") });
        const strict = `net.ipv4.conf.${AUTHORITY_IN_ROUTER}.rp_filter=1`;
        await run("nsenter", [`--net=/run/netns/${this.#instance.id}`, "sysctl", "-q", "-w", strict]);
    }

    async #pids(): Promise<number[]> {
        const netns = authorityNetns(this.#instance);
        if (!existsSync(`/run/netns/${netns}`)) return [];
        const pids = await run("ip", ["netns", "pids", netns]);
        return pids.split("\n").filter(Boolean).map(Number);
    }
}

function end(pid: number): void {
    try {
        process.kill(pid, "SIGKILL");
    } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
}
