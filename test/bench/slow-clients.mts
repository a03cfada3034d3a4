import { request } from "node:http";
import { request as requestOverTls } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** A request that was not answered as it should have been. */
export interface Failure {
    /** ISO 8601. */
    at: string;
    /** `status 502`, `ECONNRESET`, `cut off`, … */
    what: string;
    /** Host name of the server that had begun to answer. */
    server?: string;
}

/** A kind of request that takes its time. */
export interface SlowKind {
    name: string;
    path: string;
    /** How many clients ask, each as soon as the last answer is in. */
    clients: number;
    /** How long an answer takes, in seconds. */
    seconds: number;
    /** The body that has to come. */
    answer: string;
    /** A body to post, piece by piece over {@link seconds}. */
    post?: readonly string[];
}

const pieces = Array.from({ length: 15 }, () => "x".repeat(1000));

/** Short requests do not reveal a server that is taken away under its requests; these do. */
export const slowKinds: readonly SlowKind[] = [
    { name: "2 s GET", path: "/slow?seconds=2", clients: 8, seconds: 2, answer: "done\n" },
    { name: "8 s GET", path: "/slow?seconds=8", clients: 4, seconds: 8, answer: "done\n" },
    {
        name: "5 s stream",
        path: "/stream",
        clients: 4,
        seconds: 5,
        answer: [...Array(25).keys(), "end"].map((word) => `${word}\n`).join(""),
    },
    {
        name: "3 s POST",
        path: "/echo",
        clients: 4,
        seconds: 3,
        answer: `${pieces.join("").length}\n`,
        post: pieces,
    },
];

/** Clients of one kind, until {@link stop}. */
export class SlowClients {
    readonly kind: SlowKind;
    readonly failures: Failure[] = [];
    /** How long each answer took, in milliseconds. */
    readonly milliseconds: number[] = [];
    sent = 0;
    private stopped = false;
    private readonly loops: Promise<void>[];

    constructor(url: string, kind: SlowKind) {
        this.kind = kind;
        // One after the other, so that at any moment some are at their beginning and some near their end.
        const gap = (kind.seconds * 1000) / kind.clients;
        this.loops = Array.from({ length: kind.clients }, (_, index) => this.run(url, index * gap));
    }

    /** Resolves when the last answer is in. */
    async stop(): Promise<void> {
        this.stopped = true;
        await Promise.all(this.loops);
    }

    private async run(url: string, startAfterMs: number): Promise<void> {
        await sleep(startAfterMs);
        while (!this.stopped) {
            this.sent++;
            const start = performance.now();
            const failure = await ask(url + this.kind.path, this.kind);
            this.milliseconds.push(performance.now() - start);
            if (!failure) continue;
            this.failures.push({ at: new Date().toISOString(), ...failure });
            // What fails at once is no reason to flood.
            await sleep(100);
        }
    }
}

/** One request over a connection of its own; what was wrong with the answer, if anything. Never rejects. */
function ask(
    url: string,
    { answer, post = [], seconds }: SlowKind,
): Promise<Omit<Failure, "at"> | undefined> {
    return new Promise((resolve) => {
        const length = post.join("").length;
        const options = {
            agent: false as const,
            method: length > 0 ? "POST" : "GET",
            headers: length > 0 ? { "content-length": length } : {},
            timeout: 30_000,
            // As wrk: what is served is for a name, and asked for by its address.
            rejectUnauthorized: false,
        };
        const call = (url.startsWith("https:") ? requestOverTls : request)(url, options, (response) => {
            const server = response.headers["x-server"];
            const fail = (what: string) => {
                resolve({ what, ...(typeof server === "string" && { server }) });
            };
            let body = "";
            response.on("data", (chunk: Buffer) => (body += chunk.toString()));
            response.once("error", () => {
                fail("cut off");
            });
            response.once("end", () => {
                if (response.statusCode !== 200) fail(`status ${response.statusCode ?? 0}`);
                else if (body !== answer) fail(`another answer: ${JSON.stringify(body.slice(0, 40))}`);
                else resolve(undefined);
            });
        });
        call.once("timeout", () => call.destroy(new Error("no answer in 30 s")));
        call.once("error", (error: NodeJS.ErrnoException) => {
            resolve({ what: error.code ?? error.message });
        });
        void write(call, post, seconds);
    });
}

async function write(call: ReturnType<typeof request>, post: readonly string[], seconds: number) {
    for (const piece of post) {
        if (call.destroyed) return;
        call.write(piece);
        await sleep((seconds * 1000) / post.length);
    }
    call.end();
}
