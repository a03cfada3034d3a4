import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { cacheDir } from "../instance.ts";
import { run, type Log } from "../host.ts";
import type { Release } from "../releases.ts";
import { hostApt } from "./apt.ts";
import { aptKey, ensureBaseImage, stopAgent } from "./base-image.ts";
import { buildOnce, recipeHash, removeTree } from "../build-once.ts";

/**
 * What user data can install, with all that it depends on or recommends. One line is one `apt-get install`:
 * between alternatives, apt chooses anew for each.
 */
const PACKAGE_GROUPS = [
    "nginx",
    "nginx libnginx-mod-stream",
    "haproxy",
    "keepalived",
    "varnish",
    "apache2 apache2-utils",
    "php-fpm php-cli",
    "php-fpm php-mysql php-curl php-xml php-gd php-mbstring php-zip php-intl php-opcache php-redis",
    "redis-server",
    "memcached",
    "mariadb-client",
    "nodejs",
    "python3-venv python3-pip gunicorn",
    "certbot python3-certbot-nginx",
    "lego",
    "prometheus-node-exporter prometheus-haproxy-exporter",
    "ufw fail2ban nftables iptables",
    "unattended-upgrades apt-listchanges",
    "curl wget git rsync socat jq htop vim nano tmux screen unzip zip tree lsof strace tcpdump",
    "bind9-dnsutils net-tools traceroute mtr-tiny ncat conntrack ethtool",
    "cron logrotate rsyslog chrony acl man-db bash-completion",
    "apt-transport-https ca-certificates gnupg lsb-release software-properties-common",
    "build-essential",
    "openssl ssl-cert",
    "wrk siege",
];

/** What /etc/apt/sources.list names: the folder under a host name, and the Release fields of Debian's own. */
const ARCHIVES = [
    { folder: "debian", pocket: "", label: "Debian" },
    { folder: "debian", pocket: "-updates", label: "Debian" },
    { folder: "debian-security", pocket: "-security", label: "Debian-Security" },
];

/** The folder of the packages' files below an archive. It names the suite: so does every path of a mirror. */
const poolOf = ({ suite }: Release) => `pool/${suite}`;

/**
 * The packages of a release that droplets can install without the Internet, in the cache folder, laid out as the paths that apt asks deb.debian.org and security.debian.org for. All packages stand in the main suite;
 * updates and security are there, and empty. The indexes are signed by the key that the base image trusts.
 * Made once; again when the list or the base image changes; older ones stay, a sandbox may serve them.
 *
 * @returns absolute paths: `folder`, and the `lowerdir` of the release's base image.
 * @throws Error of one line: not root on Linux, disk full, what apt said.
 */
export async function ensureMirror(
    release: Release,
    { log }: { log: Log },
): Promise<{ folder: string; lowerdir: string }> {
    const { lowerdir } = await ensureBaseImage(release, { log });
    // Everything that decides what the mirror holds, but the packages' versions.
    const recipe = {
        groups: PACKAGE_GROUPS,
        archives: ARCHIVES,
        pool: poolOf(release),
        base: path.basename(path.dirname(lowerdir)),
    };
    const folder = path.join(cacheDir(), `mirror-${recipeHash(recipe)}`);
    await buildOnce({
        target: folder,
        title: `the package mirror of ${release.title}`,
        takes: "about half a minute",
        recipe,
        needsMiB: 1000,
        log,
        build: async (mirror) => {
            await download(release, { lowerdir, mirror, log });
            await writeIndexes(release, mirror, await aptKey({ log }));
        },
    });
    return { folder, lowerdir };
}

/** Downloads what a droplet on this base lacks, by the host's apt with the base's list of installed packages. */
async function download(
    release: Release,
    { lowerdir, mirror, log }: { lowerdir: string; mirror: string; log: Log },
): Promise<void> {
    const work = path.join(mirror, "apt");
    for (const folder of ["lists/partial", "archives/partial", "etc"]) {
        await mkdir(path.join(work, folder), { recursive: true });
    }
    const { sources, options } = await hostApt(release, { log });
    await writeFile(path.join(work, "sources.list"), sources.join("\n") + "\n");
    // APT_CONFIG is read first, and apt.conf.d after it: Dir::Etc::parts keeps the host's own out. apt.conf(5)
    const directories = {
        "Dir::Etc": path.join(work, "etc"),
        "Dir::Etc::sourcelist": path.join(work, "sources.list"),
        "Dir::Etc::trustedparts": path.join(lowerdir, "etc/apt/trusted.gpg.d"),
        "Dir::State": work,
        "Dir::State::lists": path.join(work, "lists"),
        "Dir::State::status": path.join(lowerdir, "var/lib/dpkg/status"),
        "Dir::Cache": work,
        "Dir::Cache::archives": path.join(work, "archives"),
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "true",
        "Acquire::Languages": "none",
    };
    const settings = Object.entries(directories).map(([name, value]) => `${name} "${value}";`);
    await writeFile(path.join(work, "apt.conf"), [...options, ...settings].join("\n") + "\n");
    const env = { APT_CONFIG: path.join(work, "apt.conf") };
    await run("apt-get", ["update", "-q"], { env });
    // A release may lack what another one has.
    const known = new Set((await run("apt-cache", ["pkgnames"], { env })).split("\n"));
    for (const group of PACKAGE_GROUPS) {
        const packages = group.split(" ").filter((name) => known.has(name));
        await run("apt-get", ["install", "-qq", "--download-only", ...packages], { env });
    }
    await fillPool(path.join(work, "archives"), path.join(mirror, "debian", poolOf(release)));
    await removeTree(work);
}

/** A file name in apt's cache has the version's epoch ("1%3a"), one in a pool has not. */
async function fillPool(archives: string, pool: string): Promise<void> {
    await mkdir(pool, { recursive: true });
    for (const file of (await readdir(archives)).filter((name) => name.endsWith(".deb"))) {
        await rename(path.join(archives, file), path.join(pool, file.replace(/_\d+%3a/, "_")));
    }
}

async function writeIndexes(release: Release, mirror: string, key: { folder: string }): Promise<void> {
    const gpg = ["--homedir", key.folder, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"];
    try {
        for (const { folder, pocket, label } of ARCHIVES) {
            const suite = release.suite + pocket;
            const archive = path.join(mirror, folder);
            const dist = path.join(archive, "dists", suite);
            const index = path.join(dist, "main/binary-amd64");
            await mkdir(index, { recursive: true });
            const packages =
                pocket === "" ? await run("apt-ftparchive", ["packages", "pool"], { cwd: archive }) : "";
            await writeFile(path.join(index, "Packages"), packages && packages + "\n");
            await run("xz", ["--keep", path.join(index, "Packages")]);
            const fields = {
                Origin: "Debian",
                Label: label,
                Suite: release.alias + pocket,
                Codename: suite,
                Components: "main",
                Architectures: "amd64",
            };
            const options = Object.entries(fields).map(
                ([field, value]) => `APT::FTPArchive::Release::${field}=${value}`,
            );
            const text = await run("apt-ftparchive", [
                ...options.flatMap((option) => ["-o", option]),
                "release",
                dist,
            ]);
            await writeFile(path.join(dist, "Release"), text + "\n");
            await run("gpg", [
                ...gpg,
                "--clearsign",
                ...["--output", path.join(dist, "InRelease"), path.join(dist, "Release")],
            ]);
        }
    } finally {
        await stopAgent(key.folder);
    }
}
