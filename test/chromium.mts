import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Readable, Writable } from "node:stream";
import { run } from "../sandbox/host.ts";

/** A page as a browser shows it. */
export interface Page {
    /** After all redirects. */
    url: string;
    /** The browser's own verdict, in place of the lock: `secure`, `insecure`, `neutral`, … */
    security: string;
    /** Of the connection: `TLS 1.3`. */
    tls: string;
    /** Of the answer: `h2`, `http/1.1`. */
    protocol: string;
    /** What the console says, certificates and mixed content among it. */
    complaints: string[];
    /** PNG. */
    screenshot: Buffer;
}

/** A message of the browser. https://chromedevtools.github.io/devtools-protocol/ */
interface Message {
    id?: number;
    method?: string;
    params?: Record<string, unknown>;
    result?: Record<string, unknown>;
    error?: { message: string };
}

/**
 * Opens a page in Debian's Chromium, without a screen, with a profile of its own. Needs `chromium` and `certutil`.
 *
 * @param address Where every name leads.
 * @param roots Root certificates that it trusts, in PEM.
 */
export async function openInChromium(url: string, address: string, roots: string): Promise<Page> {
    const home = mkdtempSync(path.join(tmpdir(), "chromium-"));
    const store = path.join(home, ".pki/nssdb");
    mkdirSync(store, { recursive: true });
    await run("certutil", ["-d", `sql:${store}`, "-N", "--empty-password"]);
    for (const [index, pem] of (roots.match(/-----BEGIN[^]+?END CERTIFICATE-----/g) ?? []).entries()) {
        const file = path.join(home, "root.pem");
        writeFileSync(file, pem);
        await run("certutil", ["-d", `sql:${store}`, "-A", "-t", "C,,", "-n", `root ${index}`, "-i", file]);
    }
    const options = [
        ...[
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--remote-debugging-pipe",
            "--window-size=900,560",
        ],
        ...[
            "--disable-background-networking",
            "--no-first-run",
            `--user-data-dir=${path.join(home, "profile")}`,
        ],
        `--host-resolver-rules=MAP * ${address}`,
    ];
    const child = spawn("chromium", [...options, "about:blank"], {
        env: { ...process.env, HOME: home },
        stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    try {
        return await visit(child.stdio[3] as Writable, child.stdio[4] as Readable, url);
    } finally {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await ended;
        rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    }
}

async function visit(to: Writable, from: Readable, url: string): Promise<Page> {
    const events: Message[] = [];
    const waiting = new Map<number, (message: Message) => void>();
    let rest = "";
    let lastId = 0;
    from.on("data", (data: Buffer) => {
        // Messages end with a zero byte.
        const texts = (rest + data.toString()).split("\0");
        rest = texts.pop() ?? "";
        for (const message of texts.map((text) => JSON.parse(text) as Message)) {
            if (message.id === undefined) events.push(message);
            else waiting.get(message.id)?.(message);
        }
    });
    const call = (method: string, params: object = {}, sessionId?: string) =>
        new Promise<Record<string, unknown>>((resolve, reject) => {
            const id = ++lastId;
            waiting.set(id, ({ result, error }) => {
                if (error) reject(new Error(`${method}: ${error.message}`));
                else resolve(result ?? {});
            });
            to.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
        });
    const seen = (method: string) =>
        events.filter((event) => event.method === method).map(({ params = {} }) => params);
    const until = async (what: string, is: () => boolean) => {
        const deadline = Date.now() + 60_000;
        while (!is()) {
            if (Date.now() > deadline) throw new Error(`Chromium: no ${what} of ${url} in 60 s`);
            await sleep(50);
        }
    };

    const { targetId } = await call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
    const page = (method: string, params: object = {}) => call(method, params, sessionId as string);
    for (const domain of ["Page", "Network", "Log", "Security"]) await page(`${domain}.enable`);
    await page("Page.navigate", { url });
    await until("load event", () => seen("Page.loadEventFired").length > 0);
    const secured = () =>
        seen("Security.visibleSecurityStateChanged")
            .map(({ visibleSecurityState }) => visibleSecurityState as SecurityState)
            .find(({ certificateSecurityState }) => certificateSecurityState !== undefined);
    await until("verdict", () => secured() !== undefined);
    const documents = seen("Network.responseReceived").filter(({ type }) => type === "Document");
    const answer = documents.at(-1)?.response as { url: string; protocol: string } | undefined;
    const { data } = await page("Page.captureScreenshot", { format: "png" });
    const complaints = seen("Log.entryAdded").map(({ entry }) => (entry as { text: string }).text);
    return {
        url: answer?.url ?? "",
        security: secured()?.securityState ?? "",
        tls: secured()?.certificateSecurityState?.protocol ?? "",
        protocol: answer?.protocol ?? "",
        // Browsers ask for an icon, which a site need not have.
        complaints: complaints.filter((text) => !text.includes("404")),
        screenshot: Buffer.from(data as string, "base64"),
    };
}

interface SecurityState {
    securityState: string;
    certificateSecurityState?: { protocol: string };
}
