import { chmod, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { cacheDir } from "../instance.ts";
import { quote, requireLinuxRoot, run, type Log } from "../host.ts";
import { buildOnce, recipeHash } from "../build-once.ts";
import { METADATA_ADDRESS, MIRROR_PORT } from "../region/names.ts";
import type { Release } from "../releases.ts";
import { hostApt, sourcesList } from "./apt.ts";
import { SEED_FOLDER } from "./seed.ts";

/** What DigitalOcean's Debian images have and user data relies on; nothing that user data should install. */
const PACKAGES = [
    "apt-utils bsdextrautils ca-certificates cloud-init cron curl dbus debconf-utils gnupg",
    "ifupdown init iproute2 iputils-ping less libpam-systemd locales logrotate lsb-release",
    "netbase netcat-openbsd openssh-server procps psmisc python3 rsync sudo systemd systemd-sysv",
    "tzdata udev vim-tiny wget xz-utils",
].flatMap((line) => line.split(" "));

/** A droplet has no hardware, its addresses and clock come from outside, and it must not call out by itself. */
const MASKED_UNITS = [
    "apt-daily.timer apt-daily-upgrade.timer console-getty.service container-getty@.service",
    "e2scrub_all.timer e2scrub_reap.service fstrim.timer getty.target systemd-firstboot.service",
    "systemd-networkd.service systemd-resolved.service systemd-timesyncd.service",
    "systemd-udev-trigger.service systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket",
].flatMap((line) => line.split(" "));

/** Where the droplet finds the MemTotal of its size; /proc itself shows the host's. */
export const MEMINFO = "/run/host/meminfo";

/** Where the droplet sees the folder with the roots of the region's certificate authority (region/authority.ts). */
export const TRUST = "/run/host/trust";
const LOCAL_CERTIFICATES = "/usr/local/share/ca-certificates";

/**
 * Units by which the droplet trusts that authority as every system trusts Let's Encrypt: its roots are put among
 * the system's at boot, before user data runs, and whenever they change. update-ca-certificates(8) wants one a file.
 */
const TRUST_UNITS: Readonly<Record<string, string[]>> = {
    "/etc/systemd/system/region-trust.service": [
        "[Unit]",
        "Description=Trust in the region's certificate authority",
        `ConditionPathExists=${TRUST}/roots.pem`,
        "Before=cloud-config.service",
        "[Service]",
        "Type=oneshot",
        `ExecStart=awk '/BEGIN/ { n++ } { print >"${LOCAL_CERTIFICATES}/region-" n ".crt" }' ${TRUST}/roots.pem`,
        "ExecStart=update-ca-certificates",
        "[Install]",
        "WantedBy=multi-user.target",
    ],
    "/etc/systemd/system/region-trust.path": [
        "[Path]",
        `PathChanged=${TRUST}/roots.pem`,
        "[Install]",
        "WantedBy=multi-user.target",
    ],
};

/** Files of every image, by path. */
const FILES: Readonly<Record<string, string[]>> = {
    // Debian's servers can't be reached from a droplet; the region answers for them at the metadata address.
    "/etc/apt/apt.conf.d/90-region": [
        `Acquire::http::Proxy "http://${METADATA_ADDRESS}:${MIRROR_PORT}";`,
        'Acquire::Languages "none";',
    ],
    // The disk is an overlay that is thrown away: no need to flush after each file. dpkg(1), --force-unsafe-io
    "/etc/dpkg/dpkg.cfg.d/90-overlay": ["force-unsafe-io"],
    ...TRUST_UNITS,
    "/etc/resolv.conf": [`nameserver ${METADATA_ADDRESS}`],
    "/etc/default/locale": ["LANG=C.UTF-8"],
    "/etc/fstab": [`${MEMINFO} /proc/meminfo none bind,nofail 0 0`],
    "/etc/network/interfaces": ["source /etc/network/interfaces.d/*", "auto lo", "iface lo inet loopback"],
    "/etc/systemd/journald.conf.d/90-cap.conf": ["[Journal]", "SystemMaxUse=16M", "RuntimeMaxUse=8M"],
    // https://cloudinit.readthedocs.io/en/22.4.2/topics/datasources/nocloud.html ; DigitalOcean's own data
    // source looks for its name in the BIOS tables, which a container shares with the host.
    "/etc/cloud/cloud.cfg.d/90-droplet.cfg": [
        "datasource_list: [NoCloud]",
        "disable_root: false",
        "users: []",
        "ssh_pwauth: false",
        // An RSA key takes 0.6 s of a processor at each first boot, and no client needs it.
        "ssh_genkeytypes: [ed25519, ecdsa]",
        "locale: false",
        "manage_etc_hosts: true",
    ],
};

/** Shell lines run by mmdebstrap with the tree as $1, after all packages are there. */
const CUSTOMIZE = [
    // Options of the build must not stay in the image. mmdebstrap(1), --aptopt and --dpkgopt
    'rm -f "$1"/etc/*/*.d/99mmdebstrap',
    'chroot "$1" passwd --lock root && chroot "$1" usermod --password "*" root',
    `for unit in ${MASKED_UNITS.join(" ")}; do ln -sf /dev/null "$1/etc/systemd/system/$unit"; done`,
    // Made at first boot, for each droplet: https://www.freedesktop.org/software/systemd/man/machine-id.html
    ': >"$1/etc/machine-id"',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname" "$1/var/lib/dbus/machine-id"',
    `mkdir -p "$1${SEED_FOLDER}" "$1/etc/network/interfaces.d"`,
    'mkdir -p "$1/etc/systemd/system/multi-user.target.wants"',
    ...["service", "path"].map(
        (kind) =>
            `ln -s ../region-trust.${kind} "$1/etc/systemd/system/multi-user.target.wants/region-trust.${kind}"`,
    ),
];

const MMDEBSTRAP = [
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    '--aptopt=Acquire::Languages "none"',
    "--dpkgopt=force-unsafe-io",
    ...["man", "doc", "info", "locale"].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
];

/**
 * Arguments of setpriv(1): when this process is killed, so are mmdebstrap and all that it started, and nothing
 * stays mounted in the tree. Else the next build could not remove what this one left.
 */
const DIES_WITH_US = ["--pdeathsig=KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** gpg's user id, algorithm, use and expiry. */
const KEY = ["dropscale sandbox", "rsa3072", "sign", "never"];
const PUBLIC_KEY = "sandbox.asc";

/**
 * Where the key lies that signs the package mirror: private part in `folder` (a GNUPGHOME), public part in
 * `publicKey`. Made at the first call; a lost key makes a new base image and a new mirror.
 */
export async function aptKey({ log }: { log: Log }): Promise<{ folder: string; publicKey: string }> {
    const target = path.join(cacheDir(), "apt-key");
    await buildOnce({
        target,
        title: "the key of the package mirror",
        takes: "a few seconds",
        recipe: KEY,
        needsMiB: 1,
        log,
        build: async (folder) => {
            await chmod(folder, 0o700);
            const gpg = ["--homedir", folder, "--batch", "--quiet", "--pinentry-mode", "loopback"];
            try {
                await run("gpg", [...gpg, "--passphrase", "", "--quick-generate-key", ...KEY]);
                await writeFile(
                    path.join(folder, PUBLIC_KEY),
                    (await run("gpg", [...gpg, "--armor", "--export"])) + "\n",
                );
            } finally {
                await stopAgent(folder);
            }
        },
    });
    return { folder: target, publicKey: path.join(target, PUBLIC_KEY) };
}

/** gpg leaves an agent behind for each home folder. */
export async function stopAgent(folder: string): Promise<void> {
    await run("gpgconf", ["--homedir", folder, "--kill", "gpg-agent"]);
}

/**
 * A root tree of the release that all its droplets of all instances share as the lowest layer of their disks. Made
 * once by mmdebstrap in the cache folder, and again when the recipe (this file) or the mirror's key changes; older
 * ones stay, droplets may stand on them.
 *
 * @returns `lowerdir`: absolute path of the tree; its last part but one carries the hash of the recipe.
 * @throws Error of one line: not root on Linux, disk full, what mmdebstrap said.
 */
export async function ensureBaseImage(
    release: Release,
    { log }: { log: Log },
): Promise<{ lowerdir: string }> {
    requireLinuxRoot();
    const { publicKey } = await aptKey({ log });
    // Everything that decides what the image looks like, but the packages' versions.
    const recipe = {
        suite: release.suite,
        options: MMDEBSTRAP,
        packages: PACKAGES,
        files: filesOf(release),
        customize: CUSTOMIZE,
        key: await readFile(publicKey, "utf8"),
    };
    const target = path.join(cacheDir(), `base-${recipeHash(recipe)}`);
    await buildOnce({
        target,
        title: `the ${release.title} base image`,
        takes: "a minute or two",
        recipe,
        needsMiB: 800,
        log,
        build: (folder) => buildTree(release, path.join(folder, "root"), { publicKey, log }),
    });
    return { lowerdir: path.join(target, "root") };
}

function filesOf(release: Release): Record<string, string[]> {
    return { ...FILES, "/etc/apt/sources.list": sourcesList(release) };
}

async function buildTree(
    release: Release,
    root: string,
    { publicKey, log }: { publicKey: string; log: Log },
): Promise<void> {
    const { sources, options } = await hostApt(release, { log });
    const key = `cp ${quote(publicKey)} "$1/etc/apt/trusted.gpg.d/sandbox.asc"`;
    const files = Object.entries(filesOf(release)).map(([file, lines]) => writeHook(file, lines));
    await run("setpriv", [
        ...[...DIES_WITH_US, "mmdebstrap", ...MMDEBSTRAP],
        `--include=${PACKAGES.join(",")}`,
        ...options.map((option) => `--aptopt=${option}`),
        ...[...CUSTOMIZE, key, ...files].map((hook) => `--customize-hook=${hook}`),
        release.suite,
        root,
        ...sources,
    ]);
    await chmod(root, 0o755);
}

function writeHook(file: string, lines: string[]): string {
    const to = `"$1${file}"`;
    return `mkdir -p "$(dirname ${to})" && rm -f ${to} && printf '%s\\n' ${lines.map(quote).join(" ")} >${to}`;
}
