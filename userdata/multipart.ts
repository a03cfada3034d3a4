import { readFileSync } from "node:fs";
import * as path from "node:path";

/** What a backend's user data is made of. */
export interface UserDataParts {
    /** The user's own text, cloud-config or a script. */
    text: string;
    /** One word, or empty. */
    generation: string;
}

/** It holds a `=`, which a quoted-printable part never has alone. */
const boundary = "=dropscale=";

/** The first Content-Transfer-Encoding is ours: the part before has none. */
const sentForm =
    /^(MIME-Version: .*?)\n\n.*?\nContent-Transfer-Encoding: ([^\n]*)\n\n(.*)\n--=dropscale=--\n$/s;

/**
 * User data as a backend gets it: MIME multi-part, in which cloud-init takes any form beside any other. First our part,
 * which lets the load balancer ask whether the set-up has ended, and bring content; then the user's own text, which cloud-init knows by its
 * first bytes as ever. Plain ASCII stays as it is; anything else has to be quoted-printable, since cloud-init reads the
 * message as text, and of text that is not ASCII Python's parser makes Latin-1.
 * https://cloudinit.readthedocs.io/en/latest/explanation/format.html (MIME multi-part archive)
 *
 * @param setupKey Public key, as one line of type, key and comment, with which the load balancer asks.
 */
export function joinUserData(parts: UserDataParts, setupKey: string): string {
    const boothook = setupText("boothook.sh")
        .replace("@ANSWER@\n", () => `${setupText("name-of.sh")}\n${setupText("answer.sh")}`)
        .replace("@ONCE@\n", () => setupText("dropscale-once.sh"))
        .replace("@PUBLIC_KEY@", setupKey.split(" ", 2).join(" "));
    return joinBoothook(parts, boothook);
}

/** The same with any script before the user's own text. @param boothook Cloud-init runs it at every boot, before sshd. */
export function joinBoothook({ text, generation }: UserDataParts, boothook: string): string {
    const isPlain = /^[\t\n -~]*$/.test(text) && !text.includes(boundary);
    return [
        "MIME-Version: 1.0",
        `Content-Type: multipart/mixed; boundary="${boundary}"`,
        ...(generation === "" ? [] : [`Generation: ${generation}`]),
        "",
        `--${boundary}`,
        "Content-Type: text/cloud-boothook",
        "",
        boothook,
        `--${boundary}`,
        "Content-Type: text/plain; charset=utf-8",
        `Content-Transfer-Encoding: ${isPlain ? "7bit" : "quoted-printable"}`,
        "",
        isPlain ? text : quotedPrintable(text),
        `--${boundary}--`,
        "",
    ].join("\n");
}

/** A part of the program's own. */
export const setupText = (file: string): string => readFileSync(path.join(__dirname, "setup", file), "utf8");

/** The user's own text and the generation out of what {@link joinUserData} made, of this version or an earlier one. */
export function splitUserData(sent: string): UserDataParts {
    const [, header = "", encoding, body] = sentForm.exec(sent) ?? [];
    if (body !== undefined) {
        const [, generation = ""] = /^Generation: (.*)$/m.exec(header) ?? [];
        return { text: encoding === "7bit" ? body : fromQuotedPrintable(body), generation };
    }
    // Before there were parts, the generation stood in the text's second line.
    const [, first, generation, rest] = /^([^\n]*\n)# generation: ([^\n]*)\n(.*)$/s.exec(sent) ?? [];
    return rest === undefined
        ? { text: sent, generation: "" }
        : { text: `${first}${rest}`, generation: generation ?? "" };
}

/** https://www.rfc-editor.org/rfc/rfc2045#section-6.7, but lines as long as they were: it is no mail. */
function quotedPrintable(text: string): string {
    return Buffer.from(text)
        .toString("latin1")
        .replace(
            /[^\t\n -<>-~]|[\t ]$/gm,
            (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
        );
}

function fromQuotedPrintable(text: string): string {
    const bytes = text.replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
    return Buffer.from(bytes, "latin1").toString("utf8");
}
