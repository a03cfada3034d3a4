import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { streamPath } from "./view";

/** A file of the page. */
export interface PageFile {
    type: string;
    text: string;
}

/** Nobody else on the network reaches it. */
const host = "127.0.0.1";
/**
 * A site that a browser shows may give its own name this address (DNS rebinding), and then read what is served here: its
 * requests have that name in `Host`. A port is any: it may be reached through a tunnel.
 */
const ownHost = /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i;

/** The page runs its own files alone, talks to nobody else, and stands in no other page. */
const headers = {
    "Content-Security-Policy":
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
};

/** More pages than people open. */
const mostListeners = 20;
/** A browser that has not taken so many bytes sleeps: it begins anew when it wakes. */
const mostWaitingBytes = 4_000_000;

/** Serves a page, and tells those that show it what is new. Read only, on loopback alone. */
export class PageServer {
    private readonly server = createServer((request, response) => {
        this.answer(request, response);
    });
    private readonly listeners = new Set<ServerResponse>();

    /**
     * @param files By path; `/` is the page.
     * @param greeting The first messages for a page that connects, in the form that {@link tell} takes.
     */
    constructor(
        private readonly files: ReadonlyMap<string, PageFile>,
        private readonly greeting: () => string,
    ) {}

    /** @param port 0: any that is free. @returns Where the page is. @throws Error where the port is taken. */
    async listen(port: number): Promise<string> {
        this.server.listen(port, host);
        await once(this.server, "listening").catch((error: unknown) => {
            const { code, message: reason } = error as NodeJS.ErrnoException;
            const next = port < 65_535 ? port + 1 : port - 1;
            if (code === "EADDRINUSE")
                throw new Error(
                    `port ${port} of ${host} is taken, perhaps by another dashboard: ` +
                        `end that one, or take another port: ARGS="--port ${next}"`,
                );
            if (code === "EACCES")
                throw new Error(`port ${port} is for root alone: ARGS="--port 8414" needs no right`);
            throw new Error(reason);
        });
        return `http://${host}:${(this.server.address() as AddressInfo).port}/`;
    }

    /**
     * @param text One or more messages of an event stream.
     *   https://html.spec.whatwg.org/multipage/server-sent-events.html
     */
    tell(text: string): void {
        for (const listener of this.listeners)
            if (listener.writableLength > mostWaitingBytes) listener.destroy();
            else listener.write(text);
    }

    async close(): Promise<void> {
        const closed = once(this.server, "close");
        this.server.close();
        this.server.closeAllConnections();
        await closed;
    }

    private answer(request: IncomingMessage, response: ServerResponse): void {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        const [path = ""] = (request.url ?? "").split("?");
        const file = this.files.get(path);
        const refusal = refusalOf(request, file !== undefined || path === streamPath);
        if (refusal) {
            if (refusal.code === 405) response.setHeader("Allow", "GET");
            response.writeHead(refusal.code, { "Content-Type": "text/plain; charset=utf-8" });
            response.end(`${refusal.why}\n`);
        } else if (file) response.writeHead(200, { "Content-Type": file.type }).end(file.text);
        else this.greet(response);
    }

    private greet(response: ServerResponse): void {
        const [oldest] = this.listeners;
        if (oldest && this.listeners.size >= mostListeners) oldest.destroy();
        response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
        response.write(`retry: 2000\n\n${this.greeting()}`);
        this.listeners.add(response);
        response.once("close", () => this.listeners.delete(response));
    }
}

function refusalOf(request: IncomingMessage, isThere: boolean): { code: number; why: string } | undefined {
    if (!ownHost.test(request.headers.host ?? ""))
        return { code: 403, why: "this is served to http://127.0.0.1 and http://localhost alone" };
    const { "sec-fetch-site": site, "sec-fetch-mode": mode } = request.headers;
    // Another site's page may lead here by a link, and not load anything from here: it would take others' place.
    if (site !== undefined && !["same-origin", "none"].includes(site) && mode !== "navigate")
        return { code: 403, why: "this is for its own page alone" };
    if (request.method !== "GET") return { code: 405, why: "this is read only" };
    return isThere ? undefined : { code: 404, why: "there is nothing here; the page is at /" };
}
