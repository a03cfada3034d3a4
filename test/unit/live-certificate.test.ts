import { describe, expect, it } from "vitest";
import pc from "picocolors";
import { certificateDrift } from "../../tools/drift/differences";
import { certificateProblems, describeCertificate, parseCertificate } from "../../tools/live/certificate";
import { certificateLines } from "../../tools/status/status";
import { issue } from "../certificates";

const issuer = issue(["Authority"], { kind: "ca" });
const { certificate } = issue(["www.example.com", "example.com"], { issuer });
const { fingerprint } = parseCertificate(certificate);
const shown = `shown ${fingerprint}\n`;
const status = (more: object = {}) =>
    `status ${JSON.stringify({ result: "ok", reason: "", triedAt: "2026-11-30T07:00:00Z", missing: "", ...more })}\n`;
const daysOn = (days: number): Date => new Date(Date.now() + days * 24 * 3600 * 1000);

describe("the certificate on the load balancer", () => {
    it("is well where a handshake shows it, and it has time left", () => {
        const own = parseCertificate(certificate + shown);
        expect(certificateProblems(own)).toEqual([]);
        expect(describeCertificate(own)).toBe(
            "certificate: www.example.com, example.com, by Authority (Test), 89 days left",
        );
        const ordered = parseCertificate(certificate + shown + status());
        expect(certificateProblems(ordered)).toEqual([]);
        expect(describeCertificate(ordered)).toMatch(/ left; last tried 2026-11-30T07:00:00Z: ok$/);
    });

    it.each([
        ["not shown", certificate, 0, "is not the one that a handshake shows"],
        ["another is shown", `${certificate}shown AA:BB\n`, 0, "is not the one that a handshake shows"],
        ["one's own in its last days", certificate + shown, 80, "ends at 2"],
        ["ended", certificate + shown, 91, "ended at 2"],
        ["not renewed", certificate + shown + status({ reason: "DNS" }), 70, "and was not renewed (DNS)"],
        [
            "a name is missing",
            certificate + shown + status({ missing: "a.example b.example" }),
            0,
            "lacks a.example, b.example",
        ],
        ["only one that stands in", issuer.certificate + status({ reason: "DNS" }), 0, "is not there yet"],
    ])("is not: %s", (_what, text, days, problem) => {
        expect(certificateProblems(parseCertificate(text), daysOn(days)).join()).toContain(problem);
    });

    it("is renewed while a third is left: nothing is said before a quarter is", () => {
        const ordered = parseCertificate(certificate + shown + status());
        expect(certificateProblems(ordered, daysOn(65))).toEqual([]);
        expect(certificateProblems(ordered, daysOn(69))).toHaveLength(1);
    });

    it("is said by make status, with what to do, and found by make drift", () => {
        const plain = pc.createColors(false);
        const late = parseCertificate(certificate + shown + status({ missing: "a.example", reason: "why" }));
        expect(certificateLines(late, "prod", plain).slice(1)).toEqual([
            "the certificate lacks a.example (why)",
            "  → `journalctl -u dropscale-certificate` on the load balancer tells more; `pulumi up --stack prod --replace '**::https-after'` tries at once",
        ]);
        expect(certificateLines(undefined, "prod", plain)).toEqual([]);
        expect(certificateDrift(late, "prod")).toMatchObject([
            { kind: "certificate", message: "lacks a.example (why)" },
        ]);
        expect(certificateDrift(undefined, "prod")).toEqual([]);
        expect(certificateDrift(parseCertificate(certificate + shown), "prod")).toEqual([]);
    });

    it("is an error where the load balancer has none", () => {
        expect(() => parseCertificate("")).toThrow(
            "/etc/haproxy/certs/site.pem is missing on the load balancer",
        );
    });
});
