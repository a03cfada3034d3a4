import { beforeEach, describe, expect, it, vi } from "vitest";
import { snapshot } from "../../tools/bake/builder";
import { localApi } from "../local-api";

vi.mock("../../tools/cli/terminal", async (original) => ({
    ...(await original<object>()),
    rest: () => Promise.resolve(),
}));

/** A small API, of one droplet that is off. */
describe("a snapshot of the builder", () => {
    const image = { id: 9, name: "an-image", size_gigabytes: 1, min_disk_size: 10 };
    let actions: { id: number; type: string }[];
    /** What becomes of each request for one: a status, or `lost`, where it is made and the answer never comes. */
    let answers: (number | "lost")[];
    beforeEach(() => {
        actions = [{ id: 1, type: "create" }];
    });
    localApi(({ method, url = "", socket }, response) => {
        const say = (status: number, body: object) => {
            response.writeHead(status).end(JSON.stringify(body));
        };
        if (method === "POST") {
            const answer = answers.shift() ?? 422;
            const action = { id: 2, type: "snapshot" };
            if (answer === "lost" || answer === 201) actions.push(action);
            if (answer === "lost") socket.destroy();
            else say(answer, { action, message: "Droplet already has a pending event." });
        } else if (url.includes("/snapshots")) say(200, { snapshots: [image] });
        else if (url.endsWith("actions/2")) say(200, { action: { id: 2, status: "completed" } });
        else say(200, { actions });
    });
    const make = () => snapshot(7, image.name, new AbortController().signal);

    it.each<[string, (number | "lost")[]]>([
        ["is asked for again while the droplet is not ready, and the API fails", [422, 503, 201]],
        ["is asked for once where it is made and nobody said so", ["lost", 500]],
    ])("%s", async (_, tries) => {
        answers = tries;
        expect(await make()).toEqual(image);
        expect(actions.filter(({ type }) => type === "snapshot")).toHaveLength(1);
    });

    it("is refused for good where the API says no", async () => {
        answers = [403];
        await expect(make()).rejects.toThrow("403");
    });
});
