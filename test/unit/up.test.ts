import { describe, expect, it } from "vitest";
import { isLocked } from "../../tools/pulumi/run";

describe("a run that another one keeps out", () => {
    it.each([
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end",
        "error: [409] Conflict: Another update is currently in progress.",
        "error: stack prod is locked by me@host (pid 7) since 2026-01-02T03:04:05Z: wait for it",
    ])("is told by the words of the engine and of the doctor: %s", (words) => {
        expect(isLocked(words)).toBe(true);
    });

    it.each([
        "error: POST https://api.digitalocean.com/v2/firewalls: 409 (request) duplicate name",
        "error: the Droplet is locked",
        "",
    ])("is not one that failed: %s", (words) => {
        expect(isLocked(words)).toBe(false);
    });
});
