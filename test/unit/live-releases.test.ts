import { describe, expect, it } from "vitest";
import { judgeReleases, type LiveReleases, parseReleases } from "../../tools/live/releases";
import { conditionDrift } from "../../tools/drift/differences";

const [a, b] = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];
const told = (...lines: string[]) => parseReleases(`${lines.join("\n")}\nend\n`);
const judge = (releases: LiveReleases, applied?: string) => judgeReleases(releases, "dev", applied);
const drift = (releases: LiveReleases, applied?: string) =>
    conditionDrift("release", judge(releases, applied));
const all = told(
    `current ${a}`,
    `kept ${b} ${a}`,
    `server web-0 10.0.0.2 ${a}`,
    `server web-1 10.0.0.3 ${a}`,
    "once 10.0.0.2 web-0",
);

describe("what the load balancer says of releases", () => {
    it("is nothing where none was ever pushed", () => {
        const none = told();
        expect(none).toEqual({
            current: undefined,
            kept: [],
            unfinished: undefined,
            servers: [],
            once: undefined,
        });
        expect(judge(none)).toMatchObject({ said: [], problems: [] });
        expect(drift(none)).toEqual([]);
    });

    it("names servers by release, and who runs what runs once", () => {
        expect(judge(all)).toMatchObject({
            said: [`content: ${a} on web-0 web-1`, "jobs that run once: on web-0"],
            problems: [],
        });
        expect(all.kept).toEqual([b, a]);
    });

    it("shows who serves another one, who does not answer, and what did not end", () => {
        const mixed = told(
            `current ${a}`,
            `pushing ${b}`,
            `server web-0 10.0.0.2 ${b}`,
            `server web-1 10.0.0.3 ${a}`,
            "server web-2 10.0.0.4 none",
            "server web-3 10.0.0.5 - Host key verification failed.",
        );
        expect(judge(mixed)).toMatchObject({
            said: [`content: ${a} on web-1, ${b} on web-0, none on web-2`],
            problems: [
                `2 servers should serve ${a}: web-0 serves ${b}, web-2 serves nothing that was pushed`,
                "what these serve is not known: web-3 (Host key verification failed.)",
                `the push of ${b} did not end`,
            ],
        });
        expect(drift(mixed)).toMatchObject([{ kind: "release", type: "Content" }]);
    });

    it("is drift where the state says another one", () => {
        expect(drift(all, a)).toEqual([]);
        expect(drift(all, b)[0]?.message).toContain(`the state says ${b}, and the servers should serve ${a}`);
    });

    it("is an error for any other answer", () => {
        expect(() => parseReleases("bash: command not found\n")).toThrow(
            "did not say which releases there are",
        );
    });
});
