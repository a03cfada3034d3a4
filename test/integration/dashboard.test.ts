import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import * as path from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { keygenScript, splitKeyPair } from "../../components/deploy-key";
import type { Messages } from "../../tools/dashboard/view";
import { type Running, start } from "../world.mts";

const root = path.resolve(__dirname, "../..");
const token = "dop_v1_0123456789abcdef0123456789abcdef";
const { privateKey, publicKey } = splitKeyPair(
    execFileSync("sh", ["-c", keygenScript("dashboard")], { encoding: "utf8" }),
);

const table =
    "# pxname,svname,qcur,scur,stot,econ,eresp,status,lastchg,check_status,rate,rtime,hrsp_5xx,req_tot,addr,\n";
/** What HAProxy says while `web-1` is in this state. */
const answer = (state: string, requests: number) => `Name: HAProxy
Pid: 7
Uptime_sec: 30
Maxconn: 6000
CurrConns: 2
Idle_pct: 98
description: gen=92dfb8a09cbd2ce5

${table}pool,web-0,0,1,9,0,0,UP,200,L7OK,8,12,0,,10.0.0.3:80,
pool,web-1,0,0,9,0,0,${state},4,${state === "UP" ? "L7OK" : "L4CON"},0,12,0,,10.0.0.4:80,
pool,BACKEND,0,1,18,0,0,UP,200,,8,12,0,${requests},,

-- dropscale: end
`;

/** A load balancer that answers each line of a watch. */
class Watched {
    state = "UP";
    private requests = 0;
    private readonly clients = new Set<ssh2.Connection>();
    private server = this.serve();

    async listen(port = 0): Promise<number> {
        this.server.listen(port, "127.0.0.1");
        await once(this.server, "listening");
        return (this.server.address() as AddressInfo).port;
    }

    /** Cuts who is connected, and lets nobody in. */
    async vanish(): Promise<void> {
        const closed = once(this.server, "close");
        this.server.close();
        for (const client of this.clients) client.end();
        await closed;
        this.server = this.serve();
    }

    private serve(): ssh2.Server {
        const hostKeys = [ssh2.utils.generateKeyPairSync("ed25519").private];
        return new ssh2.Server({ hostKeys }, (client) => {
            this.clients.add(client);
            client.on("error", () => undefined);
            client.on("close", () => this.clients.delete(client));
            client.on("authentication", (context) => {
                context.accept();
            });
            client.on("session", (accept) => {
                accept().on("exec", (acceptExec) => {
                    const channel = acceptExec();
                    channel.on("data", () => channel.write(answer(this.state, (this.requests += 10))));
                });
            });
        });
    }
}

/** A `pulumi` that knows a stack `prod`, in whose history somebody has left a token. */
const pulumi = `case "$*" in
"stack history"*) cat <<'EOF'
${JSON.stringify([
    {
        ...{ version: 0, kind: "update", startTime: "2026-01-02T03:04:05.000Z", result: "succeeded" },
        ...{ endTime: "2026-01-02T03:04:25.000Z", environment: { "pulumi.flag.message": "set" } },
        message: `autoscale: <img src=x onerror=alert(1)> with ${token}`,
        config: { "dropscale:replicas": { value: "2" }, "dropscale:tlsKey": { value: "PLAINKEYINCONFIG" } },
    },
])}
EOF
;;
whoami*) echo '{"url": "https://app.pulumi.com/ann"}' ;;
"stack output"*) cat <<'EOF'
${JSON.stringify({
    ...{ url: "http://203.0.113.9", loadBalancerIp: "203.0.113.9", monthlyCost: 18 },
    ...{ deployKey: privateKey, hostKey: publicKey },
    servers: [0, 1].map((slot) => ({
        name: `web-${slot}`,
        slot,
        dropletId: "7",
        privateIp: `10.0.0.${slot}`,
    })),
})}
EOF
;;
*) echo "error: not asked for in this test: $*" >&2; exit 1 ;;
esac`;

describe("the dashboard's server", () => {
    let folder: string;
    let sshPort: number;
    let board: Running;
    let url: string;
    const watched = new Watched();

    const run = (...options: string[]) =>
        start(
            process.execPath,
            ["--import", "tsx", path.join(root, "tools/main.ts"), "dashboard", "prod", ...options],
            {
                cwd: root,
                env: {
                    ...{ PATH: `${folder}/bin:/usr/bin:/bin`, HOME: folder, DIGITALOCEAN_TOKEN: token },
                    NODE_OPTIONS: `--require ${path.join(root, "test/lead-ssh.cjs")}`,
                    DROPSCALE_TEST_SSH_PORT: String(sshPort),
                },
            },
        );
    beforeAll(async () => {
        folder = mkdtempSync(path.join(tmpdir(), "dropscale-dashboard-"));
        mkdirSync(path.join(folder, "bin"));
        writeFileSync(path.join(folder, "bin/pulumi"), `#!/bin/sh\n${pulumi}\n`, { mode: 0o755 });
        sshPort = await watched.listen();
        board = run("--port", "0");
        await vi.waitFor(
            () => {
                url = /http:\S+\//.exec(board.printed())?.[0] ?? expect.fail(board.printed());
            },
            { timeout: 60_000, interval: 100 },
        );
    });
    afterAll(async () => {
        if (board.isRunning()) process.kill(board.pid, "SIGKILL");
        await watched.vanish();
        rmSync(folder, { recursive: true, force: true });
    });

    /** One request as it stands; Node's fetch would not let a test say another Host. */
    const ask = (
        at: string,
        options: { method?: string; host?: string; more?: Record<string, string> } = {},
    ) =>
        new Promise<{ code: number; headers: Record<string, unknown>; body: string }>((resolve, reject) => {
            const { method = "GET", host, more } = options;
            const call = request(new URL(at, url), {
                method,
                agent: false,
                headers: { ...(host && { host }), ...more },
            });
            call.once("error", reject).once("response", (response) => {
                let body = "";
                response.on("data", (data: Buffer) => (body += data.toString()));
                response.once("end", () => {
                    resolve({ code: response.statusCode ?? 0, headers: response.headers, body });
                });
            });
            call.end();
        });
    /** Listens as a browser does until something has come; all that came, and the newest of each name. */
    async function listen(
        isEnough: (newest: Partial<Messages>) => boolean,
    ): Promise<{ text: string; newest: Messages }> {
        const response = await fetch(new URL("/stream", url), {
            signal: AbortSignal.timeout(60_000),
        });
        expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
        const decoder = new TextDecoder();
        let text = "";
        for await (const part of response.body as AsyncIterable<Uint8Array>) {
            text += decoder.decode(part, { stream: true });
            const newest = Object.fromEntries(
                [...text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)].map(([, name, data = ""]) => [
                    name,
                    JSON.parse(data) as unknown,
                ]),
            ) as Partial<Messages>;
            if (!isEnough(newest)) continue;
            return { text, newest: newest as Messages };
        }
        return expect.fail(text);
    }
    const titled =
        (title: string) =>
        ({ view }: Partial<Messages>) =>
            view?.headline.title === title;

    it("serves the page and all that it needs, and lets a browser load nothing else", async () => {
        const page = await ask("/");
        expect(page).toMatchObject({ code: 200, headers: { "content-type": "text/html; charset=utf-8" } });
        expect(page.headers["content-security-policy"]).toMatch(
            /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'/,
        );
        expect(page.headers).not.toHaveProperty("access-control-allow-origin");
        const files = [...page.body.matchAll(/(?:src|href)="(\/[^"]*)"/g)].map(([, file = ""]) => file);
        expect(files.sort()).toEqual(["/app.js", "/style.css"]);
        for (const file of files) {
            const { code, body } = await ask(file);
            expect(code).toBe(200);
            // A licence and a name of XML are no requests.
            expect(body.match(/https?:\/\/[^\s"'`)]+/g) ?? []).toSatisfy((all: string[]) =>
                all.every((one) => /w3\.org|github\.com\/leeoniya|jfly/.test(one)),
            );
        }
    });

    it("is for this machine alone, by its own names, and read only", async () => {
        for (const host of [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "[::2]",
            "10.0.0.1",
        ])
            expect([host, (await ask("/stream", { host })).code]).toEqual([host, 403]);
        for (const host of ["localhost", "LOCALHOST:9000", "127.0.0.1:1", "[::1]:8414"])
            expect([host, (await ask("/", { host })).code]).toEqual([host, 200]);
        const from = (site: string, mode: string) =>
            ask("/stream", { method: "POST", more: { "sec-fetch-site": site, "sec-fetch-mode": mode } });
        // Who is let in hears that it should be a GET.
        expect((await from("cross-site", "cors")).code).toBe(403);
        expect((await from("same-site", "no-cors")).code).toBe(403);
        expect((await from("cross-site", "navigate")).code).toBe(405);
        expect((await from("same-origin", "cors")).code).toBe(405);
        const { port } = new URL(url);
        const noHost = await new Promise<string>((resolve) => {
            const socket = connect(Number(port), "127.0.0.1", () => socket.write("GET / HTTP/1.0\r\n\r\n"));
            socket.once("data", (data) => {
                resolve(data.toString());
            });
        });
        expect(noHost).toMatch(/^HTTP\/1\.1 403 /);
        for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) {
            const { code, headers } = await ask("/", { method });
            expect([method, code, headers.allow]).toEqual([method, 405, "GET"]);
        }
        for (const at of ["/nothing", "/../package.json", "/%2e%2e/package.json", "/app.ts", "//app.js"])
            expect([at, (await ask(`${url.slice(0, -1)}${at}`)).code]).toEqual([at, 404]);
        const listening = execFileSync("ss", ["-Hltn", `sport = :${port}`], { encoding: "utf8" });
        expect(listening.match(/\S+:\d+(?= )/g)).toEqual([`127.0.0.1:${port}`]);
    });

    it("tells what is there when a page begins to listen, and then what is new, each second", async () => {
        const first = await listen(({ point, events = [] }) => point !== undefined && events.length > 1);
        expect(first.newest.view).toMatchObject({
            ...{ stack: "prod", url: "http://203.0.113.9", wanted: 2, monthlyCost: 18 },
            newest: {
                reading: {
                    generation: "92dfb8a09cbd2ce5",
                    servers: [{ name: "web-0" }, { name: "web-1" }],
                },
            },
        });
        expect(first.newest.point).toMatchObject({ wanted: 2, up: 2, responseMs: 12 });
        // Who comes later is told of all that was seen before.
        const points = async () => (await listen(({ points }) => points !== undefined)).newest.points;
        await vi.waitFor(
            async () => {
                expect((await points())[2]?.requests).toBeGreaterThan(0);
            },
            { timeout: 60_000, interval: 500 },
        );
    });

    it("shows no secret, and markup of others as the text that it is", async () => {
        const { text, newest } = await listen(({ events }) => (events ?? []).length > 0);
        const all = [text, (await ask("/")).body, board.printed()].join("\n");
        for (const secret of [token, "PRIVATE KEY", privateKey.split("\n")[2] ?? "?", "PLAINKEYINCONFIG"])
            expect(all).not.toContain(secret);
        expect(newest.events.map(({ why }) => why).join()).toContain(
            "<img src=x onerror=alert(1)> with [secret]",
        );
        // Nothing in the page's script makes HTML of a text.
        const { body: script } = await ask("/app.js");
        expect(script).not.toMatch(
            /insertAdjacentHTML|outerHTML|document\.write|\beval\(|innerHTML\s*=\s*[^"]/,
        );
    });

    it("says that a server is DOWN, and when that is over, in the page and in its terminal", async () => {
        watched.state = "DOWN";
        await listen(titled("web-1 is DOWN: 1 of 2 servers UP"));
        watched.state = "UP";
        const { newest } = await listen(titled("all 2 servers are UP"));
        expect(newest.events.find(({ kind }) => kind === "down")?.endMs).toBeTypeOf("number");
        expect(board.printed()).toMatch(/^\d\d:\d\d:\d\d {2}web-1 went DOWN; connection refused/m);
        expect(board.printed()).toMatch(/^\d\d:\d\d:\d\d {2}web-1 went DOWN, over/m);
    });

    it("says that the load balancer can't be asked, since when and why, and comes back by itself", async () => {
        await watched.vanish();
        const { newest } = await listen(titled("the load balancer can't be asked"));
        expect(newest.view.headline).toMatchObject({
            event: { why: /SSH to root@203\.0\.113\.9: / },
            over: /`make status STACK=prod`/,
        });
        await watched.listen(sshPort);
        await listen(titled("all 2 servers are UP"));
    });

    it("says what to do where its port is taken", async () => {
        const { port } = new URL(url);
        const { code, text } = await run("--port", port).ended;
        expect(code).toBe(1);
        expect(text).toBe(
            `error: port ${port} of 127.0.0.1 is taken, perhaps by another dashboard: end that one, or take another port: ARGS="--port ${Number(port) + 1}"\n`,
        );
    });

    it("ends at SIGTERM, in order and at once, whoever listens", async () => {
        const stream = await fetch(new URL("/stream", url));
        const read = stream.text().catch(() => "cut");
        const begun = Date.now();
        process.kill(board.pid, "SIGTERM");
        const { code, text } = await board.ended;
        expect(code, text).toBe(0);
        expect(Date.now() - begun).toBeLessThan(5000);
        expect(await read).toBeTypeOf("string");
    });
});
