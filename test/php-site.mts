import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { vi } from "vitest";
import type { Outputs } from "./world.mts";

/** Says what PHP was asked, under a number of its own; `h` are headers of its answer. */
export const phpPage = `<?php
foreach ($_GET['h'] ?? [] as $line) header($line, false);
http_response_code(file_exists('/var/www/app/broken') ? 500 : 200);
if (isset($_GET['kilobytes'])) exit(random_bytes(1024 * $_GET['kilobytes']));
$asked = array_intersect_key($_SERVER, array_flip(explode(' ',
    'REMOTE_ADDR REQUEST_METHOD HTTP_HOST HTTP_COOKIE HTTP_AUTHORIZATION HTTPS SERVER_PORT SERVER_NAME')));
echo json_encode(['number' => uniqid('', true), 'body' => file_get_contents('php://input')] + $asked);
`;

/** What came of a request. */
export interface Answer {
    status: number;
    headers: Record<string, string | string[] | undefined>;
    body: string;
    /** Of PHP's run that made it. */
    number: string;
    /** What PHP was asked. */
    asked: Record<string, string>;
}

/** Requests over the load balancer, each on a connection of its own. @param url Its. */
export const asking =
    (url: string) =>
    /** @param headers Names and values in turn. */
    (at: string, headers: string[] = [], method = "GET", sent = ""): Promise<Answer> =>
        new Promise((resolve, reject) => {
            const { hostname } = new URL(url);
            const lines = headers.includes("Host") ? [...headers] : ["Host", "www.example.com", ...headers];
            if (sent) lines.push("Content-Length", String(sent.length));
            const call = request({ hostname, path: at, method, headers: lines, agent: false }, (answer) => {
                const chunks: Buffer[] = [];
                answer.on("data", (chunk: Buffer) => chunks.push(chunk));
                answer.once("error", reject);
                answer.once("end", () => {
                    const body = Buffer.concat(chunks).toString("latin1");
                    const asked = (body.startsWith('{"number"') ? JSON.parse(body) : {}) as Answer["asked"];
                    const { statusCode: status = 0, headers } = answer;
                    resolve({ status, headers, body, asked, number: asked.number ?? "" });
                });
            });
            call.once("error", reject);
            call.end(sent);
        });

/** Waits until what is expected is so, for a minute at most: the machine may be busy. */
export function eventually(check: () => Promise<void>): Promise<void> {
    return vi.waitFor(check, { timeout: 60_000, interval: 300 });
}

/** Runs a command on the stack's only server, as docs/caching.md has it, but with the key in a file. */
export async function onServer(
    { loadBalancerIp, servers, deployKey }: Outputs,
    command: string,
): Promise<void> {
    const folder = mkdtempSync(path.join(tmpdir(), "dropscale-ssh-"));
    try {
        writeFileSync(path.join(folder, "key"), deployKey, { mode: 0o600 });
        const known = ["-o", "StrictHostKeyChecking=no", "-o", `UserKnownHostsFile=${folder}/known`];
        const options = ["-q", "-i", `${folder}/key`, ...known];
        const proxy = ["ssh", ...options, "-W", "%h:%p", `root@${loadBalancerIp}`].join(" ");
        const server = `root@${servers[0]?.privateIp}`;
        await promisify(execFile)("ssh", [...options, "-o", `ProxyCommand=${proxy}`, server, command]);
    } finally {
        rmSync(folder, { recursive: true });
    }
}
