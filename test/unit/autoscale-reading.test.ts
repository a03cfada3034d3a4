import { describe, expect, it } from "vitest";
import { serverDifference } from "../../tools/autoscale/wanted";
import { heal } from "../../tools/autoscale/heal";
import { conflictWith, describeHeartbeat, type Heartbeat } from "../../tools/live/heartbeat";
import { sampleOf } from "../../tools/autoscale/signals";
import { parseReading, type ServerReading } from "../../tools/live/reading";

const header =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,econ,eresp,status,lastchg,check_status,rate,last_chk,rtime,hrsp_5xx,req_tot,addr,\n";
const answer = `heartbeat: 7 {"host":"admin","pid":4,"hand":"up","everySeconds":5,"action":"none","reason":"busy 0.10"}
Name: HAProxy
Version: 2.6.12-1+deb12u4
Pid: 896
Uptime_sec: 14
Maxconn: 6000
CurrConns: 12
Idle_pct: 97
description: gen=92dfb8a09cbd2ce5

${header}pool,web-0,0,0,3,9,200,40,1,0,UP,200,* L7OK,8,"Layer7 check passed, again",12,2,,10.114.0.2:80,
pool,web-1,0,0,4,9,200,41,0,0,DOWN 1/2,30,L7STS,0,"HTTP ""no"" <503>",9,0,,10.114.0.3:80,
pool,web-10,0,0,1,9,200,4,0,0,UP 1/2,7,L7OK,1,,9,0,,10.114.0.4:80,
pool,BACKEND,5,9,13,20,600,85,1,0,UP,200,,9,,11,6,85,,

${header}uploads,web-0,0,0,2,9,200,4,0,0,UP,200,,0,,700,0,,10.114.0.2:80,
uploads,BACKEND,1,0,3,20,600,4,0,0,UP,200,,0,,700,1,4,,

${header}streams,BACKEND,0,0,30,30,3000,30,0,0,UP,200,,0,,0,0,30,,

applying: yes
`;

describe("a look at HAProxy", () => {
    const reading = parseReading(answer);

    it("has its worker, and whether a run is just applying a text", () => {
        expect(reading).toMatchObject({
            ...{ pid: 896, uptimeSeconds: 14, generation: "92dfb8a09cbd2ce5", idlePercent: 97 },
            ...{ connections: 12, maxConnections: 6000, isApplying: true },
        });
        expect(parseReading(answer.replace("applying: yes\n", "")).isApplying).toBe(false);
    });

    it("adds up what the servers that are UP work on, and what waits; streams are none of both", () => {
        expect(reading).toMatchObject({
            running: 3 + 2 + 1,
            queued: 6,
            streams: 30,
            requests: 119,
            failures: 7,
        });
    });

    it("has each server once, with its state in `pool` and the requests of all", () => {
        expect(reading.servers.map(({ name, slot, isUp, check }) => [name, slot, isUp, check])).toEqual([
            ["web-0", 0, true, "L7OK"],
            ["web-1", 1, false, "L7STS"],
            ["web-10", 10, true, "L7OK"],
        ]);
        expect(reading.servers[0]).toMatchObject({
            ...{ address: "10.114.0.2", running: 5, requests: 44, failures: 3, requestsPerSecond: 8 },
            ...{ responseMs: 12, statusSeconds: 200 },
        });
    });

    it("is none without HAProxy's answer, or without backends", () => {
        for (const text of ["", "-- something\n", answer.split("\n\n")[0] ?? ""])
            expect(() => parseReading(text)).toThrow("HAProxy does not answer on the load balancer");
    });

    it("is none where the answer was cut off: servers would be missing", () => {
        const end = answer.indexOf("pool,web-10");
        expect(() => parseReading(answer.slice(0, end))).toThrow(
            "HAProxy's answer on the load balancer was cut off",
        );
    });

    it("becomes a sample with rates, but not across a reload", () => {
        const before = { atMs: 1000, reading: { ...reading, requests: 19, failures: 2 } };
        const now = { atMs: 11_000, reading };
        expect(sampleOf(now, before)).toEqual({
            ...{ atMs: 11_000, running: 6, queued: 6, up: 2, young: 1, down: 1 },
            ...{ requestsPerSecond: 10, failuresPerSecond: 0.5 },
        });
        const reloaded = { ...before, reading: { ...before.reading, pid: 895 } };
        for (const first of [undefined, reloaded])
            expect(sampleOf(now, first)).toMatchObject({
                ...{ requestsPerSecond: undefined, failuresPerSecond: undefined },
            });
    });

    it("is held against the config: which servers are missing, and which are still there", () => {
        expect(serverDifference(reading, { replicas: 3, retired: [2, 3, 4, 5, 6, 7, 8, 9] })).toBeUndefined();
        expect(serverDifference(reading, { replicas: 2, retired: [] })).toBe("web-10 still in it");
        expect(serverDifference(reading, { replicas: 3, retired: [] })).toBe(
            "web-2 not yet in haproxy.cfg, web-10 still in it",
        );
    });
});

describe("healing", () => {
    const settings = { downSeconds: 120, perHour: 2 };
    const server = (slot: number, status: string, statusSeconds: number): ServerReading => ({
        ...{ name: `web-${slot}`, slot, address: `10.0.0.${slot}`, status, statusSeconds },
        ...{ isUp: status.startsWith("UP"), check: "L4TOUT", running: 0, requestsPerSecond: 0 },
        ...{ responseMs: 0, failures: 0, requests: 0 },
    });
    const pool = [server(0, "UP", 900), server(1, "DOWN", 130), server(2, "UP", 900)];
    const now = 10_000_000;

    it("replaces a server that has been DOWN for long, with the reason", () => {
        expect(heal(pool, settings, [], now)).toEqual({
            slot: 1,
            reason: "web-1 has been DOWN for 2 min 10 s (L4TOUT): it is replaced",
        });
    });

    it.each([
        ["the servers are UP", [server(0, "UP", 900)]],
        ["it is DOWN for a short time", [server(0, "UP", 900), server(1, "DOWN", 119)]],
        ["somebody put it into maintenance", [server(0, "UP", 900), server(1, "MAINT", 900)]],
    ])("does nothing while %s", (_what, servers) => {
        expect(heal(servers, settings, [], now)).toEqual({});
    });

    it("takes the one that has been DOWN longest, where several are", () => {
        const servers = [...pool, server(3, "DOWN", 500), server(4, "UP", 9)];
        expect(heal(servers, settings, [], now).slot).toBe(3);
    });

    it.each([
        [[server(0, "DOWN", 900)]],
        [[server(0, "DOWN", 900), server(1, "DOWN", 5), server(2, "UP", 900)]],
    ])("never replaces where most are DOWN: that is the app", (servers) => {
        const { slot, reason, alarming } = heal(servers, settings, [], now);
        expect([slot, alarming]).toEqual([undefined, true]);
        expect(reason).toMatch(/it is not the servers, and new ones would not help$/);
    });

    it("replaces at most so many an hour", () => {
        const minutes = (count: number) => now - count * 60_000;
        expect(heal(pool, settings, [minutes(70), minutes(50)], now).slot).toBe(1);
        expect(heal(pool, settings, [minutes(59), minutes(5)], now)).toEqual({
            reason: "web-1 has been DOWN for 2 min 10 s (L4TOUT), and 2 were replaced within an hour, as many as heal.perHour allows",
            alarming: true,
        });
    });
});

describe("the heartbeat", () => {
    const beat: Heartbeat = {
        ...{ host: "admin", pid: 7, hand: "up", everySeconds: 5, action: "none" },
        ...{ reason: "busy 0.31 of 0.60", alarming: false },
    };
    const heard = (ageSeconds: number, more: Partial<Heartbeat> = {}) => ({
        ageSeconds,
        text: JSON.stringify({ ...beat, ...more }),
    });

    it("says who scales, and why nothing is done; or that nobody does any more", () => {
        expect(describeHeartbeat(undefined)).toBeUndefined();
        expect(describeHeartbeat({ ageSeconds: 1, text: "{" })).toBeUndefined();
        expect(describeHeartbeat(heard(4))).toEqual({
            text: "autoscaler (admin, --apply up): busy 0.31 of 0.60",
            isAlarming: false,
            action: "none",
        });
        expect(describeHeartbeat(heard(600))).toEqual({
            text: "the autoscaler (admin, --apply up) has not been heard of for 10 min 0 s: nothing scales",
            isAlarming: true,
            action: "dead",
        });
        expect(describeHeartbeat(heard(600_000, { stopped: true, alarming: true }))).toEqual({
            text: expect.stringMatching(
                /^the autoscaler \(admin, --apply up\) was stopped .* ago: nothing scales$/,
            ) as string,
            isAlarming: false,
            action: "stopped",
        });
        expect(describeHeartbeat(heard(170, { everySeconds: 60 }))?.isAlarming).toBe(false);
    });

    it("keeps another one away, on another host or by the other way, until it is long silent", () => {
        const own = { host: "admin", hand: "up" } as const;
        expect(conflictWith(undefined, own)).toBeUndefined();
        expect(conflictWith(heard(4), own)).toBeUndefined();
        expect(conflictWith(heard(4, { hand: "dry-run" }), { ...own, hand: "commit" })).toBeUndefined();
        expect(conflictWith(heard(4), { ...own, hand: "commit" })).toMatch(
            /^another autoscaler works on this stack: admin, --apply up, heard of 4 s ago/,
        );
        expect(conflictWith(heard(4), { ...own, host: "laptop" })).toMatch(/^another autoscaler/);
        expect(conflictWith(heard(301), { ...own, host: "laptop" })).toBeUndefined();
    });
});
