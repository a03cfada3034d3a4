import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";

/** Name of the load balancer's own user data in this folder. */
export const loadBalancerFile = "haproxy";

/** Name of the admin host's. */
export const adminHostFile = "admin-host";

const fileForm = /^(.+)\.(?:yaml|yml|sh)$/;

/** What `userdata` in the config may name: the other files of this folder, without their endings. */
export function backendFiles(folder: string = __dirname): string[] {
    const names = readdirSync(folder).flatMap((file) => fileForm.exec(file)?.[1] ?? []);
    return [...new Set(names)].filter((name) => name !== loadBalancerFile && name !== adminHostFile).sort();
}

/**
 * The text of `userdata/<name>.yaml`, `.yml` or `.sh`.
 *
 * @throws Error if there is none or more than one, or if it is not UTF-8.
 */
export function readUserData(name: string, folder: string = __dirname): string {
    const files = userDataFiles(name, folder);
    const [file] = files;
    if (file === undefined) throw new Error(`userdata/ has no ${name}.yaml, ${name}.yml or ${name}.sh`);
    if (files.length > 1)
        throw new Error(
            `userdata/ should have one file of the name ${name}, got ${files.join(", ")}; rename the others`,
        );
    return decode(readFileSync(path.join(folder, file)));
}

/** The files of such a name; there should be one. */
export function userDataFiles(name: string, folder: string = __dirname): string[] {
    return readdirSync(folder)
        .filter((file) => fileForm.exec(file)?.[1] === name)
        .sort();
}

/** @throws Error that names the first byte that is no UTF-8. */
function decode(bytes: Buffer): string {
    const text = bytes.toString("utf8");
    for (const { index } of text.matchAll(/\uFFFD/g)) {
        const before = text.slice(0, index);
        const offset = Buffer.byteLength(before);
        // It may be that character itself.
        if (bytes.subarray(offset, offset + 3).toString("hex") === "efbfbd") continue;
        const gzip = bytes[0] === 0x1f && bytes[1] === 0x8b ? "; it is compressed: decompress it" : "";
        throw new Error(
            `should be UTF-8, got the byte 0x${bytes.toString("hex", offset, offset + 1)} at offset ${offset} ` +
                `(line ${before.split("\n").length})${gzip || "; save the file as UTF-8"}`,
        );
    }
    return text;
}
