import { setTimeout as sleep } from "node:timers/promises";
import pRetry from "p-retry";

import { messageOf } from "../../plugin.ts";
import { text, type Properties, type Value } from "../values.ts";

/** The official provider's defaults. https://www.pulumi.com/registry/packages/digitalocean/installation-configuration/ */
const RETRIES = 4;
const WAIT_MIN_SECONDS = 1;
const WAIT_MAX_SECONDS = 30;

/** Where the service is, and who asks. */
export interface ClientConfig {
    endpoint: string;
    token: string;
}

/** From the provider's configuration, then the environment. */
export function clientConfig(config: Properties, env: NodeJS.ProcessEnv): ClientConfig {
    const first = (...values: (Value | undefined)[]): string => text(values.find((value) => value));
    const endpoint = first(config.apiEndpoint, env.DIGITALOCEAN_API_URL, "https://api.digitalocean.com");
    if (!URL.canParse(endpoint)) {
        throw new Error(
            `DIGITALOCEAN_API_URL (digitalocean:apiEndpoint) should be a URL, got ${JSON.stringify(endpoint)}`,
        );
    }
    const token = first(config.token, env.DIGITALOCEAN_TOKEN, env.DIGITALOCEAN_ACCESS_TOKEN);
    return { endpoint, token };
}

/** A request that failed; `status` 0: there was no answer. */
export class ApiError extends Error {
    readonly status: number;
    /** What the service asks for, if it does. */
    readonly retryAfterSeconds: number | undefined;

    constructor(message: string, failure: { status?: number; retryAfterSeconds?: number } = {}) {
        super(message);
        this.status = failure.status ?? 0;
        this.retryAfterSeconds = failure.retryAfterSeconds;
    }

    get retryable(): boolean {
        return this.status === 0 || this.status === 429 || (this.status >= 500 && this.status !== 501);
    }
}

/** Seconds before attempt `attempt` + 1: doubling, or what the service asks for. */
export function retryDelaySeconds({ retryAfterSeconds }: ApiError, attempt: number): number {
    return retryAfterSeconds ?? Math.min(WAIT_MAX_SECONDS, WAIT_MIN_SECONDS * 2 ** (attempt - 1));
}

const REQUEST_TIMEOUT_MILLISECONDS = 60_000;

/** DigitalOcean's API v2: https://docs.digitalocean.com/reference/api/ */
export class Client {
    private config: ClientConfig | undefined;

    configure(config: Properties): void {
        this.config = clientConfig(config, process.env);
    }

    get<T>(path: string): Promise<T> {
        return this.request<T>("GET", path);
    }

    post<T>(path: string, body: object): Promise<T> {
        return this.request<T>("POST", path, body);
    }

    put<T>(path: string, body: object): Promise<T> {
        return this.request<T>("PUT", path, body);
    }

    /** As GET, but undefined if there is no such thing. */
    async find<T>(path: string): Promise<T | undefined> {
        return this.get<T>(path).catch(undefinedIfGone);
    }

    /** All items of a list, page by page; `key` is the answer's key with the items in it. */
    async list<T>(path: string, key: string): Promise<T[]> {
        type Page = Record<string, T[]> & { links?: { pages?: { next?: string } } };
        const all: T[] = [];
        for (let page = 1; ; page++) {
            const answer = await this.get<Page>(`${path}?page=${page}&per_page=200`);
            all.push(...(answer[key] ?? []));
            if (answer.links?.pages?.next === undefined) return all;
        }
    }

    /** That there is nothing to delete is no error, unless it `mustExist`. */
    async delete(
        path: string,
        { body, mustExist }: { body?: object; mustExist?: boolean | undefined } = {},
    ): Promise<void> {
        const request = this.request("DELETE", path, body);
        await (mustExist ? request : request.catch(undefinedIfGone));
    }

    private async request<T>(method: string, path: string, body?: object): Promise<T> {
        const config = this.config ?? clientConfig({}, process.env);
        let failures = 0;
        return pRetry(() => send<T>(config, method, path, body), {
            retries: RETRIES,
            minTimeout: 0,
            maxTimeout: 0,
            shouldRetry: ({ error }) => error instanceof ApiError && error.retryable,
            onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
                if (!(error instanceof ApiError) || !error.retryable || retriesLeft === 0) return;
                failures++;
                await sleep(retryDelaySeconds(error, attemptNumber) * 1000);
            },
        }).catch((error: unknown) => {
            if (error instanceof ApiError && failures > 0) {
                error.message += `; giving up after ${failures + 1} attempt(s)`;
            }
            throw error;
        });
    }
}

function undefinedIfGone(error: unknown): undefined {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
}

async function send<T>(
    config: ClientConfig,
    method: string,
    path: string,
    body: object | undefined,
): Promise<T> {
    const url = new URL(path, config.endpoint);
    const exchange = async (): Promise<[Response, string]> => {
        const response = await fetch(url, {
            method,
            headers: {
                accept: "application/json",
                ...(config.token && { authorization: `Bearer ${config.token}` }),
                ...(body && { "content-type": "application/json" }),
            },
            ...(body && { body: JSON.stringify(body) }),
            signal: AbortSignal.timeout(REQUEST_TIMEOUT_MILLISECONDS),
        });
        return [response, await response.text()];
    };
    const [response, answer] = await exchange().catch((error: unknown) => {
        throw connectionError(error, method, url);
    });
    if (!response.ok) throw answerError(response, answer, `${method} ${url.href}`);
    return (answer === "" ? undefined : JSON.parse(answer)) as T;
}

/** In the words of Go's HTTP client, which name no cure: the program does. */
function connectionError(error: unknown, method: string, url: URL): ApiError {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const verb = method.charAt(0) + method.slice(1).toLowerCase();
    const refused = (cause as NodeJS.ErrnoException).code === "ECONNREFUSED";
    const why = refused ? `dial tcp ${url.host}: connect: connection refused` : messageOf(cause);
    const loopback = ["127.0.0.1", "localhost", "[::1]"].includes(url.hostname);
    // Nothing listens on this machine's own port: waiting long won't help.
    return new ApiError(
        `${verb} "${url.href}": ${why}`,
        refused && loopback ? { retryAfterSeconds: 0.25 } : {},
    );
}

/** In the official client's words: `POST URL: 422 (request "ID") MESSAGE`. */
function answerError(response: Response, answer: string, what: string): ApiError {
    const requestId = response.headers.get("x-request-id");
    const request = requestId === null ? "" : ` (request "${requestId}")`;
    // As https://github.com/hashicorp/go-retryablehttp/blob/v0.7.8/client.go does: of these two statuses alone.
    const told = [429, 503].includes(response.status) ? response.headers.get("retry-after") : null;
    const retryAfter = Number(told ?? NaN);
    return new ApiError(`${what}: ${response.status}${request} ${messageIn(answer)}`, {
        status: response.status,
        ...(retryAfter >= 0 && { retryAfterSeconds: retryAfter }),
    });
}

function messageIn(answer: string): string {
    try {
        const { message } = JSON.parse(answer) as { message?: unknown };
        if (typeof message === "string") return message;
    } catch {
        // Not JSON (a proxy's page): shown as it is.
    }
    return answer.slice(0, 500);
}
