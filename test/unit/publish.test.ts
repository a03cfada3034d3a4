import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { forgeOf } from "../../tools/publish/forges";
import { publish } from "../../tools/publish/publish";

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
