import { readFileSync } from "node:fs";
import { join } from "node:path";
import { hostScript, oneWord } from "../host-script";

/** The script that installs a certificate. */
export const certificateScript = hostScript(
    "certificate",
    readFileSync(join(__dirname, "certificate.sh"), "utf8"),
);

/** Makes the certificates and the key that are its stdin the ones that HAProxy serves. Takes seconds. */
export function installCertificate(loadBalancerId: string, names: readonly string[]): string {
    const words = names.map(oneWord).join(" ");
    return `timeout --kill-after=10 300 ${certificateScript.path} install ${words} # load balancer ${oneWord(loadBalancerId)}`;
}
