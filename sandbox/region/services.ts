import { spawn } from "node:child_process";
import { Socket as DatagramSocket } from "node:dgram";
import net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import send from "@fastify/send";
import fastify, { type FastifyInstance } from "fastify";
import type { Instance } from "../instance.ts";
import type { Cloud } from "../model.ts";
import { letsEncryptNames } from "./authority.ts";
import { dnsAnswer } from "./dns.ts";
import { lookUp, metadataDocument, metadataFolder } from "./metadata.ts";
import { METADATA_ADDRESS, MIRROR_PORT } from "./names.ts";

/** Folder of the state folder with a link to the package mirror of each release, by its suite. */
export const MIRROR_FOLDER = "mirror";

/** The names that a Debian droplet's apt asks for; each has its own top folders, so that one mirror serves both. */
const DEBIAN_HOSTS = ["deb.debian.org", "security.debian.org"];

/**
 * Serves what droplets find at 169.254.169.254: their metadata on port 80; on port {@link MIRROR_PORT}, as an HTTP
 * proxy for apt, the Debian packages in {@link MIRROR_FOLDER}; DNS on port 53, UDP and TCP. The sockets were bound inside
 * the router's namespace; the process that serves is this one.
 *
 * @param cloud gives today's state at each request.
 * @throws Error of one line, e.g. when another process serves this instance already.
 */
export async function startServices(
    instance: Instance,
    cloud: () => Cloud,
): Promise<{ close(): Promise<void> }> {
    const metadata = metadataService(instance, cloud);
    const mirror = mirrorService(path.join(instance.stateDir, MIRROR_FOLDER));
    await Promise.all([metadata.ready(), mirror.ready()]);
    const sockets = await listenInRouter(instance);
    const resolve = (query: Buffer, stream: boolean) =>
        dnsAnswer(query, cloud(), { ownNames: letsEncryptNames(instance, cloud()), stream });
    sockets.dns.on("message", (query, client) => {
        const answer = resolve(query, false);
        if (answer) sockets.dns.send(answer, client.port, client.address, () => undefined); // who got none asks again
    });
    sockets.dnsStream.on("connection", (socket) => {
        answerStream(socket, (query) => resolve(query, true));
    });
    metadata.server.listen(sockets.http);
    mirror.server.listen(sockets.mirror);
    return {
        async close() {
            sockets.dns.close();
            sockets.dnsStream.close();
            await Promise.all([metadata.close(), mirror.close()]);
        },
    };
}

/** Messages over TCP, each after its length. https://www.rfc-editor.org/rfc/rfc7766 */
function answerStream(socket: net.Socket, answer: (query: Buffer) => Buffer | undefined): void {
    let waiting = Buffer.alloc(0);
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on("error", () => undefined); // who left needs no answer
    socket.on("data", (bytes) => {
        waiting = Buffer.concat([waiting, bytes]);
        while (waiting.length >= 2 && waiting.length >= 2 + waiting.readUInt16BE()) {
            const end = 2 + waiting.readUInt16BE();
            const said = answer(waiting.subarray(2, end));
            waiting = waiting.subarray(end);
            if (!said) {
                socket.destroy();
                return;
            }
            const length = Buffer.alloc(2);
            length.writeUInt16BE(said.length);
            socket.write(Buffer.concat([length, said]));
        }
    });
}

function metadataService(instance: Instance, cloud: () => Cloud): FastifyInstance {
    const app = textService();
    const dropletAt = (address: string) =>
        cloud().droplets.find(({ publicIp, anchorIp }) => [publicIp, anchorIp].includes(address));

    app.get("/metadata/v1", (_request, reply) => reply.redirect("/metadata/v1/", 301));
    app.get("/metadata/v1.json", (request, reply) => {
        const droplet = dropletAt(request.ip);
        if (droplet) void reply.send(metadataDocument(droplet, cloud(), instance));
        else reply.callNotFound();
    });
    app.get<{ Params: { "*": string } }>("/metadata/v1/*", (request, reply) => {
        const droplet = dropletAt(request.ip);
        const found = droplet && lookUp(metadataFolder(droplet, cloud(), instance), request.params["*"]);
        if (!found) reply.callNotFound();
        else if (found === "redirect") void reply.redirect(`${request.url}/`, 301);
        else void reply.type("text/plain; charset=utf-8").send(found.text);
    });
    return app;
}

/** @param folder Has a mirror for each suite. */
function mirrorService(folder: string): FastifyInstance {
    const app = textService(({ url = "/" }) => proxied(url));
    app.get<{ Params: { suite: string } }>("/mirror/:suite/*", async (request, reply) => {
        const { suite } = request.params;
        const [file = ""] = request.url.slice(`/mirror/${suite}`.length).split("?");
        const { statusCode, headers, stream } = await send(request.raw, file, {
            root: path.join(folder, suite),
        });
        return reply.code(statusCode).headers(headers).send(stream);
    });
    app.get<{ Params: { host: string } }>("/elsewhere/:host", (request, reply) =>
        reply.code(403).type("text/plain").send(noInternet(request.params.host)),
    );
    // apt asks for https sources this way. https://manpages.debian.org/bookworm/apt/apt-transport-https.1.en.html
    app.server.on("connect", (request: { url?: string }, socket: net.Socket) => {
        socket.on("error", () => undefined); // a client that left need not be told
        socket.end(`HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n${noInternet(request.url ?? "")}`);
    });
    return app;
}

function textService(rewriteUrl: (request: { url?: string }) => string = ({ url = "/" }) => url) {
    const app = fastify({ forceCloseConnections: true, rewriteUrl });
    return app.setNotFoundHandler((_request, reply) =>
        reply.code(404).type("text/plain").send("not found\n"),
    );
}

/** The path that answers a proxy request: one in absolute form. https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 */
function proxied(url: string): string {
    const { hostname, pathname } = URL.canParse(url) ? new URL(url) : { hostname: url, pathname: "/" };
    const suite = /\/(?:dists|pool)\/([a-z]+)/.exec(pathname)?.[1] ?? "none";
    return DEBIAN_HOSTS.includes(hostname)
        ? `/mirror/${suite}${pathname}`
        : `/elsewhere/${encodeURIComponent(hostname)}`;
}

function noInternet(host: string): string {
    return `${host}: the sandbox has no Internet; its packages are those of ${DEBIAN_HOSTS.join(" and ")}\n`;
}

/** A socket belongs to the namespace of the process that makes it: a child makes them there and hands them over. */
async function listenInRouter(
    instance: Instance,
): Promise<{ http: net.Server; mirror: net.Server; dns: DatagramSocket; dnsStream: net.Server }> {
    const script = fileURLToPath(new URL("listen.js", import.meta.url));
    const namespace = `--net=/run/netns/${instance.id}`;
    const child = spawn(
        "nsenter",
        [namespace, process.execPath, script, METADATA_ADDRESS, String(MIRROR_PORT)],
        {
            stdio: ["ignore", "ignore", "inherit", "ipc"],
        },
    );
    const servers: { http?: net.Server; mirror?: net.Server; dnsStream?: net.Server } = {};
    let dns: DatagramSocket | undefined;
    let reason = "no sockets came from the router's namespace";
    child.on("message", (message: string, socket: unknown) => {
        if (socket instanceof net.Server) Object.assign(servers, { [message]: socket });
        else if (socket instanceof DatagramSocket) dns = socket;
        else
            reason = message === "EADDRINUSE" ? "another process serves it already" : JSON.stringify(message);
        if (Object.keys(servers).length === 3 && dns) child.disconnect();
    });
    return new Promise((resolve, reject) => {
        child.on("error", reject);
        child.on("exit", () => {
            const { http, mirror, dnsStream } = servers;
            if (http && mirror && dns && dnsStream) resolve({ http, mirror, dns, dnsStream });
            else reject(new Error(`metadata service of sandbox ${instance.id}: ${reason}`));
        });
    });
}
