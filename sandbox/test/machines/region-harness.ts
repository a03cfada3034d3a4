import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { run } from "../../host.ts";
import type { Instance } from "../../instance.ts";
import type { Cloud, Droplet } from "../../model.ts";
import { netnsOf } from "../../region/names.ts";

/** Long enough for a loaded machine, when an answer is expected; short, when silence is. */
const TIMEOUT_MS = 5000;
const SILENCE_MS = 500;

export interface HttpAnswer {
    status: number;
    headers: Record<string, string | undefined>;
    text: string;
}

/** A process in a network namespace (or, without one, on the host) that serves and dials. */
export class Agent {
    readonly #child: ChildProcess;
    readonly #waiting = new Map<
        number,
        { resolve: (result: unknown) => void; reject: (error: Error) => void }
    >();
    #next = 0;

    constructor(netns?: string) {
        const script = fileURLToPath(new URL("agent.js", import.meta.url));
        const command = [process.execPath, script];
        if (netns !== undefined) command.unshift("nsenter", `--net=/run/netns/${netns}`);
        const [file = "", ...args] = command;
        this.#child = spawn(file, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
        this.#child.on("message", ({ id, result }: { id: number; result: unknown }) => {
            this.#waiting.get(id)?.resolve(result);
            this.#waiting.delete(id);
        });
        this.#child.on("exit", (code) => {
            for (const { reject } of this.#waiting.values())
                reject(new Error(`agent ended with ${String(code)}`));
        });
    }

    /** Listens on all addresses; resolves with the ports, where 0 has become a free one. */
    serve(name: string, ports: number[]): Promise<number[]> {
        return this.#ask("serve", { name, ports }) as Promise<number[]>;
    }
    /** How many connections its servers have seen. */
    served(): Promise<number> {
        return this.#ask("served") as Promise<number>;
    }
    /** The name of who answers, or the code of the error. */
    dial(host: string, port: number, from?: string): Promise<string> {
        return this.#ask("dial", { host, port, from, timeoutMs: TIMEOUT_MS }) as Promise<string>;
    }
    /** As `dial`, where no answer is expected: `timeout` comes soon. */
    dialInVain(host: string, port: number, from?: string): Promise<string> {
        return this.#ask("dial", { host, port, from, timeoutMs: SILENCE_MS }) as Promise<string>;
    }
    /** Dials, and keeps the connection for `say`. */
    hold(host: string, port: number): Promise<string> {
        return this.#ask("hold", { host, port, timeoutMs: TIMEOUT_MS }) as Promise<string>;
    }
    say(host: string, port: number, text: string): Promise<string> {
        return this.#ask("say", { host, port, text, timeoutMs: TIMEOUT_MS }) as Promise<string>;
    }
    /** As `say`, where no answer is expected. */
    sayInVain(host: string, port: number, text: string): Promise<string> {
        return this.#ask("say", { host, port, text, timeoutMs: SILENCE_MS }) as Promise<string>;
    }
    /** What a proxy answers to CONNECT. */
    tunnel(proxy: string, target: string): Promise<string> {
        return this.#ask("tunnel", { proxy, target, timeoutMs: TIMEOUT_MS }) as Promise<string>;
    }
    get(url: string, options: { proxy?: string; from?: string; headers?: Record<string, string> } = {}) {
        const timeoutMs = options.from === undefined ? TIMEOUT_MS : SILENCE_MS;
        return this.#ask("get", { url, timeoutMs, ...options }) as Promise<HttpAnswer>;
    }
    /** Sends one datagram; the answer in hex, or the code of the error. */
    datagram(host: string, port: number, hex: string): Promise<string> {
        return this.#ask("datagram", { host, port, hex, timeoutMs: TIMEOUT_MS }) as Promise<string>;
    }
    /** Sends one datagram, from an address of its own or another's, to somebody who does not answer. */
    async whisper(host: string, port: number, from: string): Promise<void> {
        await this.#ask("datagram", { host, port, from, hex: "00", timeoutMs: SILENCE_MS });
    }
    /** Keeps the sources of all datagrams to a UDP port, for `heard`. */
    hear(port: number): Promise<void> {
        return this.#ask("hear", { port }) as Promise<void>;
    }
    heard(): Promise<string[]> {
        return this.#ask("heard") as Promise<string[]>;
    }

    async end(): Promise<void> {
        if (this.#child.exitCode !== null) return;
        this.#child.disconnect();
        await once(this.#child, "exit");
    }

    #ask(action: string, options: object = {}): Promise<unknown> {
        const id = this.#next++;
        return new Promise((resolve, reject) => {
            this.#waiting.set(id, { resolve, reject });
            this.#child.send({ id, action, options }, (error) => {
                if (error) reject(error);
            });
        });
    }
}

/** Sets the addresses that a droplet's own system would set at boot. */
export async function configure(instance: Instance, cloud: Cloud, droplet: Droplet): Promise<void> {
    const netns = netnsOf(instance, droplet.id);
    const vpc = cloud.vpcs.find(({ id }) => id === droplet.vpcUuid);
    const lines = [
        "link set lo up",
        `addr add ${droplet.publicIp}/24 dev eth0`,
        `addr add ${droplet.anchorIp}/16 dev eth0`,
        `addr add ${droplet.privateIp}/${String(vpc?.ipRange.split("/")[1])} dev eth1`,
        "link set eth0 up",
        "link set eth1 up",
        `route add default via ${instance.addresses.publicGateway}`,
    ];
    await run("ip", ["-n", netns, "-batch", "-"], { input: lines.join("\n") });
}

/** Everything of an instance that the host's own tools can see, one line each. */
export async function tracesOf({ id, addresses }: Instance): Promise<string[]> {
    const lists = await Promise.all([
        run("ip", ["netns"]),
        run("ip", ["-o", "link"]),
        run("ip", ["route", "show", "table", "all"]),
        run("nft", ["list", "tables"]),
        run("cat", ["/proc/self/mounts"]),
    ]);
    const words = [id, `${id}-\\S+`, ...[addresses.publicCidr, addresses.uplinkCidr].map(anyOf)];
    const traces = new RegExp(`(^|[\\s/])(${words.join("|")})([\\s:@]|$)`);
    return lists.flatMap((list) => list.split("\n")).filter((line) => traces.test(line));
}

function anyOf(cidr: string): string {
    return cidr.replace(/0\/24$/, "[0-9]+(/24)?").replaceAll(".", "\\.");
}
