import { setTimeout as sleep } from "node:timers/promises";

import { Type, TypeBoxValidatorCompiler } from "@fastify/type-provider-typebox";
import type { FastifyRequest } from "fastify";
import type { Static } from "typebox";

import { ApiError, unprocessable } from "./errors.ts";
import type { Api } from "./http.ts";

/** Where tests set faults; no part of DigitalOcean's API. */
export const faultsUrl = "/sandbox/faults";

/** Answers that a fault may give, in the API's own words. */
const answers = {
    422: ["unprocessable_entity", "creating this/these droplet(s) will exceed your droplet limit"],
    429: ["too_many_requests", "API Rate limit exceeded."],
    500: ["server_error", "Unexpected server-side error"],
    503: ["service_unavailable", "Server is temporarily unavailable"],
} as const;

/** What a fault may do: each does exactly one of these. */
const effects = {
    /** The request is answered with this, and changes nothing. */
    status: Type.Optional(Type.Enum([422, 429, 500, 503])),
    /** The connection is reset before the request is looked at, or after it was served: then its answer is lost. */
    reset: Type.Optional(Type.Enum(["before", "after"])),
    /**
     * The answer comes so much later; an action begins so much later, and a droplet stays `new`. Ends early when other
     * faults are set.
     */
    delaySeconds: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 })),
    /** The action ends `errored` for this reason. */
    error: Type.Optional(Type.String({ minLength: 1 })),
};

const Fault = Type.Object(
    {
        /** A method and what the whole path matches (`GET /v2/droplets/\d+`), or an action's type: `action create`. */
        on: Type.String({ pattern: "^(GET|POST|PUT|PATCH|DELETE|action) \\S+$" }),
        /** So many go well first; default 0. */
        skip: Type.Optional(Type.Integer({ minimum: 0 })),
        /** So many fail after that; default 1. */
        times: Type.Optional(Type.Integer({ minimum: 1 })),
        /** Header `retry-after` of `status`. */
        retryAfterSeconds: Type.Optional(Type.Integer({ minimum: 0 })),
        ...effects,
    },
    { additionalProperties: false },
);
/** One rule: what fails, when, and how. */
export type Fault = Static<typeof Fault>;

/** A fault, and how many requests or actions it was asked about. */
interface Rule {
    fault: Fault;
    pattern: RegExp;
    seen: number;
}

/**
 * Requests and actions that fail on purpose, for tests of what clients do then. `PUT` of {@link faultsUrl} sets
 * `{"faults": [{@link Fault}, …]}` in place of those before, `GET` shows them with `seen`, the requests and actions
 * that each was asked about. They live in memory only: a restart ends them.
 */
export class Faults {
    #rules: Rule[] = [];
    #replaced = new AbortController();
    /** What becomes of the answers to requests under way. */
    readonly #late = new WeakMap<FastifyRequest, Fault>();

    /** Hooks for all routes that `api` gets afterwards, and the endpoint. */
    serve(api: Api): void {
        api.addHook("onRequest", (request, reply, done) => {
            const fault = this.#take(`${request.method} ${request.url.split("?")[0] ?? ""}`);
            if (fault?.reset === "before") {
                reply.hijack();
                request.raw.socket.resetAndDestroy();
                return;
            }
            if (fault) this.#late.set(request, fault);
            if (fault?.retryAfterSeconds !== undefined)
                void reply.header("retry-after", fault.retryAfterSeconds);
            done(fault?.status && answer(fault.status));
        });
        api.addHook("onSend", async (request) => {
            const fault = this.#late.get(request);
            if (fault?.reset) request.raw.socket.resetAndDestroy();
            await this.#wait(fault);
        });
        api.get(faultsUrl, () => ({ faults: this.#rules.map(({ fault, seen }) => ({ ...fault, seen })) }));
        const schema = { body: Type.Object({ faults: Type.Array(Fault) }) };
        api.put(faultsUrl, { schema, validatorCompiler: TypeBoxValidatorCompiler }, (request, reply) => {
            this.#rules = request.body.faults.map(ruleOf);
            this.#replaced.abort();
            this.#replaced = new AbortController();
            return reply.code(204).send();
        });
    }

    /** Comes before the work of an action of this type; rejects if the action is to fail. */
    async beforeAction(type: string): Promise<void> {
        const fault = this.#take(`action ${type}`);
        await this.#wait(fault);
        if (fault?.error !== undefined) throw new Error(fault.error);
    }

    /** Keeps no process alive that is to end. */
    async #wait(fault: Fault | undefined): Promise<void> {
        const { delaySeconds = 0 } = fault ?? {};
        const { signal } = this.#replaced;
        if (delaySeconds > 0)
            await sleep(delaySeconds * 1000, undefined, { ref: false, signal }).catch(() => undefined);
    }

    /** The first fault whose turn it is. Every rule that matches counts `what`, whichever is taken. */
    #take(what: string): Fault | undefined {
        const due = this.#rules.filter((rule) => {
            if (!rule.pattern.test(what)) return false;
            const { skip = 0, times = 1 } = rule.fault;
            rule.seen++;
            return rule.seen > skip && rule.seen <= skip + times;
        });
        return due[0]?.fault;
    }
}

function answer(status: keyof typeof answers): ApiError {
    const [id, message] = answers[status];
    return new ApiError(status, id, message);
}

function ruleOf(fault: Fault): Rule {
    const { on } = fault;
    const chosen = Object.keys(effects).filter((name) => name in fault);
    const allowed = on.startsWith("action ")
        ? ["delaySeconds", "error"]
        : ["status", "reset", "delaySeconds"];
    if (chosen.length !== 1 || !allowed.includes(chosen[0] ?? "")) {
        const found = chosen.join(", ") || "none";
        throw unprocessable(
            `the fault on "${on}" should have exactly one of ${allowed.join(", ")}, got ${found}`,
        );
    }
    try {
        return { fault, pattern: new RegExp(`^${on}$`), seen: 0 };
    } catch (error) {
        throw unprocessable(`the fault on "${on}" is no regular expression: ${(error as Error).message}`);
    }
}
