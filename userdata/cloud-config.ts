import type { Findings } from "../lib/config-values";
import { suggestion } from "../lib/nearest";
import { firstLineProblem } from "./first-line";
import { anything, either, kindOf, list, map, nothing, scalar, text, word } from "./forms";
import { type Path, readYaml } from "./read-yaml";
import { PlainNumber } from "./yaml-scalars";

/** Anything else makes cloud-init throw the whole text away. https://cloudinit.readthedocs.io/en/latest/reference/merging.html */
const merging = either(
    scalar(
        "such as dict(replace)+list(append)+str()",
        (value) =>
            typeof value === "string" && /^(?:(?:dict|list|str)\([\w, ]*\)(?:\+(?=.)|$))+$/.test(value),
    ),
    list(map({ name: word("dict", "list", "str"), settings: list(text) }, ["name", "settings"])),
);
const command = either(text, list(text), nothing);

/**
 * Every top-level key of cloud-config, as of cloud-init 22.4 (Debian 12) and 25.1 (Debian 13): 22.4 leaves out a key that
 * it does not know without a word. Forms stand here only of what sets a server up: where they are wrong, it never gets
 * ready, and that is seen after `readySeconds`. All else cloud-init's own schema says in its log at boot.
 * https://cloudinit.readthedocs.io/en/latest/reference/modules.html
 */
const cloudConfig = map({
    ...Object.fromEntries(
        `allow_public_ssh_keys ansible apk_repos apt apt_pipelining apt_reboot_if_required apt_update apt_upgrade
        authkey_hash autoinstall byobu_by_default ca-certs ca_certs chef chpasswd cloud_config_modules
        cloud_final_modules cloud_init_modules create_hostname_file device_aliases disable_ec2_metadata disable_root
        disable_root_opts disk_setup drivers fan final_message fqdn fs_setup groups growpart grub-dpkg grub_dpkg hostname
        keyboard landscape launch-index locale locale_configfile lxd manage_etc_hosts manage_resolv_conf mcollective
        migrate mount_default_fields mounts no_ssh_fingerprints ntp output
        package_reboot_if_required package_update package_upgrade password phone_home power_state
        prefer_fqdn_over_hostname preserve_hostname puppet random_seed reporting resize_rootfs resolv_conf
        rh_subscription rsyslog salt_minion snap spacewalk ssh ssh_deletekeys ssh_fp_console_blacklist ssh_genkeytypes
        ssh_import_id ssh_key_console_blacklist ssh_keys ssh_publish_hostkeys ssh_pwauth ssh_quiet_keygen swap
        system_info timezone ubuntu_advantage ubuntu_pro updates user users vendor_data version wireguard yum_repo_dir
        yum_repos zypper`
            .split(/\s+/)
            .map((key) => [key, anything]),
    ),
    merge_how: merging,
    merge_type: merging,
    packages: list(
        either(
            text,
            list(text),
            map({ apt: list(either(text, list(text))), snap: list(either(text, list(text))) }),
        ),
    ),
    bootcmd: list(either(text, list(text))),
    runcmd: list(command),
    ssh_authorized_keys: list(text),
    write_files: list(
        map(
            {
                path: text,
                content: text,
                // 644 in no quotes is another number in octal.
                permissions: text,
                owner: text,
                encoding: word(
                    ...["b64", "base64", "gz", "gzip", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64"],
                    "text/plain",
                ),
                append: anything,
                defer: anything,
                source: anything,
            },
            ["path"],
        ),
    ),
});

/**
 * What cloud-init would throw away, whole or in part, with no more than a line in its log. A key that is like a known
 * one is taken for a slip; any other that is unknown here may be of a later cloud-init, and is a warning. A line each.
 *
 * @param source User data; of a script (`#!`) no more than its beginning is looked at.
 */
export function checkCloudConfig(source: string): Findings {
    const beginning = firstLineProblem(source);
    if (beginning) return { problems: [beginning], warnings: [] };
    if (source.startsWith("#!")) return { problems: [], warnings: [] };
    const { value: content, problems, at: place } = readYaml(source);
    const warnings: string[] = [];
    if (problems.length > 0) return { problems, warnings };
    cloudConfig.check(content ?? {}, [], {
        wrong: (at, should, value) => {
            const quoted = should === "text" && kindOf(value) === "scalar" ? "; put it in quotes" : "";
            problems.push(`${label(at)} should be ${should}, got ${describe(value)}${quoted}${place(at)}`);
        },
        unknown: (at, key, keys) => {
            const likely = suggestion(key, keys);
            const what = `${label(at)} is no key of cloud-config`;
            if (likely) problems.push(`${what}; did you mean '${likely}'?${place(at)}`);
            else warnings.push(`${what} that is known here: see whether the image's cloud-init has it`);
        },
    });
    return { problems, warnings };
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
    if (kind === "list") return "a list";
    return value instanceof PlainNumber ? value.text : JSON.stringify(value);
}
