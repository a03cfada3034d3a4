import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

/** A message of the browser. https://chromedevtools.github.io/devtools-protocol/ */
interface Message {
    id?: number;
    method?: string;
    params?: Record<string, unknown>;
    result?: Record<string, unknown>;
    error?: { message: string };
}

/** How a page is looked at. */
export interface Look {
    width: number;
    height: number;
    /** A telephone: its pixels are smaller, and fingers touch it. @default false */
    isPhone?: boolean;
    /** @default false */
    isDark?: boolean;
}

/** Debian's Chromium, without a screen, with a profile of its own, showing one page. */
export class Browser {
    /** What it told, oldest first. */
    readonly events: Message[] = [];
    private readonly waiting = new Map<number, (message: Message) => void>();
    private lastId = 0;
    private sessionId: string | undefined;

    private constructor(
        private readonly to: Writable,
        from: Readable,
        private readonly end: () => Promise<void>,
    ) {
        let rest = "";
        from.on("data", (data: Buffer) => {
            // Messages end with a zero byte.
            const texts = (rest + data.toString()).split("\0");
            rest = texts.pop() ?? "";
            for (const message of texts.map((text) => JSON.parse(text) as Message)) {
                if (message.id === undefined) this.events.push(message);
                else this.waiting.get(message.id)?.(message);
            }
        });
    }

    /**
     * @param prepare Fills the folder that is its home. @default nothing is in it
     * @param options More of its command line. @default none
     */
    static async start(
        prepare: (home: string) => Promise<void> = () => Promise.resolve(),
        options: readonly string[] = [],
    ): Promise<Browser> {
        const home = mkdtempSync(path.join(tmpdir(), "chromium-"));
        mkdirSync(path.join(home, "profile"));
        await prepare(home);
        const fixed = [
            ...["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"],
            ...["--disable-background-networking", "--no-first-run", "--window-size=900,560"],
            `--user-data-dir=${path.join(home, "profile")}`,
        ];
        const child = spawn("chromium", [...fixed, ...options, "about:blank"], {
            env: { ...process.env, HOME: home },
            stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
        });
        const browser = new Browser(child.stdio[3] as Writable, child.stdio[4] as Readable, async () => {
            const ended = once(child, "exit");
            child.kill("SIGKILL");
            await ended;
            rmSync(home, { recursive: true, force: true, maxRetries: 10 });
        });
        const { targetId } = await browser.call("Target.createTarget", { url: "about:blank" });
        const { sessionId } = await browser.call("Target.attachToTarget", { targetId, flatten: true });
        browser.sessionId = sessionId as string;
        for (const domain of ["Page", "Network", "Log", "Security", "Runtime"])
            await browser.call(`${domain}.enable`);
        return browser;
    }

    async close(): Promise<void> {
        await this.end();
    }

    /** A command of its protocol to the page. @throws Error in its words. */
    call(method: string, params: object = {}): Promise<Record<string, unknown>> {
        const { sessionId } = this;
        return new Promise((resolve, reject) => {
            const id = ++this.lastId;
            this.waiting.set(id, ({ result, error }) => {
                if (error) reject(new Error(`${method}: ${error.message}`));
                else resolve(result ?? {});
            });
            this.to.write(`${JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) })}\0`);
        });
    }

    /** What it told under this name, oldest first. */
    seen(method: string): Record<string, unknown>[] {
        return this.events.filter((event) => event.method === method).map(({ params = {} }) => params);
    }

    async until(what: string, isSo: () => boolean | Promise<boolean>, seconds = 60): Promise<void> {
        const deadline = Date.now() + seconds * 1000;
        while (!(await isSo())) {
            if (Date.now() > deadline) throw new Error(`Chromium: no ${what} in ${seconds} s`);
            await sleep(50);
        }
    }

    /** Waits until all of a page is there. */
    async open(url: string): Promise<void> {
        const before = this.seen("Page.loadEventFired").length;
        await this.call("Page.navigate", { url });
        await this.until(`load event of ${url}`, () => this.seen("Page.loadEventFired").length > before);
    }

    /** What the console says, refusals of the page's own policy among it; browsers ask for an icon, which a site need not have. */
    complaints(): string[] {
        const logged = this.seen("Log.entryAdded").map(({ entry }) => (entry as { text: string }).text);
        const thrown = this.seen("Runtime.exceptionThrown").map(({ exceptionDetails }) =>
            JSON.stringify(exceptionDetails),
        );
        return [...logged.filter((text) => !text.includes("404")), ...thrown];
    }

    /** The value of an expression in the page. */
    async evaluate(expression: string): Promise<unknown> {
        const { result, exceptionDetails } = await this.call("Runtime.evaluate", {
            ...{ expression, returnByValue: true, awaitPromise: true },
        });
        if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
        return (result as { value?: unknown }).value;
    }

    async lookAs({ width, height, isPhone = false, isDark = false }: Look): Promise<void> {
        await this.call("Emulation.setDeviceMetricsOverride", {
            ...{ width, height, deviceScaleFactor: isPhone ? 1.5 : 1, mobile: isPhone },
        });
        await this.call("Emulation.setEmulatedMedia", {
            features: [{ name: "prefers-color-scheme", value: isDark ? "dark" : "light" }],
        });
        await sleep(1500);
    }

    /** PNG of what is in the window. */
    async screenshot(): Promise<Buffer> {
        const { data } = await this.call("Page.captureScreenshot", { format: "png" });
        return Buffer.from(data as string, "base64");
    }
}
