import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it } from "vitest";
import { startLoad } from "../bench/load.mts";

let server: ReturnType<typeof createServer> | undefined;

afterEach(() => {
    server?.closeAllConnections();
    server?.close();
});

/** What the site does wrong, by the number of the request for its page. */
const wrongs: Record<number, (response: ServerResponse) => void> = {
    100: () => undefined,
    120: (response) => response.destroy(),
    140: (response) => response.writeHead(503).end(),
    160: (response) => response.end("Welcome to nginx!"),
    180: (response) => {
        response.writeHead(200, { "x-server": "web-0", "content-length": 1000 }).write("cut");
        setTimeout(() => response.destroy(), 50);
    },
};

/** The load is what tells that nothing is lost: one request that it misses is one that nobody would ever hear of. */
it("sees every single failure: no answer at all, cut before and within one, a status, another page", async () => {
    let pages = 0;
    server = createServer((request, response) => {
        request.resume();
        if (request.url !== "/") response.writeHead(404).end();
        else (wrongs[++pages] ?? (() => response.setHeader("x-server", "web-0").end("ok")))(response);
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    const load = startLoad(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect.poll(() => pages, { timeout: 20_000 }).toBeGreaterThan(500);
    const results = await load.stop();

    const [kept, fresh, ...slow] = results;
    const sum = (what: string) => (kept?.failed[what] ?? 0) + (fresh?.failed[what] ?? 0);
    expect({ lost: sum("no answer"), status: sum("status 503"), page: sum("another page") }).toEqual({
        lost: 3,
        status: 1,
        page: 1,
    });
    expect((kept?.sent ?? 0) + (fresh?.sent ?? 0)).toBe(pages);
    for (const { kind, sent, failed, failures } of slow) {
        expect(failed, kind).toEqual({ "status 404": sent });
        expect(failures[0]).toMatchObject({ what: "status 404", at: expect.any(String) as string });
    }
});

it("says so if the site does not answer at the beginning", async () => {
    const load = startLoad("http://127.0.0.1:9");
    await expect(load.stop()).rejects.toThrow(/wrk counted nothing: unable to connect/);
});
