import { spawn } from "node:child_process";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { bundle } from "./bundle.ts";
import { abandonedSandboxes } from "./claim-index.ts";
import { type Instance, instance } from "./instance.ts";
import type { Progress } from "./progress.ts";

/** A sandbox that runs. */
export interface RunningSandbox {
    pid: number;
    /** Base URL of its API on loopback, for DIGITALOCEAN_API_URL. */
    url: string;
    /** For DIGITALOCEAN_TOKEN. */
    token: string;
}

/** What of the account is not as it is unless it is said. */
export interface AccountOptions {
    /** How many droplets it may have. @default the API's own */
    dropletLimit?: number;
    /** `false`: the API answers however often it is asked. @default true */
    rateLimit?: boolean;
}

/** How long it may take from start to listening, in seconds: adopting fifty droplets takes a few. */
const startSeconds = 120;
/** How long it may take to end in order, in seconds: it answers what it was asked, and writes its state. */
const stopSeconds = 60;

/** The sandbox whose state lies in `stateDir`, if it runs. */
export async function findSandbox(stateDir: string): Promise<RunningSandbox | undefined> {
    try {
        const { pid, port } = JSON.parse(await readFile(path.join(stateDir, "sandbox.json"), "utf8")) as {
            pid: number;
            port: number;
        };
        const token = (await readFile(path.join(stateDir, "token"), "utf8")).trim();
        const url = `http://127.0.0.1:${port}`;
        const answer = await fetch(`${url}/v2/account`, {
            headers: { authorization: `Bearer ${token}` },
            signal: AbortSignal.timeout(5000),
        });
        return answer.ok ? { pid, url, token } : undefined;
    } catch {
        return undefined;
    }
}

/**
 * Starts the sandbox as a process of its own that outlives this one, unless it runs already. Its log is
 * `sandbox.log` in the state folder.
 *
 * @param options.port Port of the API on loopback; 0 takes a free one.
 * @throws Error with the last lines of its log if it does not come up.
 */
export async function startSandbox(
    instance: Instance,
    options: { port: number } & AccountOptions,
): Promise<RunningSandbox> {
    const running = await findSandbox(instance.stateDir);
    if (running) return running;
    await mkdir(instance.stateDir, { recursive: true, mode: 0o700 });
    const logFile = path.join(instance.stateDir, "sandbox.log");
    const log = await open(logFile, "a", 0o600);
    const { port, dropletLimit, rateLimit = true } = options;
    const args = await mainArguments(instance, [
        ...["--port", String(port)],
        ...(dropletLimit === undefined ? [] : ["--droplet-limit", String(dropletLimit)]),
        ...(rateLimit ? [] : ["--no-rate-limit"]),
    ]);
    const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", log.fd, log.fd] });
    await log.close();
    child.unref();
    const deadline = Date.now() + startSeconds * 1000;
    const lives = () => child.exitCode === null && child.signalCode === null;
    while (lives() && Date.now() < deadline) {
        const sandbox = await findSandbox(instance.stateDir);
        if (sandbox) return sandbox;
        await sleep(100);
    }
    if (lives()) child.kill("SIGTERM");
    const lines = (await readFile(logFile, "utf8")).trimEnd().split("\n").slice(-5);
    throw new Error(`the sandbox did not start; the end of ${logFile}:\n  ${lines.join("\n  ")}`);
}

/**
 * Ends the sandbox's process, if it runs; its droplets live on.
 *
 * @throws Error if it is still there after {@link stopSeconds}.
 */
export async function stopSandbox(stateDir: string): Promise<void> {
    const running = await findSandbox(stateDir);
    if (!running) return;
    process.kill(running.pid, "SIGTERM");
    const deadline = Date.now() + stopSeconds * 1000;
    while (isAlive(running.pid)) {
        if (Date.now() > deadline) {
            throw new Error(
                `the sandbox with pid ${running.pid} did not end within ${stopSeconds} s; end it with ` +
                    `\`kill -9 ${running.pid}\` and try again (its log is sandbox.log in ${stateDir})`,
            );
        }
        await sleep(50);
    }
}

/** Removes all that a sandbox made on this machine: processes, namespaces, mounts, files. */
export async function purgeSandbox(instance: Instance): Promise<void> {
    await stopSandbox(instance.stateDir);
    const args = await mainArguments(instance, ["--purge"]);
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    const code = await new Promise<number | null>((resolve) => child.once("exit", resolve));
    if (code !== 0) throw new Error(`the sandbox's remains could not be removed (exit ${String(code)})`);
    await rm(instance.stateDir, { recursive: true, force: true });
}

/** Removes what runs that were killed left behind on this machine; those that live are let be. Needs root. */
export async function purgeAbandoned(say: Progress): Promise<void> {
    for (const { index, stateDir } of await abandonedSandboxes()) {
        const left = instance({ name: "abandoned", index, stateDir, kind: "nspawn" });
        await say.step(`removing what an interrupted run left in ${stateDir}`, () => purgeSandbox(left));
    }
}

/** Whether a process of that id exists, another user's too. */
export function isAlive(pid: number): boolean {
    try {
        return pid > 0 && process.kill(pid, 0);
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
    }
}

async function mainArguments({ name, index, stateDir, kind }: Instance, more: string[]): Promise<string[]> {
    const main = await bundle(path.join(import.meta.dirname, "main.ts"));
    const which = ["--name", name, "--index", String(index), "--state-dir", stateDir, "--kind", kind];
    return [main, ...which, ...more];
}
