import { X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { checkCertificate, inOneFile } from "../../lib/certificate";
import { issue } from "../certificates";

const root = issue(["Root"], { kind: "ca" });
const middle = issue(["Middle"], { kind: "ca", issuer: root });
const site = issue(["www.example.com", "*.example.org"], { issuer: middle });
const chain = site.certificate + middle.certificate;
const daysOn = (days: number): Date => new Date(Date.now() + days * 24 * 3600 * 1000);

describe("a certificate of one's own", () => {
    it("is taken where it fits, and told by what anybody may know", () => {
        const { problems, warnings, facts } = checkCertificate(chain, site.key, [
            "www.example.com",
            "a.example.org",
        ]);
        expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
        expect(facts).toEqual({
            names: ["www.example.com", "*.example.org"],
            issuer: "Middle (Test)",
            notAfter: new Date(new X509Certificate(site.certificate).validTo).toISOString(),
            fingerprint: new X509Certificate(site.certificate).fingerprint256,
        });
        expect(JSON.stringify(facts)).not.toContain("KEY");
    });

    it.each<[string, string, string, string[], string]>([
        [
            "nothing",
            "",
            site.key,
            [],
            "'tlsCertificate' should be certificates in PEM (-----BEGIN CERTIFICATE-----), the site's own first, got nothing",
        ],
        [
            "half of one",
            chain.slice(0, 300),
            site.key,
            [],
            "got a text of 300 characters without one; pulumi config set --secret tlsCertificate < fullchain.pem",
        ],
        [
            "what is none",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            site.key,
            [],
            "got 1 of which one can't be read",
        ],
        [
            "no key",
            chain,
            "",
            [],
            "'tlsKey' should be the certificate's private key in PEM (-----BEGIN PRIVATE KEY-----), got nothing; pulumi config set --secret tlsKey < privkey.pem",
        ],
        [
            "an encrypted key",
            chain,
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
            [],
            "openssl pkey -in privkey.pem takes the password off",
        ],
        ["another's key", chain, root.key, [], "got the key of another certificate"],
        [
            "the issuer first",
            middle.certificate + site.certificate,
            site.key,
            [],
            "'tlsCertificate' should begin with the site's certificate, got it as number 2 of 2; put it first",
        ],
        [
            "a gap",
            site.certificate + root.certificate,
            site.key,
            [],
            "number 1 is issued by Middle (Test), number 2 is Root (Test)",
        ],
        [
            "a name too many",
            chain,
            site.key,
            ["www.example.com", "example.com", "a.b.example.org"],
            "got one for www.example.com, *.example.org: example.com, a.b.example.org are missing",
        ],
    ])("is refused with %s", (_what, certificates, key, domains, message) => {
        const { problems } = checkCertificate(certificates, key, domains);
        expect(problems.join("\n")).toContain(message);
        // Not a line of a key.
        for (const line of key.split("\n").filter((text) => !text.startsWith("-----") && text.length > 8))
            expect(problems.join("\n")).not.toContain(line);
    });

    it.each(["rsa1024", "p521"] as const)("is refused with a key that browsers don't take: %s", (kind) => {
        const weak = issue(["www.example.com"], { kind });
        expect(checkCertificate(weak.certificate, weak.key, []).problems.join()).toMatch(
            /^'tlsKey' should be EC on P-256 or P-384, or RSA of 2048 bits or more, .* got (rsa 1024|ec secp521r1)$/,
        );
    });

    it("is refused before it begins and when it has ended, and warned of in its last 14 days", () => {
        const at = (days: number) => checkCertificate(chain, site.key, ["www.example.com"], daysOn(days));
        expect(at(-1).problems.join()).toContain("got one that begins at");
        expect(at(91).problems.join()).toContain("got one that ended at");
        expect(at(75)).toMatchObject({ problems: [], warnings: [] });
        expect(at(80)).toMatchObject({ problems: [] });
        expect(at(80).warnings.join()).toContain("'tlsCertificate' ends in 9 days");
    });

    it("is refused where an issuer's is not valid, and warned of in its last 14 days; the root's is each browser's own", () => {
        const [shortRoot, shortMiddle] = [
            issue(["Root"], { kind: "ca", days: 30 }),
            issue(["Middle"], { kind: "ca", issuer: root, days: 30 }),
        ];
        const under = (issuer: typeof root, days: number) => {
            const leaf = issue(["www.example.com"], { issuer });
            return checkCertificate(leaf.certificate + issuer.certificate, leaf.key, [], daysOn(days));
        };
        expect(under(shortMiddle, 31).problems).toEqual([
            expect.stringMatching(
                /^'tlsCertificate' should be valid, got number 2 of 2, Middle \(Test\), that ended at .*; get a new one$/,
            ),
        ]);
        expect(under(shortMiddle, 25)).toMatchObject({
            problems: [],
            warnings: [
                expect.stringContaining("'tlsCertificate', number 2 of 2, Middle (Test), ends in 4 days"),
            ],
        });
        expect(under(shortRoot, 31)).toMatchObject({ problems: [], warnings: [] });
    });

    it("is warned of where browsers will not know who signed it", () => {
        const own = issue(["www.example.com"]);
        expect(checkCertificate(own.certificate, own.key, []).warnings.join()).toContain("signed by itself");
        expect(checkCertificate(site.certificate, site.key, []).warnings.join()).toContain(
            "the site's certificate alone, issued by Middle (Test)",
        );
    });

    it("says all that is wrong at once", () => {
        const { problems } = checkCertificate(chain, root.key, ["example.net"], daysOn(91));
        // The key, the time of both certificates, and the name.
        expect(problems).toHaveLength(4);
    });

    it("becomes one file without what stands around it", () => {
        const text = inOneFile(`subject=x\n\n${chain}`, site.key);
        expect(text.match(/^-----BEGIN .*$/gm)).toEqual([
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----",
        ]);
        expect(text.trim().split("\n")).not.toContain("");
    });
});
