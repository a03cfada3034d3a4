import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Host, configFor } from "./haproxy-host/host";
import { debianOfThisRun } from "./haproxy-host/next-haproxy.mts";
import { malformed, pathOf, type Probes, smuggling } from "./haproxy-host/probes";
import type { Seen } from "./haproxy-host/town";

const server = "127.0.1.1";
const probes: Probes = { ...malformed, ...smuggling };
const names = Object.keys(probes);

describe.each(debianOfThisRun)("what reaches a server through HAProxy of %s", (_, find) => {
    let host: Host | undefined;
    let seen: Seen[];
    let answers: string[];

    beforeAll(async () => {
        const haproxy = await find();
        if (haproxy === undefined) return;
        const started = await Host.start({ haproxy });
        host = started;
        await started.call("serve", server);
        expect(await started.apply(configFor({ 0: server }))).toMatchObject({ code: 0 });
        // All at the same time: a connection that is not closed after its answer waits for `timeout http-keep-alive`.
        const sent = Object.values(probes).map(([bytes], index) =>
            started.call("raw", bytes.replaceAll("PATH", pathOf(index))),
        );
        answers = await Promise.all(sent);
        seen = (await started.call("seen", server)).filter(({ url }) => url !== "/healthz");
    });
    afterAll(() => host?.stop());
    beforeEach(({ skip }) => {
        if (!host) skip("it can't be had");
    });

    test.each(names.map((name, index) => [name, index] as const))("%s", (name, index) => {
        const [, ...outcomes] = probes[name] ?? [];
        const path = pathOf(index);
        const statuses = [...(answers[index] ?? "").matchAll(/HTTP\/1\.1 (\d+)/g)].map(
            ([, status]) => status,
        );
        const requests = seen
            .filter(({ url }) => url.includes(path))
            .map(({ method, url, body }) => {
                const inside = url.endsWith(`${path}/hidden`) ? "/hidden" : "";
                return `${method}${inside}(${body.replaceAll(path, "PATH")})`;
            });
        const outcome = statuses.join(" ") + (requests.length > 0 ? `: ${requests.join(" ")}` : "");
        expect(outcomes).toContain(outcome);
        expect(answers[index]).not.toMatch(/haproxy/i);
    });

    test("nothing else, and nothing that another parser can't read but unknown methods and a bad trailer", () => {
        const paths = new Set(names.map((__, index) => pathOf(index)));
        const other = seen.filter(({ url }) => !paths.has(/\/\d{3}(?=$|\/hidden$)/.exec(url)?.[0] ?? ""));
        expect(other.map(({ url }) => url).sort()).toEqual([
            "Parse Error: Content-Length can't be present with Transfer-Encoding",
            "Parse Error: Invalid method encountered", // BREW
            "Parse Error: Invalid method encountered", // abcGET
        ]);
    });

    test("one length each, names of letters, digits and dashes, and no word of the client about the connection", () => {
        expect(seen.length).toBeGreaterThan(20);
        for (const { headers, url } of seen.filter(({ method }) => method !== "")) {
            const { "content-length": length, "transfer-encoding": coding, connection, upgrade } = headers;
            expect(length === undefined || coding === undefined, url).toBe(true);
            expect([undefined, "chunked"]).toContain(coding?.join().toLowerCase());
            expect(length ?? []).toEqual([expect.stringMatching(/^\d+$/)].slice(0, length ? 1 : 0));
            expect(Object.keys(headers).join("")).toMatch(/^[a-z0-9-]+$/);
            expect([undefined, "upgrade", "close", "keep-alive"]).toContain(connection?.join());
            expect([undefined, "websocket"]).toContain(upgrade?.join());
            expect(headers["x-forwarded-for"]).toEqual(["127.0.0.1"]);
        }
    });
});
