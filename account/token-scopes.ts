/**
 * What the program and its commands ask of DigitalOcean's API, and the scopes that a token needs for it: those of the
 * operation (`security` in https://github.com/digitalocean/openapi), then those of what its body names ("associated
 * scopes" in https://docs.digitalocean.com/reference/api/scopes/). `*` is any one part of the path behind /v2/.
 */
export const scopesByRequest: Readonly<Record<string, string>> = {
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
    // With `dnsZone`; its preview also asks for reserved IPs.
    "GET domains": "domain:read",
    "POST domains": "domain:create",
    "PUT domains": "domain:update",
    "DELETE domains": "domain:delete",
    // Of the autoscaler, with `autoscale.cpu`.
    "GET monitoring/metrics": "monitoring:read",
    // With `alerts`.
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
    // Of `bake`, beside what it has in common with all.
    "POST droplets/*/actions": "droplet:update",
    "DELETE images": "image:delete",
};

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
    const [key = ""] = Object.keys(scopesByRequest)
        .filter(fits)
        .sort((a, b) => b.length - a.length);
    const scopes = (scopesByRequest[key] ?? "").split(" ").filter(Boolean);
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
