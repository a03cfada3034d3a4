import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

/** What testssl.sh says of one thing. */
interface Finding {
    id: string;
    severity: "OK" | "INFO" | "LOW" | "WARN" | "MEDIUM" | "HIGH" | "CRITICAL";
    finding: string;
}

/** What is said of a sandbox's certificate, of this machine or of the site, and not of the load balancer; and why. */
const notOurs: Readonly<Record<string, string>> = {
    engine_problem: "this machine's openssl lacks GOST",
    cert_revocation: "Pebble's certificates name no list of revoked ones; Let's Encrypt's do",
    BREACH: "compressing pages is the servers' business: Debian's nginx does it",
    security_headers: "CSP and the like depend on the pages: they are the servers' to send",
};

/** The version whose findings are known: Debian 12's. Another one may know more. */
const version = "3.0.8";

/**
 * Everything that testssl.sh finds above LOW. Takes minutes. Needs `testssl` (testssl.sh).
 *
 * @param roots File of root certificates to trust, in PEM.
 */
export async function testssl(name: string, address: string, roots: string): Promise<string[]> {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-testssl-"));
    try {
        const report = path.join(folder, "report.json");
        const options = ["--ip", address, "--nodns", "none", "--warnings", "off", "--color", "0"];
        const { stdout } = await promisify(execFile)(
            "testssl",
            [...options, "--add-ca", roots, "--jsonfile", report, `https://${name}`],
            // It ends with the number of what it found.
            { maxBuffer: 2 ** 24 },
        ).catch((error: unknown) => error as { stdout: string });
        if (!stdout.includes(`testssl       ${version}`))
            throw new Error(`testssl.sh ${version} is wanted: ${stdout.slice(0, 1000)}`);
        const findings = JSON.parse(readFileSync(report, "utf8")) as Finding[];
        if (findings.length < 100) throw new Error(`testssl.sh gave up: ${stdout.slice(-2000)}`);
        return findings
            .filter(({ id, severity }) => !["OK", "INFO", "LOW"].includes(severity) && !(id in notOurs))
            .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`);
    } finally {
        rmSync(folder, { recursive: true });
    }
}
