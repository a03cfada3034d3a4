import type { FastifyReply, FastifyRequest } from "fastify";
import type { TSchema } from "typebox";
import { Compile, type Validator } from "typebox/compile";

import { ErrorBody } from "./answers.ts";
import { ApiError } from "./errors.ts";
import type { Api } from "./http.ts";

/** In every answer of the API, also in those that refuse. */
const wholeNumberHeaders = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

/**
 * Holds every answer, as it is sent, against what its route documents (`schema.response`, and {@link ErrorBody} for
 * 4xx and 5xx); one that differs is logged, and a 500 is sent that says where. Always on: it costs a tenth of a
 * millisecond for a droplet, and a sandbox that answers as no DigitalOcean does is of use to nobody.
 */
export function checkAnswers(api: Api, log: (line: string) => void): void {
    // Fastify's own serializer would leave out and convert what does not fit the schema, without a word.
    api.setSerializerCompiler(() => (data) => JSON.stringify(data));
    api.addHook("onRoute", ({ method, url, schema }) => {
        if (url.startsWith("/v2/") && !schema?.response) {
            throw new Error(`${method.toString()} ${url} does not say what it answers: schema.response`);
        }
    });
    api.addHook("onSend", (request, reply, payload, done) => {
        const problem = request.routeOptions.url?.startsWith("/sandbox/")
            ? undefined
            : misfit(request, reply, payload);
        if (problem === undefined) {
            done(null, payload);
            return;
        }
        const { method, routeOptions } = request;
        const where = `${method} ${routeOptions.url ?? "(no route)"} ${reply.statusCode}`;
        log(`${where}: ${undocumented}: ${problem}`);
        done(new ApiError(500, "server_error", `${where}: ${undocumented}: ${problem}`));
    });
}

/** What the log says of an answer that differs; tests look for it. */
export const undocumented = "the sandbox's answer is not as documented";

function misfit(request: FastifyRequest, reply: FastifyReply, payload: unknown): string | undefined {
    const header = wholeNumberHeaders.find((name) => !/^\d+$/.test(String(reply.getHeader(name))));
    if (header !== undefined) return `header ${header} is ${String(reply.getHeader(header))}`;
    const { statusCode } = reply;
    const documented = request.routeOptions.schema?.response as Record<number, TSchema> | undefined;
    const schema = documented?.[statusCode] ?? (statusCode >= 400 ? ErrorBody : undefined);
    if (schema === undefined) return "no such status is documented";
    const body: unknown = typeof payload === "string" && payload !== "" ? JSON.parse(payload) : null;
    const validator = validatorOf(schema);
    if (validator.Check(body)) return undefined;
    return validator
        .Errors(body)
        .map(({ instancePath, message }) => `${instancePath || "the body"} ${message}`)
        .join("; ");
}

const validators = new WeakMap<TSchema, Validator>();

function validatorOf(schema: TSchema): Validator {
    const known = validators.get(schema) ?? Compile(schema);
    validators.set(schema, known);
    return known;
}
