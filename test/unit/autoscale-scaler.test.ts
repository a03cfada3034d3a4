import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Hand, putBack, type Refusal } from "../../tools/autoscale/hands";
import type { Memory } from "../../tools/autoscale/memory";
import type { Blind, ConfigChange } from "../../tools/autoscale/model";
import { Scaler } from "../../tools/autoscale/scaler";
import { valuesOf } from "../../tools/autoscale/wanted";
import type { ServerReading, TimedReading } from "../../tools/live/reading";
import { StackConfig } from "../../tools/pulumi/stack-config";

const config = `config:
  dropscale:replicas: 2
  dropscale:autoscale: { min: 2, max: 8, slots: 10, heal: true }
`;
const project = `name: dropscale
config:
  dropscale:readySeconds: { default: 300 }
  dropscale:loadBalancerGeneration: { default: "" }
`;

/** A stack's folder, a hand that only remembers what it was asked for, and a clock of the test's own. */
describe("the autoscaler's rounds", () => {
    const home = process.cwd();
    const { PATH, XDG_STATE_HOME, PULUMI_BACKEND_URL } = process.env;
    let folder: string;
    let nowMs: number;
    let said: string[];
    let asked: { change: ConfigChange; message: string }[];
    let answer: () => Promise<Refusal | undefined>;

    beforeEach(() => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-scaler-"));
        mkdirSync(path.join(folder, "bin"));
        const pulumi = path.join(folder, "bin/pulumi");
        writeFileSync(pulumi, `#!/bin/sh\necho '{"url":"file://${folder}/state"}'\n`);
        chmodSync(pulumi, 0o755);
        writeFileSync(path.join(folder, "Pulumi.yaml"), project);
        writeFileSync(path.join(folder, "Pulumi.prod.yaml"), config);
        process.chdir(folder);
        process.env.PATH = `${folder}/bin:${PATH ?? ""}`;
        process.env.XDG_STATE_HOME = path.join(folder, "memory");
        // Of the shell's `make env`: here `pulumi` says where the state is.
        delete process.env.PULUMI_BACKEND_URL;
        [nowMs, said, asked] = [Date.now(), [], []];
        answer = () => Promise.resolve(undefined);
    });
    afterEach(() => {
        process.chdir(home);
        Object.assign(process.env, { PATH }, PULUMI_BACKEND_URL === undefined ? {} : { PULUMI_BACKEND_URL });
        if (XDG_STATE_HOME === undefined) delete process.env.XDG_STATE_HOME;
        else process.env.XDG_STATE_HOME = XDG_STATE_HOME;
        rmSync(folder, { recursive: true });
    });

    const file = () => new StackConfig("prod");
    const edit = (from: string, to: string) => {
        const name = path.join(folder, "Pulumi.prod.yaml");
        writeFileSync(name, readFileSync(name, "utf8").replace(from, to));
    };
    const hand: Hand = {
        name: "up",
        follow: () => Promise.resolve(undefined),
        takeBack: () => Promise.resolve(),
        adopt: () => Promise.resolve(undefined),
        apply: async (change, message) => {
            asked.push({ change, message });
            const refusal = await answer();
            if (!refusal) file().write(change);
            return refusal;
        },
    };
    const begin = (by: Partial<Hand> = {}) =>
        new Scaler("prod", file(), (text) => said.push(text), { ...hand, ...by });

    const server = (slot: number, running: number, more: Partial<ServerReading>): ServerReading => ({
        ...{ name: `web-${slot}`, slot, address: `10.0.0.${slot}`, status: "UP", isUp: true, check: "L7OK" },
        ...{ statusSeconds: 900, running, requestsPerSecond: 5, responseMs: 9, failures: 0, requests: 100 },
        ...more,
    });
    /** A look five seconds later at so many servers, each with so many requests. */
    const seen = (servers: number, running: number, sick: Partial<ServerReading> = {}): TimedReading => {
        nowMs += 5000;
        const all = Array.from({ length: servers }, (_, slot) =>
            server(slot, running, slot === 1 ? sick : {}),
        );
        return {
            atMs: nowMs,
            reading: {
                ...{ pid: 7, uptimeSeconds: 900, generation: "", idlePercent: 90, connections: 9 },
                ...{ maxConnections: 6000, isApplying: false, heartbeat: undefined, servers: all },
                ...{ running: running * servers, queued: 0, streams: 0, requests: nowMs / 100, failures: 0 },
                ...{ errors: 0, retries: 0 },
            },
        };
    };
    /** Looks at two full servers until something is to be done. */
    const whileFull = async (scaler: Scaler, isEnough: () => boolean = () => asked.length > 0) => {
        for (let i = 0; ; i++) {
            const decision = await scaler.round(seen(2, 12), true);
            if (isEnough() || i > 20) return decision;
        }
    };
    const dark = (siteAnswers: boolean): Blind => ({
        ...{ atMs: (nowMs += 15_000), problem: "SSH to root@lb: timed out", siteAnswers },
    });

    it("has its hand do what is decided, with the reason, and goes on looking meanwhile", async () => {
        let finish = (): void => undefined;
        answer = () =>
            new Promise(
                (resolve) =>
                    (finish = () => {
                        resolve(undefined);
                    }),
            );
        const scaler = begin();
        const decision = await whileFull(scaler);
        expect(decision.reason).toMatch(/^replicas 2 → 4: busy 1\.20 \(target 0\.60/);
        expect(asked).toEqual([{ change: { replicas: 4 }, message: `autoscale: ${decision.reason}` }]);
        expect((await scaler.round(seen(2, 12), true)).reason).toBe("waits: under way (replicas 2 → 4)");
        finish();
        await scaler.settle();
        expect(said).toEqual([expect.stringMatching(/^done in \d+ s$/)]);
        expect(file().read("replicas")).toBe(4);
        expect((await scaler.round(seen(4, 6), true)).reason).not.toMatch(/person|under way/);
    });

    it("only says what it would do, without a hand or before it may", async () => {
        const scaler = new Scaler("prod", file(), () => undefined);
        expect((await whileFull(scaler)).reason).toMatch(/^replicas 2 → 4/);
        const waiting = begin();
        for (let i = 0; i < 9; i++) await waiting.round(seen(2, 12), false);
        expect(asked).toEqual([]);
    });

    it("goes by CPU, too, where the settings want it and it is known", async () => {
        let known: number | undefined = 0.9;
        const asked: (number | undefined)[] = [];
        const look = (_look: TimedReading, sinceMs?: number) => {
            asked.push(sinceMs);
            return known;
        };
        const scaler = new Scaler("prod", file(), () => undefined, undefined, { look });
        const rounds = async () => {
            for (let i = 0; i < 13; i++) await scaler.round(seen(2, 6), true);
            return scaler.round(seen(2, 6), true);
        };
        expect((await rounds()).reason).toMatch(/^busy 0\.60/);
        expect(asked).toEqual([]);
        edit("slots: 10", "slots: 10, cpu: 0.5");
        expect((await rounds()).reason).toMatch(/^replicas 2 → 4: CPU 0\.90 \(target 0\.50/);
        known = undefined;
        expect((await rounds()).reason).toMatch(/^busy 0\.60/);
        // No change yet since which figures would have to be.
        expect(asked).toEqual(Array.from({ length: 28 }, () => undefined));
        edit("replicas: 2", "replicas: 3");
        for (let i = 0; i < 2; i++) await scaler.round(seen(3, 6), true);
        expect(asked.at(-1)).toBe(nowMs - 5000);
    });

    it("waits a minute after a refusal, and says it loudly", async () => {
        answer = () => Promise.resolve({ problem: "policy/limits.yaml: at most 3 servers", failed: false });
        const scaler = begin();
        await whileFull(scaler);
        expect(await scaler.settle()).toBe("policy/limits.yaml: at most 3 servers");
        const next = await scaler.round(seen(2, 12), true);
        expect(next).toMatchObject({
            reason: "waits: policy/limits.yaml: at most 3 servers",
            alarming: true,
        });
        expect(asked).toHaveLength(1);
        const refusedMs = nowMs;
        await whileFull(scaler, () => asked.length > 1);
        expect((nowMs - refusedMs) / 1000).toBeGreaterThan(30);
        expect(asked).toHaveLength(2);
    });

    it("does not repeat at once what failed, nor after it was started again; a person's edit lets it go on", async () => {
        answer = () => Promise.resolve({ problem: "`pulumi up` failed", failed: true });
        const scaler = begin();
        await whileFull(scaler);
        await scaler.settle();
        // The hand's clock is the real one.
        nowMs = Date.now() + 120_000;
        const again = begin();
        for (let i = 0; i < 9; i++) await again.round(seen(2, 12), true);
        expect((await again.round(seen(2, 12), true)).reason).toMatch(
            /^waits \d min: the last change failed$/,
        );
        expect(asked).toHaveLength(1);
        edit("max: 8", "max: 7");
        await whileFull(again, () => asked.length > 1);
        expect(asked).toHaveLength(2);
    });

    it("knows its own change again that failed when it was made: it counts, and is no person's", async () => {
        answer = () => {
            file().write({ retired: [1] });
            return Promise.resolve({ problem: "`pulumi up` failed", failed: true });
        };
        const sick = { status: "DOWN", isUp: false, check: "L4TOUT", statusSeconds: 200 };
        const scaler = begin();
        await scaler.round(seen(2, 1, sick), true);
        await scaler.settle();
        const kept = new Scaler("prod", file(), () => undefined, hand);
        nowMs = Date.now() + 61_000;
        expect((await kept.round(seen(2, 1), true)).reason).toMatch(/^waits: the servers are not those/);
        const memory = JSON.parse(
            readFileSync(path.join(folder, "memory/dropscale/dropscale-prod.autoscale.json"), "utf8"),
        ) as Memory;
        expect(memory).toMatchObject({ failures: 1, healedAtMs: [expect.any(Number)] });
        expect(memory.changed).toBeUndefined();
    });

    it.each<[string, () => void, () => TimedReading, RegExp]>([
        [
            "a roll-out",
            () => {
                edit("config:\n", "config:\n  dropscale:hold: [1]\n");
            },
            () => seen(2, 12),
            /^waits: a roll-out holds web-1$/,
        ],
        [
            "an edit that is not applied yet",
            () => {
                edit("replicas: 2", "replicas: 3");
            },
            () => seen(2, 12),
            /^waits: the servers are not those of Pulumi\.prod\.yaml \(web-2 not yet in haproxy\.cfg\)/,
        ],
        [
            "a run that applies haproxy.cfg",
            () => undefined,
            () => {
                const look = seen(2, 12);
                return { ...look, reading: { ...look.reading, isApplying: true } };
            },
            /^waits: haproxy\.cfg is just being applied$/,
        ],
        [
            "a run that holds the stack",
            () => {
                const locks = path.join(folder, "state/.pulumi/locks/organization/dropscale/prod");
                mkdirSync(locks, { recursive: true });
                writeFileSync(path.join(locks, "1.json"), '{"pid":1,"username":"ann","hostname":"laptop"}');
            },
            () => seen(2, 12),
            /^waits: another run holds the stack \(ann@laptop\)$/,
        ],
    ])("does nothing beside %s", async (_what, change, look, reason) => {
        change();
        const scaler = begin();
        await scaler.round(look(), true);
        expect((await scaler.round(look(), true)).reason).toMatch(reason);
        expect(asked).toEqual([]);
    });

    it("decides anew after it was killed in the middle of a change, and takes none of it for a person's", async () => {
        answer = () => {
            file().write({ replicas: 4 });
            return new Promise(() => undefined);
        };
        await whileFull(begin());
        expect(file().read("replicas")).toBe(4);
        asked = [];
        answer = () => Promise.resolve(undefined);
        const again = begin();
        expect((await again.round(seen(2, 12), true)).reason).toMatch(/was killed: decides anew$/);
        expect(file().read("replicas")).toBe(2);
        await whileFull(again);
        expect(asked).toMatchObject([{ change: { replicas: 4 } }]);
    });

    it("sees that what it was killed over had been made", async () => {
        answer = () => {
            file().write({ replicas: 4 });
            return new Promise(() => undefined);
        };
        await whileFull(begin());
        const again = begin();
        expect((await again.round(seen(4, 6), true)).reason).toMatch(/was killed; but it had been made$/);
        expect((await again.round(seen(4, 6), true)).reason).not.toMatch(/person/);
        expect(file().read("replicas")).toBe(4);
    });

    it("decides by what a person has pushed, where it takes that over in the same look", async () => {
        let isPushed = false;
        const follow = () => {
            if (isPushed) file().write({ replicas: 3 });
            return Promise.resolve(undefined);
        };
        const scaler = begin({ follow });
        for (let i = 0; i < 9; i++) await scaler.round(seen(2, 12), false);
        isPushed = true;
        expect((await scaler.round(seen(2, 12), true)).reason).toMatch(
            /^waits: the servers are not those of Pulumi\.prod\.yaml \(web-2 not yet/,
        );
        expect(asked).toEqual([]);
        expect(file().read("replicas")).toBe(3);
    });

    it("takes back first what a run left that was killed, where that is in the way of others' changes", async () => {
        answer = () => {
            file().write({ replicas: 4 });
            return new Promise(() => undefined);
        };
        await whileFull(begin());
        const takeBack = (change: ConfigChange) => {
            expect(change).toEqual({ replicas: 4 });
            file().write({ replicas: 2 });
            return Promise.resolve();
        };
        const follow = () =>
            Promise.resolve(file().read("replicas") === 4 ? "there are uncommitted changes" : undefined);
        const again = begin({ name: "commit", takeBack, follow });
        expect((await again.round(seen(2, 12), true)).reason).toMatch(/was killed: decides anew$/);
        expect((await again.round(seen(2, 12), true)).reason).not.toMatch(/killed|person/);
    });

    it("lets an edit hold that was made while it was away for a moment, not one of long ago", async () => {
        /** Looks at full servers, by an autoscaler that has just been started. */
        const started = async (servers: number, looks: number) => {
            const scaler = begin();
            for (let i = 1; i < looks; i++) await scaler.round(seen(servers, 12), false);
            return (await scaler.round(seen(servers, 12), false)).reason;
        };
        edit("replicas: 2", "replicas: 4");
        await started(4, 12);
        edit("replicas: 4", "replicas: 3");
        expect(await started(3, 2)).toMatch(/^a person has just made it 3, which holds/);
        edit("replicas: 3", "replicas: 2");
        nowMs += 400_000;
        expect(await started(2, 2)).not.toMatch(/person/);
    });

    it("lets a person's edit win that comes while it acts", async () => {
        let isDone = false;
        const apply: Hand["apply"] = (change) => {
            file().write(change);
            file().write({ replicas: 3 });
            isDone = true;
            return Promise.resolve(undefined);
        };
        const scaler = begin({ apply });
        await whileFull(scaler, () => isDone);
        await scaler.settle();
        expect((await scaler.round(seen(3, 12), true)).reason).toMatch(
            /^a person has just made it 3, which holds for 300 s/,
        );
        expect(file().read("replicas")).toBe(3);
    });

    it("says what clears the lock of a run that is gone", async () => {
        const locks = path.join(folder, "state/.pulumi/locks/organization/dropscale/prod");
        mkdirSync(locks, { recursive: true });
        const lock = { pid: 2 ** 30, username: "ann", hostname: hostname() };
        writeFileSync(path.join(locks, "1.json"), JSON.stringify(lock));
        const decision = await begin().round(seen(2, 12), true);
        expect(decision.reason).toMatch(/can't be seen from here any more: .*`make doctor`/);
        expect(decision.alarming).toBe(true);
    });

    it("goes on after `pulumi` could not say once where the state is", async () => {
        const pulumi = path.join(folder, "bin/pulumi");
        const working = readFileSync(pulumi);
        writeFileSync(pulumi, "#!/bin/sh\necho 'error: no route to host' >&2; exit 1\n");
        const scaler = begin();
        await expect(scaler.round(seen(2, 6), true)).rejects.toThrow("no route to host");
        writeFileSync(pulumi, working);
        expect((await scaler.round(seen(2, 6), true)).reason).toMatch(/^busy/);
    });

    it("puts back what it wrote, but not what a person has written since", () => {
        const before = valuesOf(file());
        file().write({ replicas: 4, retired: [0] });
        file().write({ replicas: 6 });
        putBack(file(), { replicas: 4, retired: [0] }, before);
        expect(valuesOf(file())).toEqual({ ...before, replicas: 6 });
    });

    it("takes over what was applied elsewhere, and leaves it alone", async () => {
        const adopt = () => {
            file().write({ replicas: 3 });
            return Promise.resolve("replicas 2 → 3: applied elsewhere, by Ann");
        };
        const scaler = begin({ adopt });
        for (let i = 0; i < 5; i++) await scaler.round(seen(3, 1), true);
        expect(said).toEqual(["replicas 2 → 3: applied elsewhere, by Ann"]);
        expect(asked).toEqual([]);
    });

    it("alarms when the servers are long not those of the config, also where each look is another process", async () => {
        edit("replicas: 2", "replicas: 3");
        const since = nowMs;
        expect((await begin().round(seen(2, 6), true)).alarming).toBeUndefined();
        nowMs = since + 900_000;
        expect((await begin().round(seen(2, 6), true)).alarming).toBeUndefined();
        nowMs = since + 910_000;
        expect(await begin().round(seen(2, 6), true)).toMatchObject({
            reason: expect.stringMatching(/web-2 not yet in haproxy\.cfg\) for 15 min/) as string,
            alarming: true,
        });
    });

    it("puts a sick server on the list of the retired ones", async () => {
        const scaler = begin();
        const sick = { status: "DOWN", isUp: false, check: "L4TOUT", statusSeconds: 200 };
        // One of two is half of them, and not more.
        await scaler.round(seen(2, 1, sick), true);
        await scaler.settle();
        expect(asked).toEqual([
            {
                change: { retired: [1] },
                message: "autoscale: web-1 has been DOWN for 3 min 20 s (L4TOUT): it is replaced",
            },
        ]);
    });

    it("heals before it grows, and says no more than that", async () => {
        edit("min: 2", "min: 4");
        const sick = { status: "DOWN", isUp: false, check: "L4TOUT", statusSeconds: 200 };
        const decision = await begin().round(seen(2, 1, sick), true);
        expect(asked).toMatchObject([{ change: { retired: [1] } }]);
        expect(decision).toMatchObject({
            ...{ replicas: 2, action: "none" },
            reason: "web-1 has been DOWN for 3 min 20 s (L4TOUT): it is replaced",
        });
    });

    it("replaces a load balancer that nobody reaches, but not where only the way to it is broken", async () => {
        const scaler = begin();
        await scaler.round(seen(2, 1), true);
        for (let i = 0; i < 12; i++) await scaler.round(dark(true), true);
        expect(asked).toEqual([]);
        for (let i = 0; i < 12; i++) await scaler.round(dark(false), true);
        await scaler.settle();
        expect(asked).toHaveLength(1);
        expect(asked[0]?.change.loadBalancerGeneration).toMatch(/^heal-\d{8}T\d+Z$/);
        expect(asked[0]?.message).toMatch(
            /the load balancer has not answered for \d min .*: it is replaced$/,
        );
    });

    it("replaces it also where that takes longer than any window of the metrics", async () => {
        edit("heal: true", "inSeconds: 60, heal: { downSeconds: 600 }");
        const scaler = begin();
        for (let i = 0; i < 45; i++) await scaler.round(dark(false), true);
        expect(asked).toHaveLength(1);
    });
});
