// A client of HTTP/2 on a host's network: prints one line of JSON. `node h2.mjs KIND [CONNECTIONS]`
import console from "node:console";
import { connect } from "node:http2";
import process from "node:process";
import { setImmediate, setTimeout } from "node:timers/promises";

const [kind, count = "1"] = process.argv.slice(2);
const open = (localAddress = "127.0.0.1") => {
    const options = { rejectUnauthorized: false, servername: "www.example.com", localAddress };
    const session = connect("https://127.0.0.1:443", options);
    session.on("error", () => undefined);
    return session;
};
/** @returns the status; 0 where there was none */
const ask = (session, path, more = {}) =>
    new Promise((resolve) => {
        const stream = session.request({ ":path": path, ":authority": "www.example.com", ...more });
        stream.on("response", (headers) => resolve(headers[":status"]));
        stream.on("error", () => resolve(0));
        stream.on("close", () => resolve(0));
        stream.resume();
    });
const settings = (session) => new Promise((resolve) => session.once("remoteSettings", resolve));
const tally = (statuses) => {
    const counts = {};
    for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
};

const kinds = {
    /** Twenty slow requests on each connection; meanwhile somebody else asks, with one. */
    greedy: async () => {
        const sessions = Array.from({ length: Number(count) }, () => open());
        const { maxConcurrentStreams } = await settings(sessions[0]);
        const slow = sessions.flatMap((session) =>
            Array.from({ length: maxConcurrentStreams }, () => ask(session, "/?ms=3000")),
        );
        await setTimeout(1000);
        const started = Date.now();
        const other = await ask(open("127.0.0.2"), "/");
        const took = Date.now() - started;
        return { maxConcurrentStreams, own: tally(await Promise.all(slow)), other, took };
    },
    /** CVE-2023-44487: requests that are taken back at once. */
    reset: async () => {
        const session = open();
        await settings(session);
        for (let round = 0; round < 200; round++) {
            for (let i = 0; i < 20; i++) {
                const stream = session.request({ ":path": "/?ms=1000", ":authority": "www.example.com" });
                stream.on("error", () => undefined);
                stream.close(8);
            }
            await setImmediate();
        }
        return { other: await ask(open("127.0.0.2"), "/") };
    },
    /** https://www.rfc-editor.org/rfc/rfc8441 */
    websocket: async () => {
        const session = open();
        await settings(session);
        return new Promise((resolve) => {
            const stream = session.request({
                ":method": "CONNECT",
                ":protocol": "websocket",
                ":scheme": "https",
                ":path": "/ws",
                ":authority": "www.example.com",
                "sec-websocket-version": "13",
            });
            let status;
            let echo = "";
            stream.on("response", (headers) => {
                status = headers[":status"];
                stream.write("hello");
            });
            stream.on("data", (data) => (echo += data));
            stream.on("end", () => resolve({ status, echo }));
            stream.on("error", ({ message }) => resolve({ status, error: message }));
        });
    },
};
console.log(JSON.stringify(await kinds[kind]()));
process.exit();
