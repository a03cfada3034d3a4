import { describe, expect, it } from "vitest";
import { mostEvents, type PoolEvent, withBlindness, withLook } from "../../tools/live/events";
import type { PoolReading, ServerReading, TimedReading } from "../../tools/live/reading";
import { downReading, poolReading, serverReading } from "../pool-readings";

const startMs = Date.UTC(2026, 0, 2, 14);
/** A look so many seconds after the start, at an HAProxy that was started with it. */
const look = (at: number, servers: ServerReading[], more: Partial<PoolReading> = {}): TimedReading => ({
    atMs: startMs + 1000 * at,
    reading: poolReading(servers, { uptimeSeconds: at, ...more }),
});
/** What a row of looks tells, newest first: seconds since the start, and the words. */
const told = (...looks: TimedReading[]) =>
    show(looks.reduce<PoolEvent[]>((all, now, i) => withLook(all, now, looks[i - 1]), []));
const show = (events: PoolEvent[]) =>
    events.map(({ atMs, endMs, what, why }) => {
        const [from, to] = [atMs, endMs].map((ms) => (ms === undefined ? "…" : (ms - startMs) / 1000));
        return `${from} ${from === to ? "" : `to ${to} `}${what}${why && `: ${why}`}`;
    });

describe("what looks at a pool tell", () => {
    const up = [serverReading(0), serverReading(1)];
    const applied = "0 haproxy.cfg 92dfb8a09cbd2ce5 applied";

    it("is nothing while nothing happens, apart from what was before", () => {
        expect(told(look(10, up), look(11, up), look(12, up))).toEqual([applied]);
    });

    it("is that a server went DOWN, since when and why, and when it came back", () => {
        const sick = [serverReading(0), downReading(1, 3)];
        const still = [serverReading(0), downReading(1, 63, "L7STS")];
        const back = [serverReading(0), serverReading(1, { statusSeconds: 2 })];
        expect(told(look(20, up), look(23, sick))).toEqual([
            "20 to … web-1 went DOWN: connection refused, or no way there (L4CON)",
            applied,
        ]);
        expect(told(look(20, up), look(23, sick), look(83, still), look(93, back))[0]).toBe(
            "20 to 91 web-1 went DOWN: connection refused, or no way there (L4CON)",
        );
    });

    it("is over, too, when a server that is DOWN leaves", () => {
        const sick = [serverReading(0), downReading(1, 3)];
        const next = look(40, [serverReading(0)], { pid: 8, uptimeSeconds: 0, generation: "0".repeat(16) });
        expect(told(look(23, sick), next)).toEqual([
            "40 haproxy.cfg 0000000000000000 applied: web-1 left",
            "20 to 40 web-1 went DOWN: connection refused, or no way there (L4CON); it has left",
            applied,
        ]);
    });

    it("is who joined, left and was replaced by another haproxy.cfg", () => {
        const other = { pid: 8, uptimeSeconds: 1, generation: "a".repeat(16) };
        const news = (before: ServerReading[], after: ServerReading[], more: object = other) =>
            told(look(20, before), look(21, after, more))[0];
        const fresh = serverReading(1, { address: "10.0.0.9" });
        expect(news(up, [...up, serverReading(2), serverReading(3)])).toMatch(/: web-2, web-3 joined$/);
        expect(news(up, [serverReading(0), fresh])).toMatch(/: web-1 was replaced$/);
        expect(news(up, [fresh, serverReading(2)])).toMatch(
            /: web-2 joined; web-0 left; web-1 was replaced$/,
        );
        expect(news(up, up)).toMatch(/: other settings, the same servers$/);
        expect(news(up, up, { pid: 8, uptimeSeconds: 1 })).toMatch(/^20 HAProxy was started again or reload/);
        expect(news(up, up, { ...other, generation: "" })).toMatch(/^20 a haproxy\.cfg that is not ours/);
    });

    it("is what the autoscaler does or is alarmed by, not each figure that it says", () => {
        const says = (ageSeconds: number, more: object) => ({
            heartbeat: {
                ageSeconds,
                text: JSON.stringify({
                    ...{ host: "admin", pid: 4, hand: "up", everySeconds: 5, alarming: false },
                    ...more,
                }),
            },
        });
        const calm = (busy: string) => says(1, { action: "none", reason: `busy ${busy}` });
        expect(told(look(5, up, calm("0.1")), look(6, up, calm("0.2")))).toEqual([applied]);
        const out = says(1, { action: "out", reason: "replicas 2 → 4: busy 0.90" });
        expect(told(look(5, up, calm("0.1")), look(6, up, out), look(7, up, out))).toEqual([
            "6 autoscaler (admin, --apply up): replicas 2 → 4: busy 0.90",
            applied,
        ]);
        const dead = says(700, { action: "none", reason: "busy 0.1" });
        expect(told(look(5, up, calm("0.1")), look(6, up, dead))[0]).toMatch(
            /has not been heard of for 11 min 40 s: nothing scales/,
        );
    });

    it("is since when the load balancer could not be asked", () => {
        const first = withLook([], look(10, up), undefined);
        const blind = withBlindness(first, startMs + 12_000, "timed out");
        const still = withBlindness(blind, startMs + 22_000, "refused");
        expect(show(still)[0]).toBe("12 to … the load balancer could not be asked: refused");
        expect(show(withLook(still, look(30, up), look(10, up)))[0]).toBe(
            "12 to 30 the load balancer could not be asked: refused",
        );
    });

    it("is bounded", () => {
        let events: PoolEvent[] = [];
        for (let i = 0; i < 500; i++)
            events = withLook(
                events,
                look(10 * i, up, { pid: i, uptimeSeconds: 1 }),
                look(0, up, { pid: -1 }),
            );
        expect(events).toHaveLength(mostEvents);
        expect(events[0]?.atMs).toBe(startMs + 4_989_000);
    });
});
