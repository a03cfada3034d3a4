import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { cacheDir } from "../instance.ts";
import { run, type Log } from "../host.ts";
import { hostApt, SUITE } from "./apt.ts";
import { aptKey, ensureBaseImage, stopAgent } from "./base-image.ts";
import { buildOnce, removeTree } from "../build-once.ts";

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
    { folder: "debian", suite: SUITE, label: "Debian" },
    { folder: "debian", suite: `${SUITE}-updates`, label: "Debian" },
    { folder: "debian-security", suite: `${SUITE}-security`, label: "Debian-Security" },
];

/** Everything that decides what the mirror holds, but the packages' versions. */
const RECIPE = { suite: SUITE, groups: PACKAGE_GROUPS, archives: ARCHIVES };

/**
 * The Debian packages that droplets can install without the Internet, in `mirror` of the cache folder, laid out
 * as the paths that apt asks deb.debian.org and security.debian.org for. All packages stand in the main suite;
 * updates and security are there, and empty. The indexes are signed by the key that the base image trusts.
 * Made once; again when the list or the base image changes.
 *
 * @returns `folder`: absolute path.
 * @throws Error of one line: not root on Linux, disk full, what apt said.
 */
export async function ensureMirror({ log }: { log: Log }): Promise<{ folder: string }> {
    const { lowerdir } = await ensureBaseImage({ log });
    const folder = path.join(cacheDir(), "mirror");
    await buildOnce({
        target: folder,
        title: "the package mirror",
        takes: "about half a minute",
        recipe: { ...RECIPE, base: path.basename(path.dirname(lowerdir)) },
        needsMiB: 1000,
        log,
        build: async (mirror) => {
            await download(lowerdir, mirror, log);
            await writeIndexes(mirror, await aptKey({ log }));
        },
    });
    return { folder };
}

/** Downloads what a droplet on this base lacks, by the host's apt with the base's list of installed packages. */
async function download(lowerdir: string, mirror: string, log: Log): Promise<void> {
    const work = path.join(mirror, "apt");
    for (const folder of ["lists/partial", "archives/partial", "etc"]) {
        await mkdir(path.join(work, folder), { recursive: true });
    }
    const { sources, options } = await hostApt({ log });
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
    for (const group of PACKAGE_GROUPS) {
        await run("apt-get", ["install", "-qq", "--download-only", ...group.split(" ")], { env });
    }
    await fillPool(path.join(work, "archives"), path.join(mirror, "debian/pool/main"));
    await removeTree(work);
}

/** A file name in apt's cache has the version's epoch ("1%3a"), one in a pool has not. */
async function fillPool(archives: string, pool: string): Promise<void> {
    await mkdir(pool, { recursive: true });
    for (const file of (await readdir(archives)).filter((name) => name.endsWith(".deb"))) {
        await rename(path.join(archives, file), path.join(pool, file.replace(/_\d+%3a/, "_")));
    }
}

async function writeIndexes(mirror: string, key: { folder: string }): Promise<void> {
    const gpg = ["--homedir", key.folder, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback"];
    try {
        for (const { folder, suite, label } of ARCHIVES) {
            const archive = path.join(mirror, folder);
            const dist = path.join(archive, "dists", suite);
            const index = path.join(dist, "main/binary-amd64");
            await mkdir(index, { recursive: true });
            const packages =
                suite === SUITE ? await run("apt-ftparchive", ["packages", "pool"], { cwd: archive }) : "";
            await writeFile(path.join(index, "Packages"), packages && packages + "\n");
            await run("xz", ["--keep", path.join(index, "Packages")]);
            const fields = {
                Origin: "Debian",
                Label: label,
                Suite: suite.replace(SUITE, "oldstable"),
                Codename: suite,
                Components: "main",
                Architectures: "amd64",
            };
            const release = Object.entries(fields).map(
                ([field, value]) => `APT::FTPArchive::Release::${field}=${value}`,
            );
            const text = await run("apt-ftparchive", [
                ...release.flatMap((option) => ["-o", option]),
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
