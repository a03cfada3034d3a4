/**
 * What the program and its commands ask of DigitalOcean's API, and the scopes that a token needs for it: those of the
 * operation (`security` in https://github.com/digitalocean/openapi), then those of what its body names ("associated
 * scopes" in https://docs.digitalocean.com/reference/api/scopes/). `*` is any one part of the path behind /v2/.
 */
export const requests: Readonly<Record<string, string>> = {
    "GET sizes": "sizes:read regions:read",
    "GET vpcs": "vpc:read",
    "POST vpcs": "vpc:create",
    "DELETE vpcs": "vpc:delete",
    "GET tags": "tag:read",
    "POST tags": "tag:create",
    "DELETE tags": "tag:delete",
    "GET firewalls": "firewall:read",
    "POST firewalls": "firewall:create tag:read",
    "PUT firewalls": "firewall:update tag:read",
    "DELETE firewalls": "firewall:delete",
    "GET account": "account:read",
    "GET images": "image:read",
    "GET account/keys": "ssh_key:read",
    "POST account/keys": "ssh_key:create",
    "DELETE account/keys": "ssh_key:delete",
    "GET droplets": "droplet:read",
    "POST droplets": "droplet:create tag:create ssh_key:read vpc:read",
    "DELETE droplets": "droplet:delete",
    "GET reserved_ips": "reserved_ip:read",
    "POST reserved_ips": "reserved_ip:create",
    "POST reserved_ips/*/actions": "reserved_ip:update",
    "DELETE reserved_ips": "reserved_ip:delete",
};

/** The same with `dnsZone`; its preview also asks for reserved IPs. */
const zoneRequests: Readonly<Record<string, string>> = {
    "GET domains": "domain:read",
    "POST domains": "domain:create",
    "PUT domains": "domain:update",
    "DELETE domains": "domain:delete",
};

/** The same of the autoscaler, with `autoscale.cpu`. */
const metricRequests: Readonly<Record<string, string>> = { "GET monitoring/metrics": "monitoring:read" };

/** The same of `bake`, beside what it has in common with all. */
const bakeRequests: Readonly<Record<string, string>> = {
    "POST droplets/*/actions": "droplet:update",
    "DELETE images": "image:delete",
};

/** The same with `alerts`. */
const alertRequests: Readonly<Record<string, string>> = {
    "GET monitoring/alerts": "monitoring:read",
    "POST monitoring/alerts": "monitoring:create",
    "PUT monitoring/alerts": "monitoring:update",
    "DELETE monitoring/alerts": "monitoring:delete",
    "GET uptime/checks": "uptime:read",
    "POST uptime/checks": "uptime:create",
    "POST uptime/checks/*/alerts": "uptime:create uptime:update",
    "PUT uptime/checks": "uptime:update",
    "DELETE uptime/checks": "uptime:delete",
    "DELETE uptime/checks/*/alerts": "uptime:delete uptime:update",
};

/** The scopes that `autoscale.cpu` needs beside the others. */
export const metricScopes: readonly string[] = Object.values(metricRequests);

/** The scopes that `dnsZone` needs beside the others: they are for all domains of the account. */
export const zoneScopes: readonly string[] = Object.values(zoneRequests);

/** The scopes that `alerts` needs beside the others. */
export const alertScopes: readonly string[] = [
    ...new Set(Object.values(alertRequests).flatMap((scopes) => scopes.split(" "))),
];

/** The only ones of a plain preview. */
const previewed = ["GET sizes", "GET vpcs", "GET account", "GET images", "GET droplets"];

const known = { ...requests, ...zoneRequests, ...metricRequests, ...alertRequests, ...bakeRequests };

const scopesOf = (keys: readonly string[]) => [
    ...new Set(keys.flatMap((key) => (known[key] ?? "").split(" "))),
];

/** The scopes that `pulumi preview` needs. */
export const previewScopes: readonly string[] = scopesOf(previewed);

/** The scopes that everything needs: `pulumi up`, `destroy`, `--refresh`, and the commands of tools/. */
export const allScopes: readonly string[] = scopesOf(Object.keys(requests));

/** The scopes of a token that is for `bake` alone. */
export const bakeScopes: readonly string[] = [
    ...new Set([
        ...scopesOf(["GET sizes", "GET images", "GET account/keys", "GET droplets", "GET firewalls"]),
        ...scopesOf(["POST tags", "POST firewalls", "DELETE tags", "DELETE firewalls", "DELETE droplets"]),
        ...scopesOf(Object.keys(bakeRequests)),
        // It names no VPC.
        ...scopesOf(["POST droplets"]).filter((scope) => scope !== "vpc:read"),
    ]),
];

/**
 * What a request's 403 means, for a message: the API's own names no scope.
 *
 * @param method Such as GET.
 * @param resource Path behind /v2/, with or without a query.
 * @returns A clause that names the scopes of which one is missing.
 */
export function missingScope(method: string, resource: string): string {
    const what = `${method} ${resource.replace(/[?#].*$/, "")}`;
    const fits = (key: string) => new RegExp(`^${key.replace("*", "[^/]+")}(/|$)`).test(what);
    const [key = ""] = Object.keys(known)
        .filter(fits)
        .sort((a, b) => b.length - a.length);
    const scopes = scopesOf([key]).filter(Boolean);
    const which =
        scopes.length > 1 ? `one of the scopes ${scopes.join(", ")}` : `the scope ${scopes.join("")}`;
    return `the token lacks ${scopes.length === 0 ? "a scope" : which}; docs/security.md lists all that it needs`;
}

/**
 * Adds to an error of the provider what a user can do about the token.
 *
 * @param message With the request and its status as the API's Go client writes them: `GET https://…/v2/sizes: 403 …`.
 * @returns The clause to add; `undefined` where the token is not the reason.
 */
export function tokenAdvice(message: string): string | undefined {
    if (/: 401\b/.test(message)) {
        return (
            "set DIGITALOCEAN_TOKEN to a token of the account, or `pulumi config set --secret digitalocean:token`, " +
            "which goes before it"
        );
    }
    // Other words for 403 are about the thing: "Can not delete default VPCs".
    const refused =
        /\b([A-Z]+) \S+?\/v2\/(\S+): 403 .*(not authorized to perform|do not have access for)/i.exec(message);
    return refused ? missingScope(refused[1] ?? "", refused[2] ?? "") : undefined;
}
