import { type Document, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { meant } from "../nearest";
import { anything, either, flag, kindOf, list, map, nothing, type Path, text, whole, word } from "./forms";

/** What a text breaks of cloud-config's schema, and what it has that is unknown here: a line each. */
export interface CloudConfigFindings {
    problems: string[];
    warnings: string[];
}

const commandForms = [text, list(text)] as const;
const command = either(...commandForms);
const flags = (...names: string[]) => Object.fromEntries(names.map((name) => [name, flag]));
const texts = (...names: string[]) => Object.fromEntries(names.map((name) => [name, text]));
const known = (...names: string[]) => Object.fromEntries(names.map((name) => [name, anything]));

const user = map({
    ...texts("name", "snapuser", "expiredate", "gecos", "homedir", "inactive", "passwd", "hashed_passwd"),
    ...texts("plain_text_passwd", "primary_group", "selinux_user", "shell", "hashed-passwd"),
    ...texts("plain-text-passwd", "primary-group", "selinux-user"),
    ...flags("lock-passwd", "lock_passwd", "no_create_home", "no_log_init", "no_user_group", "create_groups"),
    ...flags("ssh_redirect_user", "system", "no-create-home", "no-log-init", "no-user-group"),
    ...flags("create-groups", "ssh-redirect-user"),
    ssh_authorized_keys: list(text),
    ssh_import_id: list(text),
    "ssh-authorized-keys": list(text),
    "ssh-import-id": list(text),
    doas: list(text),
    groups: either(text, list(text), map({}, [], nothing)),
    sudo: either(text, flag, nothing, list(either(text, nothing))),
    uid: either(whole, text),
});
const certificates = map({ ...flags("remove-defaults", "remove_defaults"), trusted: list(text) });
const hostKeys = ["rsa", "dsa", "ecdsa", "ed25519"].flatMap((type) =>
    ["private", "public", "certificate"].map((half) => `${type}_${half}`),
);

/**
 * Every top-level key of cloud-config, as of cloud-init 22.4 (Debian 12) and 25.1 (Debian 13), and what those that
 * are in common use hold; where the two differ, what either takes.
 * https://cloudinit.readthedocs.io/en/latest/reference/modules.html
 */
const cloudConfig = map({
    packages: list(either(...commandForms, map({ apt: list(command), snap: list(command) }))),
    ...flags("package_update", "package_upgrade", "package_reboot_if_required"),
    ...flags("apt_update", "apt_upgrade", "apt_reboot_if_required"),
    apt: map({
        ...flags("preserve_sources_list", "generate_mirrorlists"),
        ...texts(
            "add_apt_repo_match",
            "sources_list",
            "conf",
            "proxy",
            "http_proxy",
            "https_proxy",
            "ftp_proxy",
        ),
        disable_suites: list(text),
        debconf_selections: map({}, [], text),
        sources: map(
            {},
            [],
            map({ ...texts("source", "keyid", "key", "keyserver", "filename"), append: flag }),
        ),
        ...known("primary", "security"),
    }),
    write_files: list(
        map(
            {
                ...texts("path", "content", "owner", "permissions"),
                ...flags("append", "defer"),
                encoding: word(
                    ...["b64", "base64", "gz", "gzip", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64"],
                    "text/plain",
                ),
                source: map({ uri: text, headers: map({}, [], text) }, ["uri"]),
            },
            ["path"],
        ),
    ),
    bootcmd: list(command),
    runcmd: list(either(...commandForms, nothing)),
    users: either(text, list(either(text, list(text), user)), map({}, [], anything)),
    user: either(text, user),
    groups: either(text, list(either(text, map({}, [], command))), map({}, [], command)),
    ...texts("password", "timezone", "hostname", "fqdn", "final_message", "locale_configfile"),
    ...texts("disable_root_opts", "authkey_hash", "byobu_by_default", "yum_repo_dir"),
    locale: either(text, flag),
    ...flags("disable_root", "preserve_hostname", "prefer_fqdn_over_hostname", "allow_public_ssh_keys"),
    ...flags("ssh_deletekeys", "ssh_quiet_keygen", "no_ssh_fingerprints", "create_hostname_file"),
    ...flags("disable_ec2_metadata", "manage_resolv_conf"),
    manage_etc_hosts: word(true, false, "localhost", "template"),
    ssh_authorized_keys: list(text),
    ssh_import_id: list(text),
    ssh_keys: map(texts(...hostKeys)),
    ssh_genkeytypes: list(word("rsa", "dsa", "ecdsa", "ed25519")),
    ssh_pwauth: either(flag, text),
    ca_certs: certificates,
    "ca-certs": certificates,
    mounts: list(list(text)),
    swap: map({ filename: text, size: either(whole, text), maxsize: either(whole, text) }),
    growpart: map({
        mode: word("auto", "growpart", "gpart", "off", false),
        devices: list(text),
        ignore_growroot_disabled: flag,
    }),
    resize_rootfs: word(true, false, "noblock"),
    power_state: map(
        {
            mode: word("poweroff", "reboot", "halt"),
            delay: either(whole, text),
            message: text,
            timeout: whole,
            condition: either(text, flag, list(anything)),
        },
        ["mode"],
    ),
    ...known("ansible", "apk_repos", "apt_pipelining", "autoinstall", "chef", "chpasswd", "device_aliases"),
    ...known("cloud_config_modules", "cloud_final_modules", "cloud_init_modules", "disk_setup", "drivers"),
    ...known("fan", "fs_setup", "grub-dpkg", "grub_dpkg", "keyboard", "landscape", "launch-index", "lxd"),
    ...known("mcollective", "merge_how", "merge_type", "migrate", "mount_default_fields", "ntp", "output"),
    ...known("phone_home", "puppet", "random_seed", "reporting", "resolv_conf", "rh_subscription", "rsyslog"),
    ...known("salt_minion", "snap", "spacewalk", "ssh", "ssh_fp_console_blacklist"),
    ...known("ssh_key_console_blacklist", "ssh_publish_hostkeys", "system_info", "ubuntu_advantage"),
    ...known("ubuntu_pro", "updates", "vendor_data", "version", "wireguard", "yum_repos", "zypper"),
});

/**
 * What breaks the schema of cloud-config in a text: cloud-init would leave it out with no more than a line in its log.
 * A key that is like a known one is taken for a slip; any other that is unknown here may be of a later cloud-init,
 * and is a warning.
 *
 * @param source Cloud-config that is YAML; a script (`#!`) is not looked at.
 */
export function checkCloudConfig(source: string): CloudConfigFindings {
    const found: CloudConfigFindings = { problems: [], warnings: [] };
    if (source.startsWith("#!")) return found;
    const lines = new LineCounter();
    // As PyYAML reads it, which cloud-init uses: `yes` is true, and 0644 is 420.
    const document = parseDocument(source, { version: "1.1", lineCounter: lines, logLevel: "silent" });
    visit(document, {
        Scalar: (_key, node) => {
            keepText(node);
        },
    });
    const place = (at: Path) => quote(source, document, lines, at);
    cloudConfig.check(document.toJS() ?? {}, [], {
        wrong: (at, should, value) => {
            const quoted = should === "text" && kindOf(value) === "scalar" ? "; put it in quotes" : "";
            found.problems.push(
                `${label(at)} should be ${should}, got ${describe(value)}${quoted}${place(at)}`,
            );
        },
        unknown: (at, key, keys) => {
            const likely = meant(key, keys);
            const what = `${label(at)} is no key of cloud-config`;
            if (likely) found.problems.push(`${what}; did you mean '${likely}'?${place(at)}`);
            else found.warnings.push(`${what} that is known here: see whether the image's cloud-init has it`);
        },
    });
    return found;
}

/** YAML 1.1 takes these for true, false and numbers; PyYAML does not. https://pyyaml.org/wiki/PyYAMLDocumentation */
function keepText(node: { value: unknown; source?: string; type?: string | null }): void {
    if (node.type === "PLAIN" && node.source && /^([yn]|[-+]?[\d_]+(\.[\d_]*)?e\d+)$/i.test(node.source))
        node.value = node.source;
}

/** `runcmd[2].path` in quotes. */
function label(at: Path): string {
    if (at.length === 0) return "what follows the first line";
    return `'${at
        .map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`))
        .join("")
        .slice(1)}'`;
}

function describe(value: unknown): string {
    const kind = kindOf(value);
    if (kind === "none") return "nothing";
    if (kind === "map") return `a map (${Object.keys(value as object).join(", ")})`;
    return kind === "list" ? "a list" : JSON.stringify(value);
}

/** The line of the text where a value stands. */
function quote(source: string, document: Document, lines: LineCounter, at: Path): string {
    const node = document.getIn(at, true);
    const range =
        isScalar(node) || (node && typeof node === "object")
            ? (node as { range?: number[] }).range
            : undefined;
    if (at.length === 0 || range?.[0] === undefined) return "";
    const { line } = lines.linePos(range[0]);
    return ` (line ${line}: ${source.split("\n")[line - 1]?.trim() ?? ""})`;
}
