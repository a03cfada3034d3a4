import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgeOf } from "../../tools/publish/forges";
import { openPullRequest, publish, publishFile } from "../../tools/publish/publish";

type Entry = Record<string, unknown>;

const plan = (text: string) => `<!-- dropscale plan: prod -->\n${text}\n`;
const drift = (text: string) => `<!-- dropscale drift: prod -->\n${text}\n`;
const bot = { user: { type: "Bot" }, author: { username: "project_7_bot_ab12" } };
const person = { user: { type: "User" }, author: { username: "mallory" } };

/** Each forge's environment and paths, as its documentation has them. */
const forges = {
    GitHub: {
        env: (url: string) => ({
            GITHUB_ACTIONS: "true",
            GITHUB_API_URL: url,
            GITHUB_REPOSITORY: "shop/site",
            GITHUB_REF: "refs/pull/12/merge",
            GITHUB_REF_NAME: "main",
            GITHUB_SHA: "c0ffee",
            GITHUB_TOKEN: "secret",
        }),
        comments: "/repos/shop/site/issues/12/comments",
        comment: (id: number) => `PATCH /repos/shop/site/issues/comments/${id}`,
        issues: "/repos/shop/site/issues",
        issue: (id: number) => `PATCH /repos/shop/site/issues/${id}`,
        text: "body",
        closed: { state: "closed" },
        token: ["authorization", "Bearer secret"],
    },
    GitLab: {
        env: (url: string) => ({
            GITLAB_CI: "true",
            CI_API_V4_URL: url,
            CI_PROJECT_ID: "7",
            CI_MERGE_REQUEST_IID: "12",
            CI_COMMIT_BRANCH: "main",
            CI_COMMIT_SHA: "c0ffee",
            GITLAB_TOKEN: "secret",
        }),
        comments: "/projects/7/merge_requests/12/notes",
        comment: (id: number) => `PUT /projects/7/merge_requests/12/notes/${id}`,
        issues: "/projects/7/issues",
        issue: (id: number) => `PUT /projects/7/issues/${id}`,
        text: "description",
        closed: { state_event: "close" },
        token: ["private-token", "secret"],
    },
};

/** Against a stand-in of each forge's API that keeps what it is given. */
describe.each(Object.entries(forges))("publishing on %s", (_name, forge) => {
    let server: Server;
    let url: string;
    /** What the forge has in the list that is asked for. */
    let entries: Entry[];
    /** Requests that change something, and what they said. */
    let changes: [string, Entry][];
    let status: number;
    beforeEach(async () => {
        [entries, changes, status] = [[], [], 200];
        server = createServer((request, response) => {
            const [name = "", value] = forge.token;
            expect(request.headers[name]).toBe(value);
            let body = "";
            request.on("data", (data: Buffer) => (body += data.toString()));
            request.on("end", () => {
                const { pathname, searchParams } = new URL(request.url ?? "", "http://forge");
                const page = Number(searchParams.get("page"));
                if (request.method === "GET" && status === 200) {
                    expect([forge.comments, forge.issues]).toContain(pathname);
                    response.end(JSON.stringify(entries.slice(100 * (page - 1), 100 * page)));
                } else {
                    changes.push([`${request.method ?? ""} ${pathname}`, JSON.parse(body || "{}") as Entry]);
                    response.writeHead(status).end(JSON.stringify({ id: 99, message: "what it says" }));
                }
            });
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterEach(() => {
        server.close();
    });

    const put = (text: string, what: "comment" | "issue", close = false) =>
        publish(forgeOf(forge.env(url)), what, text, close);
    const numbered = (id: number) => ({ id, number: id, iid: id });

    it("makes a comment where there is none of this stack, though a stranger has written the marker", async () => {
        entries = [
            { ...numbered(1), ...bot, body: plan("for another").replace("prod", "dev") },
            { ...numbered(2), ...person, body: plan("free servers for all") },
        ];
        await put(plan("3 => 5"), "comment");
        expect(changes).toEqual([[`POST ${forge.comments}`, { body: plan("3 => 5") }]]);
    });

    it("edits its comment in place, on whatever page it is", async () => {
        entries = Array.from({ length: 150 }, (_, i) => ({ ...numbered(i), ...bot, body: "" }));
        entries[120] = { ...numbered(120), ...bot, body: plan("3 => 5") };
        await put(plan("3 => 4"), "comment");
        expect(changes).toEqual([[forge.comment(120), { body: plan("3 => 4") }]]);
    });

    it("opens one issue, writes to it again, and closes it", async () => {
        await put(drift("web-1 is gone"), "issue");
        entries = [{ ...numbered(3), ...bot, [forge.text]: drift("web-1 is gone") }];
        await put(drift("web-2 is gone"), "issue");
        await put(drift("none"), "issue", true);
        expect(changes).toEqual([
            [`POST ${forge.issues}`, { title: "drift: prod", [forge.text]: drift("web-1 is gone") }],
            [forge.issue(3), { [forge.text]: drift("web-2 is gone") }],
            [forge.issue(3), expect.objectContaining({ [forge.text]: drift("none"), ...forge.closed })],
        ]);
    });

    it("has nothing to close where no issue is open", async () => {
        await put(drift("none"), "issue", true);
        expect(changes).toEqual([]);
    });

    it("refuses a text without a marker, and says what the forge refuses", async () => {
        await expect(put("# a plan\n", "comment")).rejects.toThrow(/should begin with <!-- dropscale/);
        status = 403;
        await expect(put(plan(""), "comment")).rejects.toThrow(/403 .*what it says/);
        expect(changes.filter(([request]) => !request.startsWith("GET"))).toEqual([]);
    });

    it("needs to know who it is, and where", () => {
        expect(() => forgeOf({})).toThrow("this is neither GitHub Actions");
        for (const key of Object.keys(forge.env(url)).filter((name) => /TOKEN|URL/.test(name)))
            expect(() => forgeOf({ ...forge.env(url), [key]: "" })).toThrow(`there is no ${key}`);
    });
});

describe("a pull request", () => {
    const text = "<!-- dropscale bake: prod -->\nA new image\n";
    const change = { path: "Pulumi.prod.yaml", text: "config: {}\n" };
    const branch = "dropscale-bake-prod";
    let server: Server;
    let url: string;
    /** Answers to GETs, by path. */
    let answers: Record<string, unknown>;
    let changes: [string, Entry][];
    beforeEach(async () => {
        [answers, changes] = [{}, []];
        server = createServer((request, response) => {
            let body = "";
            request.on("data", (data: Buffer) => (body += data.toString()));
            request.on("end", () => {
                const { method = "", url: path = "" } = request;
                if (method === "GET") {
                    expect(Object.keys(answers)).toContain(path);
                    response.end(JSON.stringify(answers[path]));
                    return;
                }
                changes.push([`${method} ${path}`, JSON.parse(body) as Entry]);
                response.end(JSON.stringify({ id: 99, sha: `made-${changes.length}` }));
            });
        });
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterEach(() => {
        server.close();
    });

    const gitHub = (open: object[], refs: object[]) => {
        const base = "/repos/shop/site";
        answers = {
            [`${base}/git/commits/c0ffee`]: { tree: { sha: "below" } },
            [`${base}/git/matching-refs/heads/${branch}`]: refs,
            [`${base}/pulls?state=open&head=shop:${branch}&base=main`]: open,
        };
        return openPullRequest(forgeOf(forges.GitHub.env(url)), text, change);
    };
    const commits: [string, Entry][] = [
        [
            "POST /repos/shop/site/git/trees",
            {
                base_tree: "below",
                tree: [{ path: "Pulumi.prod.yaml", mode: "100644", type: "blob", content: "config: {}\n" }],
            },
        ],
        ["POST /repos/shop/site/git/commits", { message: "bake: prod", tree: "made-1", parents: ["c0ffee"] }],
    ];

    it("is one commit on a branch of its own on GitHub", async () => {
        expect(await gitHub([], [{ ref: `refs/heads/${branch}-2` }])).toBe("pull request 99: opened");
        expect(changes).toEqual([
            ...commits,
            ["POST /repos/shop/site/git/refs", { ref: `refs/heads/${branch}`, sha: "made-2" }],
            ["POST /repos/shop/site/pulls", { title: "bake: prod", head: branch, base: "main", body: text }],
        ]);
    });

    it("that is open on GitHub gets the new commit in place of the old one", async () => {
        const refs = [{ ref: `refs/heads/${branch}` }];
        expect(await gitHub([{ id: 7, number: 12 }], refs)).toBe("pull request 7: renewed");
        expect(changes).toEqual([
            ...commits,
            [`PATCH /repos/shop/site/git/refs/heads/${branch}`, { sha: "made-2", force: true }],
            ["PATCH /repos/shop/site/pulls/12", { body: text }],
        ]);
    });

    it.each([
        ["opened", [], "POST /projects/7/merge_requests"],
        ["renewed", [{ id: 7, iid: 12 }], "PUT /projects/7/merge_requests/12"],
    ])("is %s on GitLab", async (word, open, request) => {
        const query = `state=opened&source_branch=${branch}&target_branch=main`;
        answers = { [`/projects/7/merge_requests?${query}`]: open };
        expect(await openPullRequest(forgeOf(forges.GitLab.env(url)), text, change)).toContain(word);
        const actions = [{ action: "update", file_path: "Pulumi.prod.yaml", content: "config: {}\n" }];
        expect(changes).toEqual([
            [
                "POST /projects/7/repository/commits",
                { branch, start_sha: "c0ffee", force: true, commit_message: "bake: prod", actions },
            ],
            [request, expect.objectContaining({ description: text })],
        ]);
    });

    it("needs the file that it changes, and nothing else takes one", async () => {
        await expect(publishFile("pull-request", "bake.md", {})).rejects.toThrow("needs --change FILE");
        await expect(publishFile("comment", "plan.md", { change: "x" })).rejects.toThrow("--change");
        await expect(publishFile("pull-request", "bake.md", { close: true })).rejects.toThrow(
            "can't be closed",
        );
    });
});
