import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { type Document, parseDocument } from "yaml";

/** DigitalOcean's bound on user data, in bytes. https://docs.digitalocean.com/reference/api/ (POST /v2/droplets) */
const maxUserDataBytes = 65_536;

/** Name of the load balancer's own user data in this folder. */
export const loadBalancerFile = "haproxy";

/** What `userdata` in the config may name: the other files of this folder, without their endings. */
export function backendFiles(): string[] {
    return readdirSync(__dirname)
        .filter((file) => /\.(yaml|sh)$/.test(file))
        .map((file) => path.parse(file).name)
        .filter((name) => name !== loadBalancerFile)
        .sort();
}

/** The text of `userdata/<name>.yaml`, or else of `userdata/<name>.sh`. */
export function readUserData(name: string): string {
    const [yaml, script] = ["yaml", "sh"].map((ending) => path.join(__dirname, `${name}.${ending}`)) as [
        string,
        string,
    ];
    return readFileSync(existsSync(yaml) ? yaml : script, "utf8");
}

/**
 * Checks user data, and adds to a cloud-config what is computed. Comments and order of the text stay.
 *
 * @param text Cloud-config (`#cloud-config` is its first line) or a script (`#!` are its first bytes).
 * @param additions Top-level keys to set, such as `ssh_keys`; not possible with a script. @default none
 * @returns The text, without a change where nothing is added.
 * @throws Error if it does not start right, is no YAML, or is over 64 KiB.
 */
export function renderUserData(text: string, additions: Readonly<Record<string, unknown>> = {}): string {
    // Anything else in the very first bytes, a blank or an empty line too, disables it without a word.
    // https://cloudinit.readthedocs.io/en/latest/explanation/format.html
    if (!/^#cloud-config\r?\n|^#!/.test(text)) {
        throw new Error(
            `user data should start with the line "#cloud-config" or with "#!" in its first bytes, ` +
                `got ${JSON.stringify(text.slice(0, 20))}; remove what stands before it`,
        );
    }
    const result = text.startsWith("#!") ? renderScript(text, additions) : renderCloudConfig(text, additions);
    const bytes = Buffer.byteLength(result);
    if (bytes > maxUserDataBytes) {
        throw new Error(`user data should have at most ${maxUserDataBytes} bytes (64 KiB), got ${bytes}`);
    }
    return result;
}

/**
 * User data with a comment after its first line that names the generation: another one is another text, for which
 * every server is replaced.
 *
 * @param generation One word; empty adds nothing.
 */
export function withGeneration(text: string, generation: string): string {
    return generation === "" ? text : text.replace("\n", `\n# generation: ${generation}\n`);
}

/** Says that a text changed without repeating it in every preview; a reviewer sees the file's own diff. */
export function describeUserData(text: string): string {
    return `${text.split("\n").length - 1} lines, sha256 ${createHash("sha256").update(text).digest("hex").slice(0, 12)}`;
}

function renderScript(text: string, additions: Readonly<Record<string, unknown>>): string {
    const keys = Object.keys(additions);
    if (keys.length > 0)
        throw new Error(`user data should be cloud-config to set ${keys.join(", ")}, got a script`);
    return text;
}

function renderCloudConfig(text: string, additions: Readonly<Record<string, unknown>>): string {
    const document: Document = parseDocument(text);
    const [problem] = document.errors;
    if (problem) throw new Error(`user data should be YAML after its first line: ${problem.message}`);
    if (Object.keys(additions).length === 0) return text;
    for (const [key, value] of Object.entries(additions)) document.set(key, value);
    return document.toString({ lineWidth: 0 });
}
