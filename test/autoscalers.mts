import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { get, slowPath } from "./e2e/client.ts";
import { type Running, start, type World } from "./world.mts";

const tool = path.resolve(import.meta.dirname, "../tools/main.ts");

/**
 * Starts the autoscaler as one process, the leader of a group of its own: a test may kill it, or all of the group.
 *
 * @param options.folder Of the program. @default the world's
 * @param options.env @default the world's
 */
export function startAutoscaler(
    world: World,
    args: string[] = ["--apply", "up"],
    { folder = world.folder, env = world.env }: { folder?: string; env?: NodeJS.ProcessEnv } = {},
): Running {
    const command = [process.execPath, "--import", "tsx", tool, "autoscale", "--stack", "test", "--quiet"];
    return start("setsid", [...command, ...args], { cwd: folder, env });
}

/** Ends it as `systemctl stop` does; a change that is under way ends first, in order. */
export async function stopAutoscaler(scaler: Running | undefined): Promise<void> {
    if (!scaler) return;
    if (scaler.isRunning()) process.kill(scaler.pid, "SIGTERM");
    await scaler.ended;
}

/**
 * Waits until it has said something.
 *
 * @param options.after So many characters that it had printed before don't count. @default 0
 * @throws Error with all that it said if it ends before, or the time is over.
 */
export async function untilSaid(
    scaler: Running,
    words: RegExp,
    { seconds = 300, after = 0 }: { seconds?: number; after?: number } = {},
): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    while (!words.test(scaler.printed().slice(after))) {
        if (!scaler.isRunning()) throw new Error(`it ended: ${(await scaler.ended).text}`);
        if (Date.now() > deadline) throw new Error(`it did not say ${String(words)}:\n${scaler.printed()}`);
        await sleep(250);
    }
}

/** Of a folder's config of the stack. */
export function configured(folder: string, key: string): unknown {
    const text = readFileSync(path.join(folder, "Pulumi.test.yaml"), "utf8");
    return (parse(text) as { config: Record<string, unknown> }).config[`dropscale:${key}`];
}

/** Clients that keep so many slots busy until they are stopped. */
export class Crowd {
    private isBusy = true;
    private readonly loops: Promise<void>[];

    constructor(url: string, size: number) {
        this.loops = Array.from({ length: size }, async () => {
            while (this.isBusy) await get(`${url}${slowPath}`);
        });
    }

    async stop(): Promise<void> {
        this.isBusy = false;
        await Promise.all(this.loops);
    }
}

/** As `make history` tells them, the newest first. */
export async function historyOf(world: World): Promise<Record<string, unknown>[]> {
    const { stdout, text, code } = await world.tool("history", ["test", "--json", "-"]);
    if (code !== 0) throw new Error(text);
    return (JSON.parse(stdout) as { history: Record<string, unknown>[] }).history;
}
