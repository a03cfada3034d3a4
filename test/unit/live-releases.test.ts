import { describe, expect, it } from "vitest";
import { describeReleases, parseReleases, releaseProblems } from "../../tools/live/releases";
import { releaseDrift } from "../../tools/drift/differences";

const [a, b] = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"];
const told = (...lines: string[]) => parseReleases(`${lines.join("\n")}\nend\n`);
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
        expect(describeReleases(none)).toEqual([]);
        expect(releaseProblems(none)).toEqual([]);
        expect(releaseDrift(none, undefined, "dev")).toEqual([]);
    });

    it("names servers by release, and who runs what runs once", () => {
        expect(describeReleases(all)).toEqual([
            `content: ${a} on web-0 web-1`,
            "jobs that run once: on web-0",
        ]);
        expect(releaseProblems(all)).toEqual([]);
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
        expect(describeReleases(mixed)).toEqual([`content: ${a} on web-1, ${b} on web-0, none on web-2`]);
        expect(releaseProblems(mixed)).toEqual([
            `2 servers should serve ${a}: web-0 serves ${b}, web-2 serves nothing that was pushed`,
            "what these serve is not known: web-3 (Host key verification failed.)",
            `the push of ${b} did not end`,
        ]);
        expect(releaseDrift(mixed, undefined, "dev")).toMatchObject([{ kind: "release", type: "Content" }]);
    });

    it("is drift where the state says another one", () => {
        expect(releaseDrift(all, a, "dev")).toEqual([]);
        expect(releaseDrift(all, b, "dev")[0]?.message).toContain(
            `the state says ${b}, and the servers should serve ${a}`,
        );
    });

    it("is an error for any other answer", () => {
        expect(() => parseReleases("bash: command not found\n")).toThrow(
            "did not say which releases there are",
        );
    });
});
