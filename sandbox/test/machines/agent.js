// A server and client that stands in a network namespace and does what the test tells it over Node's IPC.
// JavaScript, because it starts without a loader, once for each droplet.
import { Buffer } from "node:buffer";
import dgram from "node:dgram";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import process from "node:process";
import { clearTimeout, setTimeout } from "node:timers";

/** The package mirror's. */
const MIRROR_PORT = 3142;

const held = new Map();
let served = 0;
const heard = [];

/** Resolves with what comes first: the next data as text, or the code of what went wrong. */
function answerOf(socket, timeoutMs) {
    return new Promise((resolve) => {
        const timer = setTimeout(() => resolve("timeout"), timeoutMs);
        const settle = (answer) => {
            clearTimeout(timer);
            resolve(answer);
        };
        socket.once("data", (data) => settle(data.toString()));
        socket.once("error", (error) => settle(error.code));
        socket.once("close", () => settle("closed"));
    });
}

const actions = {
    /** Says `name` to everyone who connects, and echoes what they say; a port 0 is chosen by the kernel. */
    async serve({ name, ports }) {
        const servers = ports.map((port) =>
            net
                .createServer((socket) => {
                    served++;
                    socket.on("error", () => undefined);
                    socket.write(name);
                    socket.pipe(socket);
                })
                .listen(port, "0.0.0.0"),
        );
        await Promise.all(servers.map((server) => once(server, "listening")));
        return servers.map((server) => server.address().port);
    },
    served: () => served,
    async dial({ host, port, from, timeoutMs }) {
        const socket = net.connect({ host, port, localAddress: from });
        const answer = await answerOf(socket, timeoutMs);
        socket.destroy();
        return answer;
    },
    async hold({ host, port, timeoutMs }) {
        const socket = net.connect({ host, port });
        socket.on("error", () => undefined);
        held.set(`${host}:${port}`, socket);
        return answerOf(socket, timeoutMs);
    },
    async say({ host, port, text, timeoutMs }) {
        const socket = held.get(`${host}:${port}`);
        const answer = answerOf(socket, timeoutMs);
        socket.write(text);
        return answer;
    },
    /** Asks a proxy for a tunnel: the status line and what follows. */
    async tunnel({ proxy, target, timeoutMs }) {
        const socket = net.connect({ host: proxy, port: MIRROR_PORT });
        socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
        return answerOf(socket, timeoutMs);
    },
    async get({ url, proxy, from, headers, timeoutMs }) {
        const options = { localAddress: from, headers, timeout: timeoutMs, agent: false };
        const request = proxy
            ? http.request({ host: proxy, port: MIRROR_PORT, path: url, ...options })
            : http.request(url, options);
        request.on("timeout", () => request.destroy(new Error("timeout")));
        request.end();
        try {
            const [response] = await once(request, "response");
            let text = "";
            for await (const chunk of response.setEncoding("utf8")) text += chunk;
            return { status: response.statusCode, headers: response.headers, text };
        } catch (error) {
            return { status: 0, headers: {}, text: error.code ?? error.message };
        }
    },
    async datagram({ host, port, from, hex, timeoutMs }) {
        const socket = dgram.createSocket("udp4").bind(0, from);
        const answer = new Promise((resolve) => {
            socket.on("message", (message) => resolve(message.toString("hex")));
            socket.on("error", (error) => resolve(error.code));
            setTimeout(() => resolve("timeout"), timeoutMs);
        });
        socket.send(Buffer.from(hex, "hex"), port, host);
        const result = await answer;
        socket.close();
        return result;
    },
    /** Keeps the sources of all datagrams to a port, for `heard`. */
    async hear({ port }) {
        const socket = dgram.createSocket("udp4").bind(port);
        socket.on("message", (message, { address }) => heard.push(address));
        await once(socket, "listening");
    },
    heard: () => heard,
};

process.on("message", async ({ id, action, options }) => {
    process.send({ id, result: await actions[action](options) });
});
process.on("disconnect", () => process.exit());
