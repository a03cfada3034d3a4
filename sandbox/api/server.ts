import { randomUUID } from "node:crypto";
import { maxHeaderSize } from "node:http";

import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from "fastify";

import { firstLine } from "../host.ts";
import type { Instance } from "../instance.ts";
import type { Machines } from "../machines.ts";
import { checkAnswers } from "./answer-check.ts";
import { RootCauses } from "./answers.ts";
import { ControlPlane } from "./control-plane.ts";
import { DropletMetrics } from "./droplet-metrics.ts";
import { isAbsent } from "./endpoints.ts";
import { ApiError, badRequest, notFound, unprocessable } from "./errors.ts";
import { Faults, faultsUrl } from "./faults.ts";
import type { Api } from "./http.ts";
import { type Budget, RateLimiter, realBudget } from "./rate-limit.ts";
import { accountRoutes } from "./routes/account.ts";
import { alertPolicyRoutes } from "./routes/alert-policies.ts";
import { domainRoutes } from "./routes/domains.ts";
import { dropletRoutes } from "./routes/droplets.ts";
import { firewallRoutes } from "./routes/firewalls.ts";
import { imageRoutes } from "./routes/images.ts";
import { monitoringRoutes } from "./routes/monitoring.ts";
import { reservedIpRoutes } from "./routes/reserved-ips.ts";
import { tagRoutes } from "./routes/tags.ts";
import { uptimeRoutes } from "./routes/uptime.ts";
import { vpcRoutes } from "./routes/vpcs.ts";
import { Tokens, tokensUrl } from "./scopes.ts";
import type { Store } from "./store.ts";
import { UptimeProber } from "./uptime-prober.ts";

export interface ApiOptions {
    instance: Instance;
    machines: Machines;
    store: Store;
    /** The bearer token that may do everything; others are made with it. */
    token: string;
    /** Droplets the account may have at one time; default 25, as a new account's. */
    dropletLimit?: number;
    /** Requests allowed; default: the real service's. */
    budget?: Budget;
    /** How often droplets are looked at for their metrics, in seconds; default 60. */
    metricSeconds?: number;
    /** How often sites with an uptime check are asked, in seconds; default 60. */
    uptimeSeconds?: number;
    /** Takes one line; default: nothing is logged. Never given a token, user data or a key. */
    log?: (line: string) => void;
}

/** Bigger than 64 KiB of user data in any JSON form, so that the answer to too much is the API's own 422. */
const bodyLimitBytes = 4 * 1024 * 1024;

/**
 * The API v2 over HTTP. `listen` (or `ready`) starts the machines first; `close` leaves them as they are: call
 * `machines.detach` after it.
 */
export function createApi(options: ApiOptions): Api {
    const log = options.log ?? (() => undefined);
    const faults = new Faults();
    const beforeAction = (type: string) => faults.beforeAction(type);
    const control = new ControlPlane({ dropletLimit: 25, ...options, log, beforeAction });
    const api: Api = Fastify({
        // Adopting machines takes its time.
        pluginTimeout: 0,
        bodyLimit: bodyLimitBytes,
        forceCloseConnections: true,
        genReqId: () => randomUUID(),
        // A tag has up to 255 characters, and what is longer names nothing: 404, as for any other name.
        routerOptions: { maxParamLength: maxHeaderSize },
        rewriteUrl: ({ url = "/" }) => (isDecodable(url) ? url : "/"),
        // The real API takes 22 for "22" too.
        ajv: { customOptions: { coerceTypes: true } },
    });
    const metrics = new DropletMetrics(control, options.metricSeconds);
    const uptime = new UptimeProber(control, options.uptimeSeconds);
    api.addHook("onReady", async () => {
        await control.start();
        metrics.start();
        uptime.start();
    });
    api.addHook("preClose", (done) => {
        metrics.stop();
        uptime.stop();
        control.stop();
        done();
    });
    api.addHook("onRequest", (request, reply, done) => {
        void reply.header("x-request-id", request.id);
        done();
    });
    acceptEmptyBodies(api);
    checkAnswers(api, log);
    const tokens = new Tokens(options.token);
    limitRate(api, new RateLimiter(options.budget ?? realBudget), tokens);
    tokens.serve(api);
    faults.serve(api);
    reportErrors(api, log);
    for (const routes of [
        accountRoutes,
        alertPolicyRoutes,
        domainRoutes,
        dropletRoutes,
        firewallRoutes,
        imageRoutes,
        reservedIpRoutes,
        tagRoutes,
        vpcRoutes,
    ]) {
        routes(api, control);
    }
    monitoringRoutes(api, control, metrics);
    uptimeRoutes(api, control, uptime);
    return api;
}

/** Clients announce JSON on a DELETE too, and send nothing. */
function acceptEmptyBodies(api: Api): void {
    api.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) => {
        if (body === "") {
            done(null, undefined);
            return;
        }
        try {
            done(null, JSON.parse(body.toString()));
        } catch {
            done(badRequest("The request body is not valid JSON."));
        }
    });
}

/** Whether the server can tell what a URL names; one that it can't is found nowhere. */
function isDecodable(url: string): boolean {
    try {
        decodeURIComponent(url.split("?")[0] ?? "");
        return true;
    } catch {
        return false;
    }
}

/** Every answer says how many requests are left; those that are not let in are told too, and count for nothing. */
function limitRate(api: Api, limiter: RateLimiter, tokens: Tokens): void {
    api.addHook("onRequest", (request, reply, done) => {
        if ([faultsUrl, tokensUrl].includes(request.routeOptions.url ?? "")) {
            done();
            return;
        }
        const isKeyList = request.method === "GET" && request.routeOptions.url === "/v2/account/keys";
        const now = Date.now() / 1000;
        const allowance = tokens.knows(request) ? limiter.take(now, isKeyList) : limiter.look(now);
        void reply.headers({
            "ratelimit-limit": allowance.limit,
            "ratelimit-remaining": allowance.remaining,
            "ratelimit-reset": allowance.resetEpochSeconds,
        });
        if (allowance.retryAfterSeconds === undefined) {
            done();
            return;
        }
        void reply.header("retry-after", allowance.retryAfterSeconds);
        done(new ApiError(429, "too_many_requests", "API Rate limit exceeded."));
    });
}

function reportErrors(api: Api, log: (line: string) => void): void {
    const requested = ({ method, originalUrl }: FastifyRequest) =>
        `${method} ${originalUrl.split("?")[0] ?? ""}`;
    const send = (error: ApiError, request: FastifyRequest, reply: FastifyReply) => {
        if (error.lacks !== undefined) {
            const note = `the sandbox has no ${error.lacks}; DigitalOcean has`;
            log(`${requested(request)}: ${note}`);
            void reply.header("x-sandbox", note);
        }
        const { id, message, statusCode } = error;
        const documented = request.routeOptions.schema?.response as Record<number, unknown> | undefined;
        const more = documented?.[statusCode] === RootCauses && {
            error: message,
            messages: null,
            root_causes: [message],
        };
        return reply.code(statusCode).send({ id, message, request_id: request.id, ...more });
    };
    // Before anybody looks at a body. The router takes `/v2/tags/` for the tag without a name.
    api.addHook("onRequest", ({ is404, params }, _reply, done) => {
        done(is404 || Object.values(params as object).includes("") ? notFound() : undefined);
    });
    api.setNotFoundHandler(() => {
        throw notFound();
    });
    api.setErrorHandler((error: FastifyError, request, reply) => {
        const [url = ""] = request.originalUrl.split("?");
        if (error.statusCode === undefined || error.statusCode >= 500) {
            log(`${requested(request)} failed: ${firstLine(error)}`);
        }
        const answer = asApiError(error);
        if (answer.statusCode === 404 && isAbsent(request.method, url)) {
            return send(notFound("such endpoint"), request, reply);
        }
        return send(answer, request, reply);
    });
    api.addHook("onResponse", (request, reply, done) => {
        // Polling would drown everything else.
        if (request.method !== "GET" || reply.statusCode >= 400) {
            log(`${requested(request)} ${reply.statusCode}`);
        }
        done();
    });
}

/** Whatever was thrown, in the API's form. A path that fits no id is a resource that does not exist. */
function asApiError(error: FastifyError): ApiError {
    if (error instanceof ApiError) return error;
    if (error.validation) {
        if (error.validationContext === "params") return notFound();
        return unprocessable(error.message.replace(/^(body|querystring)[/ ]/, ""));
    }
    if (error.statusCode !== undefined && error.statusCode < 500) {
        return new ApiError(error.statusCode, "bad_request", "error parsing request body");
    }
    return new ApiError(500, "server_error", "Unexpected server-side error");
}
