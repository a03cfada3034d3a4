import { setTimeout as sleep } from "node:timers/promises";

import type { Properties } from "../values.ts";
import type { Client } from "./client.ts";

/** `{ done }` ends the wait; an error is the reason if time runs out. */
export type Look<T> = { done: T } | Error | undefined;

/**
 * Looks again and again, after 0.5 s at first and every 10 s at last (the official provider's own limit, which
 * stays below the service's 250 requests a minute).
 *
 * @throws Error in the official provider's words, or what `look` says.
 */
export async function poll<T>(timeoutSeconds: number, look: () => Promise<Look<T>>): Promise<T> {
    const end = Date.now() + timeoutSeconds * 1000;
    for (let delay = 500; ; delay = Math.min(delay * 1.5, 10_000)) {
        await sleep(Math.min(delay, Math.max(end - Date.now(), 0)));
        const seen = await look();
        if (seen && "done" in seen) return seen.done;
        if (Date.now() >= end) throw seen ?? new Error("context deadline exceeded");
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
    await poll(timeoutSeconds, async () => {
        const { action } = await client.get<{ action: Action }>(`${path}/${started.id}`);
        if (action.status === "errored")
            throw new Error("unexpected state 'errored', wanted target 'completed'. last error: %!s(<nil>)");
        return action.status === "completed" ? { done: undefined } : undefined;
    });
}

/** The error with what was tried in front of it. */
export async function explain<T>(doing: string, run: () => Promise<T>): Promise<T> {
    return run().catch((error: unknown) => {
        if (error instanceof Error) error.message = `Error ${doing}: ${error.message}`;
        throw error;
    });
}
