import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate in PEM, and its private key. */
export interface Issued {
    certificate: string;
    key: string;
}

/** A certificate for these names: signed by `issuer`, or by itself. Needs `openssl`. */
export function issue(
    names: readonly string[],
    {
        issuer,
        kind = "ec",
        days = 90,
    }: { issuer?: Issued; kind?: "ec" | "rsa1024" | "p521" | "ca"; days?: number } = {},
): Issued {
    const folder = mkdtempSync(join(tmpdir(), "certificate-"));
    try {
        const file = (name: string) => join(folder, name);
        const algorithm = {
            ec: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            ca: ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
            p521: ["ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
            rsa1024: ["rsa:1024"],
        }[kind];
        const subject = kind === "ca" ? `/O=Test/CN=${names[0] ?? ""}` : "/";
        const extensions =
            kind === "ca"
                ? ["basicConstraints=critical,CA:TRUE"]
                : [
                      "basicConstraints=critical,CA:FALSE",
                      "extendedKeyUsage=serverAuth",
                      `subjectAltName=critical,${names.map((name) => `DNS:${name}`).join(",")}`,
                  ];
        const signer = issuer ? ["-CA", file("ca.pem"), "-CAkey", file("ca.key")] : [];
        if (issuer) {
            writeFileSync(file("ca.pem"), issuer.certificate);
            writeFileSync(file("ca.key"), issuer.key);
        }
        execFileSync(
            "openssl",
            [
                ...["req", "-x509", "-newkey", ...algorithm, "-nodes", "-subj", subject, "-days", `${days}`],
                ...extensions.flatMap((extension) => ["-addext", extension]),
                ...["-keyout", file("key"), "-out", file("certificate"), ...signer],
            ],
            { stdio: ["ignore", "ignore", "pipe"] },
        );
        return {
            certificate: readFileSync(file("certificate"), "utf8"),
            key: readFileSync(file("key"), "utf8"),
        };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

/** The stack's config of a site with a certificate of its own, and that certificate. */
export function httpsConfig(domains: readonly string[] = ["www.example.com"]) {
    const authority = issue(["Authority"], { kind: "ca" });
    const { certificate, key } = issue(domains, { issuer: authority });
    return { domains, tlsCertificate: certificate + authority.certificate, tlsKey: key };
}
