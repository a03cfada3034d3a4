import type { Release } from "../releases.ts";
import { firstLine, run, type Log } from "../host.ts";

const DEBIAN = "http://deb.debian.org/debian";
const DEBIAN_SECURITY = "http://security.debian.org/debian-security";

/** /etc/apt/sources.list of a droplet: what stands on any machine with that release. */
export function sourcesList({ suite }: Release): string[] {
    return [
        `deb ${DEBIAN} ${suite} main`,
        `deb ${DEBIAN} ${suite}-updates main`,
        `deb ${DEBIAN_SECURITY} ${suite}-security main`,
    ];
}

/** How this host gets Debian packages. */
export interface HostApt {
    /** Lines for a sources.list, `deb URI suite main`. */
    sources: string[];
    /** Lines for an apt.conf: proxies and date checks. */
    options: string[];
}

/**
 * Packages come from where the host's own apt takes Debian from, by its proxy, so that closed networks need
 * nothing else set; on a host that is no Debian, from Debian's own servers. Third-party lines are left out.
 */
export async function hostApt(release: Release, { log }: { log: Log }): Promise<HostApt> {
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
    const sources = debianSources(targets, release);
    return { sources: sources.length > 0 ? sources : sourcesList(release), options: acquireOptions(dump) };
}

/**
 * Sources.list lines for a release, from where the host takes its own (`ORIGIN COMPONENT RELEASE URI` lines), which
 * may be another release of Debian: an archive has them side by side.
 */
export function debianSources(indexTargets: string, { suite }: Release): string[] {
    const lines = indexTargets.split("\n").flatMap((line) => {
        const [origin, component, theirs = "", uri] = line.split(" ");
        const pocket = /^[a-z]+(-updates|-security)?$/.exec(theirs);
        const ours = origin === "Debian" && component === "main" && pocket && uri !== undefined;
        return ours ? [`deb ${uri} ${suite}${pocket[1] ?? ""} main`] : [];
    });
    return lines.some((line) => line.endsWith(` ${suite} main`)) ? [...new Set(lines)] : [];
}

/** The lines of `apt-config dump` that say how to reach a server, and nothing about what to fetch. */
export function acquireOptions(dump: string): string[] {
    return dump.split("\n").filter((line) => /^Acquire::(https?::|Check-|Retries)/.test(line));
}
