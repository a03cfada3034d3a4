import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type Document, isSeq, parseDocument } from "yaml";
import { firstLineProblem } from "./first-line";
import { joinBoothook, joinUserData, type UserDataParts } from "./multipart";
import { readYaml } from "./read-yaml";

/** DigitalOcean's bound on user data, in bytes. https://docs.digitalocean.com/reference/api/ (POST /v2/droplets) */
const maxUserDataBytes = 65_536;

/** Where the load balancer has the private key with which it asks backends; apply.sh reads it there. */
export const setupKeyFile = "/etc/dropscale/setup-key";

/** The load balancer's own keys. */
export interface LoadBalancerKeys {
    /** In OpenSSH's format, with its final newline. */
    hostKey: string;
    /** One line: type, key, comment. */
    hostPublicKey: string;
    /** In OpenSSH's format: with it backends are asked whether their set-up has ended. */
    setupKey: string;
}

/**
 * The load balancer's user data as it is sent: its cloud-config with the keys, and its generation in a comment.
 *
 * @param keys @default as much room as they take, for a check before there are any
 * @throws Error if the text is no cloud-config, or all of it is over 64 KiB.
 */
export function renderLoadBalancerUserData(
    { text, generation }: UserDataParts,
    keys: LoadBalancerKeys = sampleKeys,
): string {
    const named = generation === "" ? text : `${text}# generation: ${generation}\n`;
    return renderUserData(named, {
        ssh_keys: { ed25519_private: keys.hostKey, ed25519_public: keys.hostPublicKey },
        write_files: [{ path: setupKeyFile, permissions: "0600", content: keys.setupKey }],
    });
}

/** An ed25519 key in OpenSSH's format takes about 400 bytes and its comment, the public one 80. */
const sampleKeys = { hostKey: "k".repeat(550), hostPublicKey: "k".repeat(200), setupKey: "k".repeat(550) };

/**
 * Checks user data, and adds to a cloud-config what is computed. Comments and order of the text stay.
 *
 * @param text Cloud-config (`#cloud-config` is its first line) or a script (`#!` are its first bytes).
 * @param additions Top-level keys to set, such as `ssh_keys`; a list is added to the one that the text has. Not possible
 * with a script. @default none
 * @returns The text, without a change where nothing is added.
 * @throws Error if it does not start right, is no YAML, or is over 64 KiB.
 */
export function renderUserData(text: string, additions: Readonly<Record<string, unknown>> = {}): string {
    checkForm(text);
    checkNoMessage(text);
    return fitting(
        text.startsWith("#!") ? renderScript(text, additions) : renderCloudConfig(text, additions),
        text,
    );
}

/**
 * A backend's user data as it is sent.
 *
 * @param setupKey Public key, as one line of type, key and comment, with which the load balancer may ask whether the
 * set-up has ended. @default {@link sampleSetupKey}, for a check before there is one
 * @throws Error if the text does not start right, is no YAML, or all of it is over 64 KiB.
 */
export function renderBackendUserData(parts: UserDataParts, setupKey: string = sampleSetupKey): string {
    checkForm(parts.text);
    return fitting(joinUserData(parts, setupKey), parts.text);
}

/**
 * User data of a droplet that is no backend, with a script of ours before the user's own text.
 *
 * @param boothook Cloud-init runs it at every boot, before sshd.
 * @throws as {@link renderBackendUserData}
 */
export function renderWithBoothook(text: string, boothook: string): string {
    checkForm(text);
    return fitting(joinBoothook({ text, generation: "" }, boothook), text);
}

/** As long as every ed25519 key is. https://www.rfc-editor.org/rfc/rfc8709#section-4 */
const sampleSetupKey = `ssh-ed25519 ${"A".repeat(68)}`;

/** Says that a text changed without repeating it in every preview; a reviewer sees the file's own diff. */
export function describeUserData(text: string): string {
    return `${text.split("\n").length - 1} lines, sha256 ${userDataHash(text)}`;
}

/** By which a text is known: the beginning of its SHA-256, in 12 hexadecimal digits. */
export function userDataHash(text: string): string {
    return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

function checkForm(text: string): void {
    const problem = firstLineProblem(text);
    if (problem) throw new Error(problem);
    const [unreadable] = text.startsWith("#!") ? [] : readYaml(text).problems;
    if (unreadable) throw new Error(`user data should be YAML after its first line: ${unreadable}`);
}

/** User data that DigitalOcean takes. */
function fitting(sent: string, text: string): string {
    const [bytes, own] = [Buffer.byteLength(sent), Buffer.byteLength(text)];
    if (bytes <= maxUserDataBytes) return sent;
    const added =
        bytes === own ? "" : ` as it is sent: ${own} of its own, ${bytes - own} that the program adds`;
    throw new Error(`user data should have at most ${maxUserDataBytes} bytes (64 KiB), got ${bytes}${added}`);
}

function renderScript(text: string, additions: Readonly<Record<string, unknown>>): string {
    const keys = Object.keys(additions);
    if (keys.length > 0)
        throw new Error(`user data should be cloud-config to set ${keys.join(", ")}, got a script`);
    return text;
}

function renderCloudConfig(text: string, additions: Readonly<Record<string, unknown>>): string {
    if (Object.keys(additions).length === 0) return text;
    const document: Document = parseDocument(text);
    const wanted = { ...(readYaml(text).value as Record<string, unknown> | null) };
    for (const [key, value] of Object.entries(additions)) {
        const present = document.get(key);
        if (isSeq(present) && Array.isArray(value))
            for (const item of value) present.add(document.createNode(item));
        else document.set(key, value);
        const own = wanted[key];
        wanted[key] = Array.isArray(own) && Array.isArray(value) ? own.concat(value) : value;
    }
    const result = document.toString({ lineWidth: 0 });
    // Another reader made it, and aliases hide what they stand for.
    if (!isDeepStrictEqual(readYaml(result).value, wanted))
        throw new Error(
            `user data should be such that ${Object.keys(additions).join(" and ")} can be added; write them without ` +
                "aliases and '<<', and put odd numbers in quotes",
        );
    return result;
}

/**
 * Cloud-init takes a text with this word for a message, and Python's parser makes Latin-1 of what is not ASCII in one.
 * https://github.com/canonical/cloud-init/blob/22.4.2/cloudinit/user_data.py (convert_string)
 */
function checkNoMessage(text: string): void {
    if (/mime-version:/i.test(text.slice(0, 4096)) && /[^\0-\x7F]/.test(text))
        throw new Error(
            "user data with 'MIME-Version:' in its first 4,096 characters should be ASCII; move the word down, or " +
                "write other characters as escapes in double quotes",
        );
}
