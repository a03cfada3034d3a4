import { setTimeout as sleep } from "node:timers/promises";

import type { Properties } from "../values.ts";
import type { Client } from "./client.ts";

/** `{ done }` ends the wait; a text is what was seen instead. */
export type Look<T> = { done: T } | string;

/**
 * Looks again and again, after 0.5 s at first and every 10 s at last (the official provider's own limit, which
 * stays below the service's 250 requests a minute).
 */
export async function poll<T>(
    what: string,
    timeoutSeconds: number,
    look: () => Promise<Look<T>>,
): Promise<T> {
    const end = Date.now() + timeoutSeconds * 1000;
    for (let delay = 500; ; delay = Math.min(delay * 1.5, 10_000)) {
        await sleep(Math.min(delay, Math.max(end - Date.now(), 0)));
        const seen = await look();
        if (typeof seen !== "string") return seen.done;
        if (Date.now() >= end)
            throw new Error(
                `timeout after ${timeoutSeconds} s while waiting for ${what} (last seen: ${seen})`,
            );
    }
}

interface Action {
    id: number;
    status: "in-progress" | "completed" | "errored";
}

/** Starts an action, and waits for its end; `path`: `/v2/droplets/1/actions`. */
export async function act(
    client: Client,
    path: string,
    body: { type: string } & Properties,
    timeoutSeconds = 3600,
): Promise<void> {
    const { action: started } = await client.post<{ action: Action }>(path, body);
    const what = `${body.type} by ${path}/${started.id}`;
    await poll(what, timeoutSeconds, async () => {
        const { action } = await client.get<{ action: Action }>(`${path}/${started.id}`);
        if (action.status === "errored") throw new Error(`${what} failed: the action's status is "errored"`);
        return action.status === "completed" ? { done: undefined } : action.status;
    });
}

/** The error with what was tried in front of it. */
export async function explain<T>(doing: string, run: () => Promise<T>): Promise<T> {
    return run().catch((error: unknown) => {
        if (error instanceof Error) error.message = `Error ${doing}: ${error.message}`;
        throw error;
    });
}
