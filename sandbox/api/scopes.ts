import { createHash, randomBytes } from "node:crypto";

import { Type } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";

import { ApiError, unprocessable } from "./errors.ts";
import type { Api } from "./http.ts";

/** Where tests make tokens of some scopes, and see which ones were needed; no part of DigitalOcean's API. */
export const tokensUrl = "/sandbox/tokens";

/** The kind of thing that a path is about, as scopes call it: the longest start of the path counts. */
const kinds: Record<string, string> = {
    "/v2/account": "account",
    "/v2/account/keys": "ssh_key",
    "/v2/actions": "actions",
    "/v2/domains": "domain",
    "/v2/droplets": "droplet",
    "/v2/firewalls": "firewall",
    "/v2/images": "image",
    "/v2/monitoring": "monitoring",
    "/v2/regions": "regions",
    "/v2/reserved_ips": "reserved_ip",
    "/v2/sizes": "sizes",
    "/v2/snapshots": "snapshot",
    "/v2/tags": "tag",
    "/v2/uptime": "uptime",
    "/v2/vpcs": "vpc",
};
const verbs: Record<string, string> = {
    GET: "read",
    HEAD: "read",
    POST: "create",
    PUT: "update",
    PATCH: "update",
    DELETE: "delete",
};

/**
 * Routes whose scopes are not the path's kind and the method's verb (`security` of each operation in
 * https://github.com/digitalocean/openapi). With `|` between them, one is enough.
 */
const exceptions: Record<string, string[]> = {
    "GET /v2/sizes": ["sizes:read", "regions:read"],
    "GET /v2/droplets/:id/firewalls": ["firewall:read"],
    "POST /v2/droplets/:id/actions": ["droplet:update"],
    "POST /v2/droplets/actions": ["droplet:update"],
    "POST /v2/domains/:id/records": ["domain:create|domain:update"],
    "DELETE /v2/domains/:id/records/:record": ["domain:delete|domain:update"],
    ...Object.fromEntries(
        ["droplets", "tags", "rules"].flatMap((part) =>
            ["POST", "DELETE"].map((method) => [`${method} /v2/firewalls/:id/${part}`, ["firewall:update"]]),
        ),
    ),
    "POST /v2/uptime/checks/:id/alerts": ["uptime:create", "uptime:update"],
    "DELETE /v2/uptime/checks/:id/alerts/:alert": ["uptime:delete", "uptime:update"],
    "POST /v2/reserved_ips/:id/actions": ["reserved_ip:update"],
    "GET /v2/snapshots/:id": ["snapshot:read", "block_storage_snapshot:read"],
    "DELETE /v2/snapshots/:id": ["image:delete", "snapshot:delete"],
};

/** What a field of the body takes beside: https://docs.digitalocean.com/reference/api/scopes/ ("associated scopes"). */
const fieldScopes: Record<string, Record<string, string>> = {
    "POST /v2/droplets": { tags: "tag:create", ssh_keys: "ssh_key:read", vpc_uuid: "vpc:read" },
    "POST /v2/firewalls": { tags: "tag:read", droplet_ids: "droplet:read" },
    "PUT /v2/firewalls/:id": { tags: "tag:read", droplet_ids: "droplet:read" },
};

/** A token can have a scope only together with these ("required scopes" of the same pages). */
const companions: Record<string, string[]> = {
    "vpc:read": ["regions:read", "sizes:read", "actions:read"],
    "droplet:read": ["regions:read", "sizes:read", "actions:read", "image:read"],
    "monitoring:read": ["droplet:read", "regions:read", "sizes:read", "actions:read", "image:read"],
    "reserved_ip:create": ["droplet:read", "project:read"],
    "reserved_ip:update": ["droplet:read"],
    "reserved_ip:delete": ["droplet:read"],
};

/**
 * The scopes that a request to a route takes: all of them, and of those with `|` between them one.
 *
 * @param route Method and path as registered: `GET /v2/droplets/:id`.
 * @throws Error if it is none of the API's kinds.
 */
export function scopesOf(route: string, body?: unknown): string[] {
    const [method = "", path = ""] = route.split(" ");
    const start = Object.keys(kinds)
        .filter((prefix) => path === prefix || path.startsWith(`${prefix}/`))
        .sort((a, b) => b.length - a.length)[0];
    const [kind, verb] = [kinds[start ?? ""], verbs[method]];
    if (kind === undefined || verb === undefined) throw new Error(`no scope is known for ${route}`);
    const given = (field: unknown) => (Array.isArray(field) ? field.length > 0 : Boolean(field));
    const fields = Object.entries(fieldScopes[route] ?? {})
        .filter(([field]) => given((body as Record<string, unknown> | null | undefined)?.[field]))
        .map(([, scope]) => scope);
    return [...(exceptions[route] ?? [`${kind}:${verb}`]), ...fields];
}

/** A token; without `scopes` it may do everything. */
interface Token {
    scopes?: Set<string>;
    /** What its requests took until now. */
    used: Set<string>;
}

/**
 * The tokens that are accepted. More of them are made by `POST` of {@link tokensUrl} with `{"scopes": […]}`, which
 * answers `{"token"}`; `GET` with such a token shows which scopes its requests took. They live in memory only.
 */
export class Tokens {
    /** By the digest of the header `authorization`, so that a comparison tells nothing of it. */
    readonly #tokens = new Map<string, Token>();

    /** @param owner The token that may do everything. */
    constructor(owner: string) {
        this.#tokens.set(digest(`Bearer ${owner}`), { used: new Set() });
    }

    /** Whether a request brings one of them. */
    knows(request: FastifyRequest): boolean {
        return this.#of(request) !== undefined;
    }

    /** Hooks for all routes that `api` gets afterwards, and the endpoint. */
    serve(api: Api): void {
        api.addHook("onRoute", ({ method, url }) => {
            if (!url.startsWith("/v2/")) return;
            for (const one of [method].flat()) scopesOf(`${one} ${url}`);
        });
        api.addHook("onRequest", (request, _reply, done) => {
            done(
                this.knows(request)
                    ? undefined
                    : new ApiError(401, "Unauthorized", "Unable to authenticate you"),
            );
        });
        // The body decides, too; what is wrong with it is nobody's business who may not send it.
        api.addHook("preValidation", (request, _reply, done) => {
            done(this.#mayDo(request) ? undefined : forbidden());
        });
        api.get(tokensUrl, (request) => ({ used: [...(this.#of(request)?.used ?? [])].sort() }));
        const schema = { body: Type.Object({ scopes: Type.Array(Type.String({ pattern: "^\\w+:\\w+$" })) }) };
        api.post(tokensUrl, { schema }, (request, reply) => {
            const scopes = new Set(request.body.scopes);
            refuseAlone(scopes);
            const token = `dop_v1_${randomBytes(32).toString("hex")}`;
            this.#tokens.set(digest(`Bearer ${token}`), { scopes, used: new Set() });
            return reply.code(201).send({ token });
        });
    }

    #of({ headers }: FastifyRequest): Token | undefined {
        return this.#tokens.get(digest(headers.authorization ?? ""));
    }

    #mayDo(request: FastifyRequest): boolean {
        const token = this.#of(request);
        const { url = "" } = request.routeOptions;
        if (url.startsWith("/sandbox/")) return token?.scopes === undefined || request.method === "GET";
        if (!url.startsWith("/v2/")) return true;
        const has = (scope: string) => token?.scopes?.has(scope) ?? true;
        const scopes = scopesOf(`${request.method} ${url}`, request.body).map((either) => {
            const choice = either.split("|");
            return choice.find(has) ?? choice[0] ?? either;
        });
        for (const scope of scopes) token?.used.add(scope);
        return scopes.every(has);
    }
}

function digest(header: string): string {
    return createHash("sha256").update(header).digest("hex");
}

/** It names no scope, as the real API's does not. */
function forbidden(): ApiError {
    return new ApiError(403, "Forbidden", "You are not authorized to perform this operation");
}

function refuseAlone(scopes: ReadonlySet<string>): void {
    for (const scope of scopes) {
        const [kind = "", verb] = scope.split(":");
        const reading = verb === "read" ? [] : [`${kind}:read`];
        const missing = [...reading, ...(companions[scope] ?? [])].filter((other) => !scopes.has(other));
        if (missing.length > 0)
            throw unprocessable(`${scope} can be had only together with ${missing.join(", ")}`);
    }
}
