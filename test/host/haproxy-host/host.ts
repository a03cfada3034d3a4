/**
 * A load balancer host for tests: its own mounts (/etc, /run, /var/lib/haproxy), network and processes by
 * Linux namespaces, Debian's HAProxy, and a stand-in for systemctl. Needs root on Linux, `haproxy`, `socat`, `curl`.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { haproxyScript } from "../../../components/haproxy/apply";
import type { RenderHaproxyOptions } from "../../../components/haproxy/options";
import { renderHaproxyConfig } from "../../../components/haproxy/render";
import { bundle } from "../../../sandbox/bundle.ts";
import type { Calls } from "./town";
import { haproxySettings } from "../../haproxy-settings";

/** How a command ended. */
export interface Ended {
    code: number | null;
    stdout: string;
    stderr: string;
}

/** Told of each piece of output; it may hang up by destroying the process's stdout. */
export type OnOutput = (text: string, process: ChildProcess) => void;

/** Path of the script: as it is installed, in one file. */
export const applyScript = join(mkdtempSync(join(tmpdir(), "dropscale-script-")), "haproxy");
writeFileSync(applyScript, haproxyScript.text, { mode: 0o755 });

export const debiansHaproxy = "/usr/sbin/haproxy";

/** What Debian's package puts into haproxy.cfg and starts, without its TLS and error file lines. */
export const debianDefault = `global
	log /dev/log	local0
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin
	stats timeout 30s
	user haproxy
	group haproxy
	daemon

defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
        timeout connect 5000
        timeout client  50000
        timeout server  50000
`;

/** The configuration for these servers, each on port 8080: `{ 0: "127.0.1.1" }` is web-0. */
export function configFor(
    servers: Readonly<Record<number, string>>,
    settings: Partial<RenderHaproxyOptions> = {},
): string {
    return renderHaproxyConfig({
        ...haproxySettings,
        ...{ appPort: 8080, drainSeconds: 20, logOneIn: 1 },
        ...settings,
        servers: Object.entries(servers).map(([slot, address]) => ({ name: `web-${slot}`, address })),
    });
}

/** The generation that a text names. */
export function generationOf(config: string): string {
    return /description gen=(\w+)/.exec(config)?.[1] ?? "none";
}

/** @throws Error that says what this machine lacks; a test that can't run must not pass. */
export function requireTools(...tools: string[]): void {
    const missing = tools.filter((tool) => spawnSync("which", [tool]).status !== 0);
    if (missing.length > 0)
        throw new Error(`${missing.join(", ")} not found: apt-get install ${missing.join(" ")}`);
}

/** @throws Error when this machine can't make a {@link Host}. */
function requireNamespaces(): void {
    if (process.platform !== "linux" || process.getuid?.() !== 0) {
        throw new Error("a host of its own for HAProxy needs root on Linux (network and mount namespaces)");
    }
    requireTools("haproxy", "socat", "curl", "unshare", "nsenter", "ip");
}

const setUp = (etcKiB: number, haproxy: string): string => `set -e
ip link set lo up
mount --bind ${haproxy} ${debiansHaproxy}
mount -t tmpfs tmpfs /run
mkdir -p /run/etc/upper /run/etc/work
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/upper,workdir=/run/etc/work overlay /etc
mount -t tmpfs -o size=${etcKiB}k tmpfs /etc/haproxy
mount -t tmpfs tmpfs /var/lib/haproxy
mkdir -p /var/lib/dropscale /etc/dropscale
mount -t tmpfs tmpfs /var/lib/dropscale
install -d -o haproxy -g haproxy -m 2775 /run/haproxy
mkdir /var/lib/haproxy/dev
cat >/etc/haproxy/haproxy.cfg
echo ready
exec </dev/null >/dev/null
cat <&3
exit`; // Process 1 there: it collects what dies, and when the test's end of the pipe closes, all ends with it.

/** Calls in a process of their own on a host's network: web servers, or clients. */
export class Town {
    private readonly waiting = new Map<
        number,
        { resolve: (value: unknown) => void; reject: (error: Error) => void }
    >();
    private lastId = 0;

    private constructor(private readonly child: ChildProcess) {
        child.on("message", ({ id, result, error }: { id: number; result?: unknown; error?: string }) => {
            const call = this.waiting.get(id);
            this.waiting.delete(id);
            if (error === undefined) call?.resolve(result);
            else call?.reject(new Error(error));
        });
        child.once("exit", () => {
            for (const { reject } of this.waiting.values())
                reject(new Error("the town of the host has ended"));
        });
    }

    /** @param initPid A process in the namespaces of the host. */
    static async start(initPid: number): Promise<Town> {
        const child = spawn(
            "nsenter",
            [...into(initPid), process.execPath, await bundle(join(__dirname, "town.ts"))],
            { stdio: ["ignore", "inherit", "inherit", "ipc"] },
        );
        const town = new Town(child);
        await new Promise((resolve, reject) => {
            child.once("message", resolve);
            child.once("exit", (code) => {
                reject(new Error(`town.ts ended with ${code} before it was ready`));
            });
        });
        return town;
    }

    call<K extends keyof Calls>(
        call: K,
        ...args: Parameters<Calls[K]>
    ): Promise<Awaited<ReturnType<Calls[K]>>> {
        const id = ++this.lastId;
        this.child.send({ id, call, args });
        return new Promise((resolve, reject) => {
            this.waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        });
    }

    /** It ends when nobody calls any more. */
    async stop(): Promise<void> {
        const ended = new Promise((resolve) => this.child.once("exit", resolve));
        if (!this.child.connected) return;
        this.child.disconnect();
        await ended;
    }
}

/** One host; {@link Host.stop} ends everything in it. */
export class Host {
    private readonly towns: Town[] = [];

    private constructor(
        private readonly init: ChildProcess,
        private readonly initPid: number,
    ) {}

    /**
     * A host as it is after the package was installed: Debian's configuration in place and running.
     *
     * @param options `etcKiB`: room in /etc/haproxy. `haproxy`: path of another HAProxy than this machine's.
     */
    static async start({ etcKiB = 256, haproxy = debiansHaproxy } = {}): Promise<Host> {
        requireNamespaces();
        const command = ["bash", "-c", setUp(etcKiB, haproxy)];
        const init = spawn(
            "unshare",
            ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", ...command],
            { stdio: ["pipe", "pipe", "inherit", "pipe"] },
        );
        init.stdin?.end(debianDefault);
        await new Promise((resolve, reject) => {
            init.stdout?.once("data", resolve);
            init.once("exit", (code) => {
                reject(new Error(`the namespaces could not be made: unshare ended with ${code}`));
            });
        });
        const initPid = Number(readFileSync(`/proc/${init.pid}/task/${init.pid}/children`, "utf8"));
        const host = new Host(init, initPid);
        await host.newTown();
        await host.run("systemctl start haproxy");
        return host;
    }

    /** A further process for calls: what one of them does, another does not wait for. */
    async newTown(): Promise<Town> {
        const town = await Town.start(this.initPid);
        this.towns.push(town);
        return town;
    }

    /** Has what the journal would get written to /run/journal. */
    async keepJournal(): Promise<void> {
        await this.run(
            "setsid socat -u UNIX-RECV:/var/lib/haproxy/dev/log,mode=666 CREATE:/run/journal >/dev/null 2>&1 &",
        );
    }

    /** Runs a shell command on the host. */
    async run(command: string, input = "", onOutput?: OnOutput): Promise<Ended> {
        const child = spawn("nsenter", [...into(this.initPid), "bash", "-c", command], {
            env: { ...process.env, PATH: `/run/bin:${__dirname}:${process.env.PATH}` },
        });
        child.stdin.on("error", () => undefined); // it may end without reading
        child.stdin.end(input);
        child.stdout.on("data", (data: Buffer) => onOutput?.(data.toString(), child));
        const [stdout, stderr, code] = await Promise.all([
            text(child.stdout).catch(() => ""),
            text(child.stderr),
            new Promise<number | null>((resolve) => child.once("exit", resolve)),
        ]);
        return { code, stdout, stderr };
    }

    /** Stages this text and applies it, as the program does over SSH; how the first that failed ended. */
    async apply(config: string, readySeconds = 5, onOutput?: OnOutput): Promise<Ended> {
        const staged = await this.stage(config);
        return staged.code === 0 ? this.applyStaged(staged.stdout, readySeconds, onOutput) : staged;
    }

    /** Its stdout is the word of what was staged. */
    stage(config: string): Promise<Ended> {
        return this.run(`exec ${applyScript} stage`, config);
    }

    applyStaged(word: string, readySeconds = 5, onOutput?: OnOutput): Promise<Ended> {
        return this.run(`exec ${applyScript} apply ${word.trim()} ${readySeconds}`, "", onOutput);
    }

    /** Calls into the town of web servers and clients on this host's network. */
    call<K extends keyof Calls>(
        call: K,
        ...args: Parameters<Calls[K]>
    ): Promise<Awaited<ReturnType<Calls[K]>>> {
        const [town] = this.towns;
        if (!town) throw new Error("the host has no town yet");
        return town.call(call, ...args);
    }

    /** What the server says from now on when it is asked whether its set-up has ended; at first that it has. */
    async setUp(address: string, words: string): Promise<void> {
        await this.run(`mkdir -p /run/set-up && cat >/run/set-up/${address}`, `${words}\n`);
    }

    /** The generation that HAProxy serves by its own word. */
    async generation(): Promise<string> {
        const { stdout } = await this.run(
            "echo '@1 show info' | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock",
        );
        return /^description: gen=(\w+)$/m.exec(stdout)?.[1] ?? "none";
    }

    /** The text of a file on the host; empty when there is none. */
    async file(path: string): Promise<string> {
        return (await this.run(`cat ${path}`)).stdout;
    }

    /** Ends every process in the host's namespaces, which ends the namespaces and their mounts. */
    async stop(): Promise<void> {
        const ended = new Promise((resolve) => this.init.once("exit", resolve));
        await Promise.all(this.towns.map((town) => town.stop()));
        this.init.kill("SIGKILL");
        await ended;
    }
}

function into(pid: number): string[] {
    return [`--target=${pid}`, "--mount", "--net", "--pid", `--wd=${__dirname}`, "--"];
}
