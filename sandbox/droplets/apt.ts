import { firstLine, run, type Log } from "../host.ts";

export const SUITE = "bookworm";
const DEBIAN = "http://deb.debian.org/debian";
const DEBIAN_SECURITY = "http://security.debian.org/debian-security";

/** /etc/apt/sources.list of a droplet: what stands on any Debian 12 machine. */
export const SOURCES_LIST = [
    `deb ${DEBIAN} ${SUITE} main`,
    `deb ${DEBIAN} ${SUITE}-updates main`,
    `deb ${DEBIAN_SECURITY} ${SUITE}-security main`,
];

/** How this host gets Debian packages. */
export interface HostApt {
    /** Lines for a sources.list, `deb URI suite main`. */
    sources: string[];
    /** Lines for an apt.conf: proxies and date checks. */
    options: string[];
}

/**
 * Packages come from where the host's own apt takes Debian 12 from, by its proxy, so that closed networks need
 * nothing else set; on a host that is not Debian 12, from Debian's own servers. Third-party lines are left out.
 */
export async function hostApt({ log }: { log: Log }): Promise<HostApt> {
    await run("apt-get", ["update", "-q"]).catch((error: unknown) => {
        log(`apt-get update: ${firstLine(error)}`); // a broken third-party line is no reason to stop
    });
    const targets = await run("apt-get", [
        "indextargets",
        "--format",
        "$(ORIGIN) $(COMPONENT) $(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
    ]);
    const dump = await run("apt-config", ["dump", "Acquire"]);
    const sources = debianSources(targets);
    return { sources: sources.length > 0 ? sources : SOURCES_LIST, options: acquireOptions(dump) };
}

/** Sources.list lines of Debian's own main component among `ORIGIN COMPONENT RELEASE URI` lines. */
export function debianSources(indexTargets: string): string[] {
    const lines = indexTargets.split("\n").flatMap((line) => {
        const [origin, component, release, uri] = line.split(" ");
        const suites = [SUITE, `${SUITE}-updates`, `${SUITE}-security`];
        const ours = origin === "Debian" && component === "main" && suites.includes(release ?? "");
        return ours && uri !== undefined ? [`deb ${uri} ${String(release)} main`] : [];
    });
    return lines.some((line) => line.endsWith(` ${SUITE} main`)) ? [...new Set(lines)] : [];
}

/** The lines of `apt-config dump` that say how to reach a server, and nothing about what to fetch. */
export function acquireOptions(dump: string): string[] {
    return dump.split("\n").filter((line) => /^Acquire::(https?::|Check-|Retries)/.test(line));
}
