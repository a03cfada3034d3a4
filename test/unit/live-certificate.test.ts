import { describe, expect, it } from "vitest";
import pc from "picocolors";
import { conditionDrift } from "../../tools/drift/differences";
import { judgeCertificate, parseCertificate } from "../../tools/live/certificate";
import { conditionLines } from "../../tools/status/status";
import { issue } from "../certificates";

const issuer = issue(["Authority"], { kind: "ca" });
const { certificate } = issue(["www.example.com", "example.com"], { issuer });
const { fingerprint } = parseCertificate(certificate);
const shown = `shown ${fingerprint}\n`;
const status = (more: object = {}) =>
    `status ${JSON.stringify({ result: "ok", reason: "", triedAt: "2026-11-30T07:00:00Z", missing: "", ...more })}\n`;
const judge = (text: string, now?: Date) => judgeCertificate(parseCertificate(text), "prod", now);
const daysOn = (days: number): Date => new Date(Date.now() + days * 24 * 3600 * 1000);

describe("the certificate on the load balancer", () => {
    it("is well where a handshake shows it, and it has time left", () => {
        expect(judge(certificate + shown)).toMatchObject({
            said: ["certificate: www.example.com, example.com, by Authority (Test), 89 days left"],
            problems: [],
        });
        const ordered = judge(certificate + shown + status());
        expect(ordered.problems).toEqual([]);
        expect(ordered.said[0]).toMatch(/ left; last tried 2026-11-30T07:00:00Z: ok$/);
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
        expect(judge(text, daysOn(days)).problems.join()).toContain(problem);
    });

    it("is renewed while a third is left: nothing is said before a quarter is", () => {
        const ordered = certificate + shown + status();
        expect(judge(ordered, daysOn(65)).problems).toEqual([]);
        expect(judge(ordered, daysOn(69)).problems).toHaveLength(1);
    });

    it("is said by make status, with what to do, and found by make drift", () => {
        const plain = pc.createColors(false);
        const late = judge(certificate + shown + status({ missing: "a.example", reason: "why" }));
        expect(conditionLines(late, plain).slice(1)).toEqual([
            "the certificate lacks a.example (why)",
            "  → `journalctl -u dropscale-certificate` on the load balancer tells more; `pulumi up --stack prod --replace '**::https-after'` tries at once",
        ]);
        expect(conditionDrift("certificate", late)).toMatchObject([
            { kind: "certificate", message: "lacks a.example (why)" },
        ]);
        expect(conditionDrift("certificate", undefined)).toEqual([]);
        expect(conditionDrift("certificate", judge(certificate + shown))).toEqual([]);
    });

    it("is an error where the load balancer has none", () => {
        expect(() => parseCertificate("")).toThrow(
            "/etc/haproxy/certs/site.pem is missing on the load balancer",
        );
    });
});
