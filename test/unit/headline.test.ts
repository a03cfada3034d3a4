import { describe, expect, it } from "vitest";
import { readAutoscale } from "../../lib/autoscale-settings";
import type { PoolEvent } from "../../tools/live/events";
import { withBlindness, withLook } from "../../tools/live/events";
import { headline, sayHeadline, type Situation } from "../../tools/live/headline";
import type { PoolReading, ServerReading } from "../../tools/live/reading";
import { downReading, poolReading, serverReading } from "../pool-readings";

const nowMs = Date.UTC(2026, 0, 2, 14);
const ups = (count: number) => Array.from({ length: count }, (_, slot) => serverReading(slot));
const run = (secondsAgo: number, more: Partial<PoolEvent> = {}): PoolEvent => ({
    ...{
        id: "run 1",
        kind: "run",
        what: "scaled 3 → 4 servers",
        why: "by autoscaler: busy 0.81 (target 0.60)",
    },
    ...{ atMs: nowMs - 1000 * secondsAgo, endMs: nowMs - 1000 * secondsAgo + 22_000 },
    ...more,
});
/** Half a minute of looks, one a second; each may differ. */
function situation(
    servers: ServerReading[],
    events: PoolEvent[] = [],
    more: Partial<Situation> & { reading?: (second: number) => Partial<PoolReading> } = {},
): Situation {
    const { reading = () => ({}), ...rest } = more;
    const looks = Array.from({ length: 30 }, (_, i) => ({
        atMs: nowMs - 1000 * (29 - i),
        reading: poolReading(servers, { requests: 300 * i, uptimeSeconds: 900, ...reading(i) }),
    }));
    const [first, second] = looks;
    const seen = first && second ? withLook(events, second, first) : events;
    return {
        stack: "prod",
        nowMs,
        wanted: servers.length,
        autoscale: undefined,
        looks,
        events: seen,
        ...rest,
    };
}
const say = (now: Situation) => sayHeadline(headline(now), now.nowMs);

describe("the headline", () => {
    it("is that all is well, and the last that happened", () => {
        const now = situation(ups(4), [run(300)]);
        expect(headline(now)).toMatchObject({ level: "ok", over: "Yes", also: [] });
        expect(say(now)).toBe(
            "all 4 servers are UP. Scaled 3 → 4 servers, 4 min 38 s ago: by autoscaler: busy 0.81 (target 0.60)",
        );
        expect(say(situation(ups(1)))).toBe("the server is UP");
    });

    it("is which server is DOWN, since when, why, and what to do", () => {
        const now = situation([...ups(2), downReading(2, 180)], [run(900)]);
        expect(say(now)).toBe(
            "web-2 is DOWN: 2 of 3 servers UP, for 3 min 28 s: connection refused, or no way there (L4CON)",
        );
        expect(headline(now).over).toMatch(/`pulumi config set --path 'retired\[0\]' 2` and `pulumi up`/);
        const autoscale = readAutoscale('{"min":2,"max":6,"slots":4,"heal":{}}');
        expect(headline({ ...now, autoscale }).over).toMatch(/the autoscaler replaces it after 2 min 0 s$/);
        const many = [...ups(1), ...[1, 2, 3, 4, 5].map((slot) => downReading(slot, 60))];
        expect(say(situation(many))).toMatch(/^web-1, web-2, web-3 and 2 more are DOWN: 1 of 6 servers UP/);
    });

    it("is that visitors get nothing where no server is UP", () => {
        const now = situation([downReading(0, 40), downReading(1, 90)]);
        expect(headline(now)).toMatchObject({
            level: "bad",
            title: "no server is UP, of 2: visitors get a 503",
            event: { what: "the last server went DOWN", atMs: nowMs - 68_000 },
        });
        expect(headline(situation([])).title).toBe("there is no server: visitors get a 503");
    });

    it("is how many requests fail, not a single one of thousands", () => {
        const failing = (each: number) =>
            situation(ups(2), [], { reading: (i) => ({ failures: Math.floor(each * Math.max(0, i - 9)) }) });
        expect(headline(failing(6)).title).toBe("120 of 8700 requests in the last 29 s failed with a 5xx");
        expect(headline(failing(6)).event?.atMs).toBe(nowMs - 19_000);
        expect(headline(failing(0.1)).level).toBe("ok");
    });

    it("is that the last `up` failed, what runs since, and what to do", () => {
        const failed = run(300, {
            hasFailed: true,
            ...{ what: "`pulumi up` failed: 3 → 5 servers", why: "by Ann: failed with 4 resources created" },
        });
        const now = situation(ups(3), [failed, run(900)], { wanted: 5 });
        expect(say(now)).toBe(
            "the last `pulumi up` failed: 3 of 3 servers UP, 5 wanted, 4 min 38 s ago: by Ann: failed with 4 resources created",
        );
        expect(headline(now).over).toBe(
            "No; HAProxy runs haproxy.cfg 92dfb8a09cbd2ce5. `make doctor STACK=prod` clears what was left, then `pulumi up` again",
        );
        expect(headline(situation(ups(3), [run(60), failed])).level).toBe("ok");
    });

    it("is a change that is under way", () => {
        const going = run(22, { what: "scaling 3 → 4 servers" });
        delete going.endMs;
        const now = situation(ups(3), [going, run(900)], { wanted: 4 });
        expect(headline(now)).toMatchObject({
            level: "note",
            title: "scaling 3 → 4 servers: 3 of 3 servers UP",
        });
        expect(say(now)).toMatch(/, for 22 s: by autoscaler/);
        const applying = situation(ups(3), [], { reading: () => ({ isApplying: true }) });
        expect(headline(applying).title).toMatch(/^another haproxy.cfg is being applied/);
    });

    it("is that there is too much to do, if it lasts, and who helps", () => {
        const autoscale = readAutoscale('{"min":2,"max":6,"slots":4}');
        const busy = (running: (i: number) => number) =>
            situation(ups(2), [], { autoscale, reading: (i) => ({ running: running(i) }) });
        expect(headline(busy((i) => (i >= 10 ? 7 : 1)))).toMatchObject({
            level: "note",
            title: "the servers are busy",
            event: { atMs: nowMs - 19_000, why: "busy 0.88 (target 0.60), 7 requests under way, 0 wait" },
        });
        expect(headline(busy((i) => (i % 10 === 9 ? 8 : 1))).level).toBe("ok");
        expect(headline(busy(() => 5)).level).toBe("ok");
        const queued = situation(ups(2), [], { reading: () => ({ queued: 1 }) });
        expect(headline(queued).title).toBe("1 request waits for a server");
    });

    it("is that the load balancer can't be asked, before all that was seen before", () => {
        const seen = situation([...ups(1), downReading(1, 60)]);
        const events = withBlindness(seen.events, nowMs - 12_000, "SSH to root@192.0.2.1: timed out");
        const found = headline({ ...seen, events });
        expect(found).toMatchObject({
            ...{ level: "bad", title: "the load balancer can't be asked" },
            also: ["web-1 is DOWN: 1 of 2 servers UP"],
        });
        expect(found.over).toMatch(/`make status STACK=prod`.*`adminCidrs`/);
        expect(headline({ ...seen, looks: [], events: [] }).title).toBe("asking the load balancer…");
    });

    it("is the autoscaler's alarm, and that it is silent, unless somebody stopped it", () => {
        const heard = (ageSeconds: number, alarming: boolean, more: object = {}) =>
            situation(ups(2), [], {
                reading: () => ({
                    heartbeat: {
                        ageSeconds,
                        text: JSON.stringify({
                            ...{ host: "admin", pid: 4, hand: "up", everySeconds: 5, action: "none" },
                            ...{ alarming, reason: "paused after 3 failures", ...more },
                        }),
                    },
                }),
            });
        expect(headline(heard(1, false)).level).toBe("ok");
        expect(headline(heard(1, true))).toMatchObject({
            title: "the autoscaler wants a person",
            event: { why: "paused after 3 failures" },
        });
        expect(headline(heard(900, false)).title).toMatch(/has not been heard of for 15 min 0 s/);
        expect(headline(heard(900, false, { stopped: true })).level).toBe("ok");
    });

    it("names the worst first, and the others beside it", () => {
        const failed = run(300, { hasFailed: true, what: "`pulumi up` failed" });
        const now = situation([...ups(2), downReading(2, 60)], [failed]);
        expect(headline(now)).toMatchObject({
            title: "web-2 is DOWN: 2 of 3 servers UP",
            also: ["the last `pulumi up` failed: 2 of 3 servers UP, 3 wanted"],
        });
    });
});
