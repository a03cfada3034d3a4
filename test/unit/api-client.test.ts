import { beforeEach, describe, expect, it, vi } from "vitest";
import { ApiRefusal, askApi, deleteFromApi, listAll, postToApi } from "../../tools/live/api";
import { localApi } from "../local-api";

describe("the client of DigitalOcean's API", () => {
    /** What it is asked, and what it answers: a status and a body, or `cut`. */
    let asked: string[];
    let answers: ([number, unknown?] | "cut")[];
    beforeEach(() => {
        asked = [];
    });
    localApi((request, response) => {
        asked.push(`${request.method ?? ""} ${request.url ?? ""}`);
        const answer = answers.shift() ?? [500];
        if (answer === "cut") request.socket.destroy();
        else response.writeHead(answer[0]).end(answer[1] === undefined ? "" : JSON.stringify(answer[1]));
    });

    it("reads all pages of a list", async () => {
        answers = [
            [200, { vpcs: [1, 2], links: { pages: { next: "https://elsewhere.example/v2/vpcs?page=2" } } }],
            [200, { vpcs: [3], links: {} }],
        ];
        expect(await listAll("vpcs?a=b", "vpcs")).toEqual([1, 2, 3]);
        expect(asked).toEqual([
            "GET /v2/vpcs?a=b&page=1&per_page=200",
            "GET /v2/vpcs?a=b&page=2&per_page=200",
        ]);
    });

    it("asks again after a failure, a cut connection, and too many requests", async () => {
        answers = [[503], "cut", [429], [200, { account: {} }]];
        expect(await askApi("account")).toEqual({ account: {} });
        expect(asked).toHaveLength(4);
    }, 20_000);

    it("does not ask again what is refused, and says why", async () => {
        answers = [[401, { id: "unauthorized", message: "Unable to authenticate you" }]];
        await expect(askApi("account")).rejects.toThrow(
            /the API answered 401 for account: .*Unable to authenticate you/,
        );
        expect(asked).toHaveLength(1);
    });

    it("takes what is not there for none", async () => {
        answers = [[404, { id: "not_found" }], [404]];
        expect(await askApi("droplets/7")).toBeUndefined();
        await deleteFromApi("droplets/7", []);
        expect(asked).toEqual(["GET /v2/droplets/7", "DELETE /v2/droplets/7"]);
    });

    it("waits with a deletion while something else is under way, if told that this status means so", async () => {
        answers = [[422, { message: "Droplet already has a pending event." }], [204]];
        await deleteFromApi("droplets/7", [422]);
        expect(asked).toHaveLength(2);
        answers = [[422, { message: "no" }]];
        await expect(deleteFromApi("droplets/7", [409])).rejects.toThrow(ApiRefusal);
    });

    it("makes a thing once: an answer that did not come may mean that it was made", async () => {
        answers = [[429], [201, { tag: {} }]];
        expect(await postToApi("tags", { name: "a" })).toEqual({ tag: {} });
        expect(asked).toEqual(["POST /v2/tags", "POST /v2/tags"]);
        for (const answer of [[503] as [number], "cut" as const, [404] as [number]]) {
            [asked, answers] = [[], [answer]];
            await expect(postToApi("tags", { name: "a" })).rejects.toThrow();
            expect(asked).toHaveLength(1);
        }
    });

    it("says that there is no token, and that nobody answers", async () => {
        vi.stubEnv("DIGITALOCEAN_API_URL", "http://127.0.0.1:1");
        await expect(askApi("account")).rejects.toThrow(/^http:\/\/127\.0\.0\.1:1 does not answer: /);
        vi.stubEnv("DIGITALOCEAN_TOKEN", "");
        await expect(askApi("account")).rejects.toThrow("there is no DIGITALOCEAN_TOKEN");
    });
});
