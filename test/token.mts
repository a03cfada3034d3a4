import type { RunningSandbox } from "../sandbox/process.ts";

/**
 * Scopes that no request of ours takes, and that a token has to have because of one that we need.
 * https://docs.digitalocean.com/reference/api/scopes/ ("required scopes")
 */
const required: Record<string, string> = {
    "vpc:read": "actions:read",
    "droplet:read": "actions:read",
    "reserved_ip:create": "project:read",
};

/** The scopes, with those that the service wants beside them. */
export function withRequired(scopes: readonly string[]): string[] {
    return [...new Set(scopes.flatMap((scope) => [scope, required[scope] ?? []].flat()))];
}

/** A token of these scopes in a sandbox; it ends with the sandbox's process. */
export async function makeToken({ url, token }: RunningSandbox, scopes: readonly string[]): Promise<string> {
    const answer = await fetch(`${url}/sandbox/tokens`, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({ scopes }),
    });
    if (!answer.ok) throw new Error(`no token of ${scopes.join(" ")}: ${await answer.text()}`);
    return ((await answer.json()) as { token: string }).token;
}

/** What the requests with a token have taken until now, sorted. */
export async function usedScopes({ url }: RunningSandbox, token: string): Promise<string[]> {
    const answer = await fetch(`${url}/sandbox/tokens`, { headers: { authorization: `Bearer ${token}` } });
    return ((await answer.json()) as { used: string[] }).used;
}
