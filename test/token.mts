import { scopesByRequest } from "../account/token-scopes.ts";
import type { RunningSandbox } from "../sandbox/process.ts";

const scopesOf = (requests: readonly string[]): readonly string[] => [
    ...new Set(requests.flatMap((request) => scopesByRequest[request]?.split(" ") ?? [])),
];

const requests = Object.keys(scopesByRequest);
const zone = requests.filter((request) => /^\w+ domains/.test(request));
const metrics = ["GET monitoring/metrics"];
const alerts = requests.filter((request) => /^\w+ (monitoring\/alerts|uptime)/.test(request));
const bake = ["POST droplets/*/actions", "DELETE images"];
const special = [...zone, ...metrics, ...alerts, ...bake];

/** The scopes that everything needs: `pulumi up`, `destroy`, `--refresh`, and the commands of tools/. */
export const allScopes = scopesOf(requests.filter((request) => !special.includes(request)));

/** The scopes that a plain `pulumi preview` needs. */
export const previewScopes = scopesOf(["GET sizes", "GET vpcs", "GET account", "GET images", "GET droplets"]);

/** The scopes that `autoscale.cpu` needs beside the others. */
export const metricScopes = scopesOf(metrics);

/** The scopes that `dnsZone` needs beside the others: they are for all domains of the account. */
export const zoneScopes = scopesOf(zone);

/** The scopes that `alerts` needs beside the others. */
export const alertScopes = scopesOf(alerts);

/** The scopes of a token that is for `bake` alone; it names no VPC. */
export const bakeScopes = scopesOf([
    ...["GET sizes", "GET images", "GET account/keys", "GET droplets", "GET firewalls"],
    ...["POST tags", "POST firewalls", "DELETE tags", "DELETE firewalls", "POST droplets", "DELETE droplets"],
    ...bake,
]).filter((scope) => scope !== "vpc:read");

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
