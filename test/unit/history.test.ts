import { readFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import pc from "picocolors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { otherHandAtWork } from "../../tools/autoscale/other-hand";
import { scalingHistory } from "../../tools/history/entries";
import { historyJson, historyText } from "../../tools/history/history";
import { readHistory, runningEntry } from "../../tools/history/read";
import type { Update } from "../../tools/history/updates";
import { actorOf } from "../../tools/history/who";
import { readPulumi } from "../../tools/pulumi/run";

vi.mock("../../tools/pulumi/run", () => ({ readPulumi: vi.fn() }));

/** What `pulumi stack history --json` of CLI 3.253.0 wrote, much of its environment and config left out. */
const recorded = JSON.parse(readFileSync(path.join(__dirname, "history.json"), "utf8")) as {
    deployed: Update[];
    failed: Update[];
};

/** An update that ended well, `at` seconds after the first. */
const update = (at: number, replicas: number, more: Partial<Update> = {}): Update => ({
    version: 0,
    kind: "update",
    startTime: new Date(Date.UTC(2026, 0, 2) + at * 1000).toISOString(),
    endTime: new Date(Date.UTC(2026, 0, 2) + (at + 9) * 1000).toISOString(),
    message: "",
    environment: {},
    config: { "shop:replicas": { value: String(replicas), secret: false } },
    result: "succeeded",
    ...more,
});

describe("the history of a stack", () => {
    it("says who changed what, as the engine recorded it", () => {
        const lines = scalingHistory(recorded.deployed).map(({ by, who, replicas, settings, status }) =>
            [by, who, `${replicas.from} ${replicas.to}`, settings.join(), status].join("; "),
        );
        expect(lines).toEqual([
            // The commit's title is the autoscaler's, and somebody has edited the config since.
            "person; uncommitted, on e9cdedc of Ann; 2 3; ; success",
            "autoscaler; autoscaler, GitLab CI/CD #6; 2 2; ; success",
            "autoscaler; autoscaler, GitHub Actions #5; 2 2; ; success",
            "person; uncommitted, on e9cdedc of Ann; 2 2; size s-1vcpu-1gb → s-1vcpu-2gb,tlsKey changed; success",
            "autoscaler; autoscaler; 1 2; tlsKey changed; success",
            "person; not recorded; 0 1; ; success",
        ]);
        const messages = scalingHistory(recorded.deployed).map(({ message }) => message);
        const title = "autoscale: replicas 1 -> 2: busy 0.9";
        expect(messages).toEqual(["", title, title, "", `${title}0 of 0.60`, ""]);
    });

    it("compares with what was applied, not with what failed; a refresh is none of it", () => {
        const entries = scalingHistory(recorded.failed);
        expect(
            entries.map(({ kind, replicas, status, errorReason, settings }) => ({
                ...{ kind, ...replicas, status, errorReason, settings },
            })),
        ).toEqual([
            { kind: "destroy", from: 1, to: 0, status: "success", errorReason: undefined, settings: [] },
            {
                ...{ kind: "update", from: 1, to: 5, status: "error", settings: [] },
                errorReason: "failed with 4 resources created, 3 resources updated",
            },
            {
                ...{ kind: "update", from: 1, to: 2, status: "error", settings: ["drainSeconds 75 → 2"] },
                errorReason: "failed, nothing was changed",
            },
            { kind: "update", from: 0, to: 1, status: "success", errorReason: undefined, settings: [] },
        ]);
    });

    it("goes on from nothing after a destroy, and not after one of single resources", () => {
        const destroy = { kind: "destroy" };
        const some = { ...destroy, environment: { "pulumi.flag.target": "set" } };
        const froms = (updates: Update[]) => scalingHistory(updates).map(({ replicas }) => replicas.from);
        expect(froms([update(20, 3), update(10, 3, destroy), update(0, 3)])).toEqual([0, 3, 0]);
        expect(froms([update(20, 3), update(10, 3, some), update(0, 3)])).toEqual([3, 0]);
    });

    it("shows no value that is secret, was, or should have been", () => {
        const config = (entries: Record<string, { value?: string; secret?: boolean }>) => ({
            config: { "shop:replicas": { value: "3" }, ...entries },
        });
        const [entry] = scalingHistory([
            update(
                10,
                3,
                config({
                    "shop:tlsKey": { value: "PLAINKEY" },
                    "shop:tlsCertificate": { value: "WASSECRET" },
                    "digitalocean:token": { value: "PLAINTOKEN" },
                    "shop:domains": { value: '["www.example.com","www.example.org","www.example.net"]' },
                }),
            ),
            update(
                0,
                3,
                config({ "shop:tlsKey": { secret: true }, "shop:tlsCertificate": { secret: true } }),
            ),
        ]);
        expect(entry?.settings).toEqual([
            "token changed",
            'domains none → ["www.example.com","www.example.org","ww…',
            "tlsCertificate changed",
            "tlsKey changed",
        ]);
    });

    it.each([
        [
            "its own message",
            "autoscale: heal web-3",
            { "pulumi.flag.message": "set", "git.dirty": "true" },
            true,
        ],
        ["a pipeline's commit", "autoscale: replicas 3 -> 5: busy", { "ci.system": "GitHub Actions" }, true],
        ["a clean checkout of it", "autoscale: replicas 3 -> 5: busy", { "git.dirty": "false" }, true],
        ["an edited one", "autoscale: replicas 3 -> 5: busy", { "git.dirty": "true" }, false],
        ["a later edit in a pipeline", "autoscale: replicas 3 -> 4: busy", { "ci.system": "x" }, false],
        ["other words", "no autoscale: here", { "pulumi.flag.message": "set" }, false],
    ])("takes %s for the autoscaler's or not", (_what, message, environment, expected) => {
        expect(actorOf({ message, environment }, 5).by === "autoscaler").toBe(expected);
    });

    it("tells what the autoscaler ran from what others applied of its commits", () => {
        const message = "autoscale: replicas 3 -> 5: busy";
        const applied = (environment: Record<string, string>) => {
            const entries = scalingHistory([update(0, 5, { message, environment })]);
            const nowMs = Date.parse("2026-01-02T00:10:00Z");
            const conflictOf = (hand: "up" | "commit") => otherHandAtWork(entries, hand, nowMs);
            return { who: entries[0]?.who, up: conflictOf("up"), commit: conflictOf("commit") };
        };
        expect(applied({ "pulumi.flag.message": "set" })).toEqual({
            who: "autoscaler",
            up: undefined,
            commit: expect.stringMatching(/^an autoscaler with --apply up has scaled this stack/) as string,
        });
        // By a person, or a pipeline that Pulumi does not know.
        expect(applied({ "git.dirty": "false" })).toEqual({
            who: "autoscaler, its commit",
            up: expect.stringMatching(
                /^a pipeline, or somebody else, applies what is committed \(autoscaler, its commit/,
            ) as string,
            commit: undefined,
        });
    });

    it("knows a pipeline by its name, number and the commit's author, and a person by theirs", () => {
        const who = (environment: Record<string, string>) => actorOf({ message: "", environment }, 5).who;
        const author = { "git.author": "Ann\u001b[31m", "git.author.email": "ann@example.com" };
        expect(who({ "ci.system": "GitHub Actions", "ci.build.id": "77", ...author })).toBe(
            "GitHub Actions #77 (Ann [31m)",
        );
        expect(who({ "ci.system": "Generic CI" })).toBe("Generic CI");
        expect(who({ ...author, "git.dirty": "false" })).toBe("Ann [31m <ann@example.com>");
    });
});

describe("reading it", () => {
    beforeEach(() => {
        vi.mocked(readPulumi).mockReset();
    });
    afterEach(() => {
        vi.mocked(readPulumi).mockReset();
    });

    /** Serves updates as the engine does: a page at a time. @returns The pages that were asked for. */
    function serving(updates: () => Update[]): number[] {
        const pages: number[] = [];
        vi.mocked(readPulumi).mockImplementation((...args) => {
            const [size, page] = ["--page-size", "--page"].map((name) =>
                Number(args[args.indexOf(name) + 1]),
            );
            pages.push(page ?? 0);
            const start = ((page ?? 1) - 1) * (size ?? 0);
            return Promise.resolve(JSON.stringify(updates().slice(start, start + (size ?? 0))));
        });
        return pages;
    }
    const many = Array.from({ length: 250 }, (_, i) => update(250 - i, 1 + (i % 2)));

    it("goes through all pages, and asks for no more of them than it needs", async () => {
        let pages = serving(() => many);
        expect(await readHistory("prod")).toEqual(scalingHistory(many));
        expect(pages).toEqual([1, 2, 3]);
        pages = serving(() => many);
        expect(await readHistory("prod", 20)).toEqual(scalingHistory(many).slice(0, 20));
        expect(pages).toEqual([1]);
    });

    it("looks as far back as to what the last one shown is compared with", async () => {
        const failing = many.map((one, i) => (i >= 20 && i < 120 ? { ...one, result: "failed" } : one));
        const pages = serving(() => failing);
        expect(await readHistory("prod", 20)).toEqual(scalingHistory(failing).slice(0, 20));
        expect(pages).toEqual([1, 2]);
    });

    it("counts none twice where a run ends between two pages", async () => {
        let updates = many;
        serving(() => {
            const now = updates;
            updates = [update(900, 5), ...many];
            return now;
        });
        expect(await readHistory("prod")).toHaveLength(250);
    });

    it("ends with nothing for a stack that has none", async () => {
        serving(() => []);
        expect(await readHistory("prod")).toEqual([]);
        expect(historyText("prod", [], pc)).toContain("stack prod has no history yet");
    });
});

describe("what is printed", () => {
    const entries = scalingHistory([
        update(3600, 5, {
            message: "autoscale: replicas 3 -> 5: busy",
            environment: { "pulumi.flag.message": "set" },
        }),
        update(0, 3, { result: "in-progress", endTime: undefined }),
    ]);

    it("is a table, in colours only where they are wanted", () => {
        const text = historyText("prod", entries, pc.createColors(false));
        expect(text).toMatch(/2026-01-02 01:00:00 │ autoscaler +│ 0 → 5 +│ success +│ 9 s +│ - +│ busy/);
        expect(text).toMatch(/2026-01-02 00:00:00 │ not recorded │ 0 → 3 +│ in progress │ - /);
        expect(text).not.toContain("\u001b");
        expect(historyText("prod", entries, pc.createColors(true))).toContain("\u001b[33min progress");
    });

    it("has DigitalOcean's fields, and ours", () => {
        const { history } = JSON.parse(historyJson("prod", entries)) as { history: object[] };
        expect(history[0]).toEqual({
            history_event_id: "2026-01-02T01:00:00.000Z",
            current_instance_count: 0,
            desired_instance_count: 5,
            reason: "SCALE_UP",
            status: "success",
            created_at: "2026-01-02T01:00:00Z",
            updated_at: "2026-01-02T01:00:09Z",
            kind: "update",
            by: "autoscaler",
            who: "autoscaler",
            duration_seconds: 9,
            settings: [],
            message: "autoscale: replicas 3 -> 5: busy",
        });
    });

    it("names who holds the stack, and a run that was killed", () => {
        const lock = {
            pid: 7,
            username: "ann",
            hostname: "elsewhere",
            timestamp: "2026-01-02T03:04:05.678Z",
        };
        const replicas = { from: 5, to: 3 };
        expect(runningEntry(lock, replicas, false)).toMatchObject({
            ...{ who: "ann@elsewhere", status: "in_progress", replicas },
        });
        const here = { ...lock, hostname: os.hostname() };
        expect(runningEntry(here, replicas, true).status).toBe("in_progress");
        expect(runningEntry(here, replicas, false)).toMatchObject({
            ...{ status: "error", errorReason: expect.stringContaining("make doctor") as string },
        });
    });
});
