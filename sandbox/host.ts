import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { execa, ExecaError } from "execa";

/** Receives progress, one line of text a call, without a line feed. */
export type Log = (line: string) => void;

/** Command or absolute path -> Debian package that has it. */
export type HostNeeds = Readonly<Record<string, string>>;

/**
 * Commands that machines and their network run on the host, and the Debian package that has each. A path
 * stands for a file that has to be there.
 */
const HOST_PACKAGES: HostNeeds = {
    "apt-ftparchive": "apt-utils",
    conntrack: "conntrack",
    gpg: "gpg",
    ip: "iproute2",
    mmdebstrap: "mmdebstrap",
    nft: "nftables",
    nsenter: "util-linux",
    ssh: "openssh-client",
    sysctl: "procps",
    "systemd-nspawn": "systemd-container",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
};

/** Where root's commands are found, also when PATH lacks the sbin folders (Debian's for users does). */
const SEARCH_PATH = [...(process.env.PATH ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * Droplets that boot need Linux, root and an x86-64 processor.
 *
 * @throws Error of one line that says what was found and what to use instead.
 */
export function requireLinuxRoot(): void {
    const found =
        process.platform !== "linux"
            ? `this is ${process.platform}`
            : process.arch !== "x64"
              ? `this processor is ${process.arch}`
              : process.getuid?.() !== 0
                ? `this is user ${process.getuid?.() ?? "?"}`
                : undefined;
    if (found !== undefined) {
        throw new Error(
            `droplets that boot need root on Linux, x86-64 (best in a VM), and ${found}; ` +
                "`make preview` needs neither",
        );
    }
}

/**
 * Debian packages whose command or file is missing on this host, sorted.
 *
 * @param needs command or absolute path -> package; default: all that the sandbox runs.
 */
export function missingHostPackages(needs = HOST_PACKAGES): Promise<string[]> {
    const missing = new Set<string>();
    for (const [need, packageName] of Object.entries(needs)) {
        const places = need.startsWith("/") ? [need] : SEARCH_PATH.map((folder) => path.join(folder, need));
        if (!places.some((file) => existsSync(file))) missing.add(packageName);
    }
    return Promise.resolve([...missing].sort());
}

/**
 * Installs what is missing on the host by apt-get, after saying so. Does nothing when all is there.
 *
 * @param options.needs as of `missingHostPackages`.
 * @throws Error when not root, without apt-get, or when apt-get fails: says which packages to install.
 */
export async function ensureHostPackages({ log, needs }: { log: Log; needs?: HostNeeds }): Promise<void> {
    const missing = await missingHostPackages(needs);
    if (missing.length === 0) return;
    const byHand = `install by hand: ${missing.join(" ")}`;
    if (process.getuid?.() !== 0)
        throw new Error(`host packages are missing, and this is not root; ${byHand}`);
    if (!existsSync("/usr/bin/apt-get")) {
        throw new Error(`host packages are missing, and there is no apt-get here; ${byHand}`);
    }
    log(`installing host packages with apt-get: ${missing.join(" ")}`);
    const started = Date.now();
    const env = { DEBIAN_FRONTEND: "noninteractive" };
    await run("apt-get", ["update", "-q"], { env }).catch((error: unknown) => {
        log(`apt-get update: ${firstLine(error)}`); // one broken third-party line must not stop the others
    });
    await run("apt-get", ["install", "-qq", "--no-install-recommends", ...missing], { env }).catch(
        (error: unknown) => {
            throw new Error(`apt-get could not install host packages: ${firstLine(error)}; ${byHand}`);
        },
    );
    log(`installed host packages in ${seconds(started)}`);
}

/**
 * inotify instances are counted for each user, and root in every droplet is the host's root: about ten a
 * droplet, out of 128 by default, after which services fail with "Too many open files".
 * https://docs.kernel.org/admin-guide/sysctl/fs.html#inotify
 */
export async function raiseInotifyLimit({ log }: { log: Log }): Promise<void> {
    const wanted = 1024;
    const file = "/proc/sys/fs/inotify/max_user_instances";
    const current = Number(await readFile(file, "utf8"));
    if (current >= wanted) return;
    await run("sysctl", ["-q", "-w", `fs.inotify.max_user_instances=${wanted}`]);
    log(
        `raised fs.inotify.max_user_instances from ${current} to ${wanted} (until the next boot of this host)`,
    );
}

/** Runs a command of the host; rejects with an Error of one line: the command and what it says is wrong. */
export async function run(
    command: string,
    args: string[],
    options: { env?: Record<string, string>; input?: string; cwd?: string } = {},
): Promise<string> {
    const { env, input = "", cwd } = options;
    const full = { ...env, PATH: SEARCH_PATH.join(":"), LC_ALL: "C.UTF-8" };
    try {
        const { stdout } = await execa(command, args, { env: full, input, ...(cwd && { cwd }) });
        return stdout;
    } catch (error) {
        if (!(error instanceof ExecaError)) throw error;
        if (error.code === "ENOENT") {
            const packageName = HOST_PACKAGES[command];
            const hint = packageName === undefined ? "" : `: apt-get install ${packageName}`;
            throw new Error(`${command} is not installed on this host${hint}`, { cause: error });
        }
        const lines = (error.stderr as string | undefined)?.trim().split("\n") ?? [];
        const isReason = (line: string) => /^E: |: Error: /.test(line); // apt's way of saying it, and nft's
        const said = lines.find(isReason) ?? lines.at(-1) ?? "";
        throw new Error(`${command} failed: ${said || error.shortMessage}`, { cause: error });
    }
}

/** A word for sh, whatever stands in it. */
export function quote(text: string): string {
    return `'${text.replaceAll("'", "'\\''")}'`;
}

/** The first line of an error's message. */
export function firstLine(error: unknown): string {
    return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "";
}

/** Seconds since `started` (milliseconds of Date.now()), as people read them. */
export function seconds(started: number): string {
    return `${((Date.now() - started) / 1000).toFixed(1)} s`;
}
