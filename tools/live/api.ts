import { setTimeout as sleep } from "node:timers/promises";
import { missingScope } from "../../account/token-scopes";
import { readConfig } from "../pulumi/stack";

/** Waits before another try, in seconds: a busy or failing API gets a quarter of a minute. */
const retrySeconds = [1, 2, 4, 8];
/** The most that a list gives at once. https://docs.digitalocean.com/reference/api/reference/#links--pagination */
const perPage = 200;
/** How long a deletion may have to wait for what is under way: a droplet is made, or leaves its VPC, in less. */
const pendingSeconds = 60;

/**
 * From now on requests go where the stack's resources are: a `digitalocean:token` or `digitalocean:apiEndpoint` of its
 * config goes before the environment, as it does for the provider. They are put into this process's environment, for
 * what it starts (a refresh asks with the environment's) and what masks secrets.
 *
 * @throws Error in pulumi's words where there is no such stack, or its config can't be read.
 */
export async function useAccountOf(stack: string): Promise<void> {
    const { "digitalocean:token": token, "digitalocean:apiEndpoint": endpoint } = await readConfig(stack);
    if (token?.value) process.env.DIGITALOCEAN_TOKEN = token.value;
    if (endpoint?.value) process.env.DIGITALOCEAN_API_URL = endpoint.value;
}

export class ApiRefusal extends Error {
    constructor(
        readonly status: number,
        message: string,
    ) {
        super(message);
    }
}

/**
 * A GET of DigitalOcean's API (DIGITALOCEAN_API_URL for another one) with DIGITALOCEAN_TOKEN; see
 * {@link useAccountOf} for a stack's own.
 *
 * @returns The body; `undefined` if there is no such thing (404).
 * @throws ApiRefusal if it refuses; Error if it does not answer within 10 s.
 */
export function askApi(resource: string): Promise<unknown> {
    return request("GET", resource);
}

/** All pages of a list. */
export async function listAll<T>(resource: string, key: string): Promise<T[]> {
    const all: T[] = [];
    for (let page = 1; ; page++) {
        const query = `${resource.includes("?") ? "&" : "?"}page=${page}&per_page=${perPage}`;
        const body = (await askApi(resource + query)) as
            | (Record<string, T[] | undefined> & { links?: { pages?: { next?: string } } })
            | undefined;
        all.push(...(body?.[key] ?? []));
        if (!body?.links?.pages?.next) return all;
    }
}

/** How many droplets the account may have, and how many it has. @throws as {@link askApi} */
export async function readDropletRoom(): Promise<{ limit: number; existing: number }> {
    const [{ account }, { meta }] = (await Promise.all([
        askApi("account"),
        askApi("droplets?per_page=1"),
    ])) as [{ account: { droplet_limit: number } }, { meta: { total: number } }];
    return { limit: account.droplet_limit, existing: meta.total };
}

/**
 * Deletes; what is gone already is fine.
 *
 * @param pending Statuses that only mean "not yet": such a request is made again for so many seconds.
 */
export async function deleteFromApi(
    resource: string,
    pending: readonly number[],
    seconds = pendingSeconds,
): Promise<void> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
        try {
            await request("DELETE", resource);
            return;
        } catch (error) {
            const notYet = error instanceof ApiRefusal && pending.includes(error.status);
            if (!notYet || Date.now() > deadline) throw error;
            await sleep(1000);
        }
    }
}

/** Makes something. Never made again after an answer that did not come: it may have been made. */
export function postToApi(resource: string, body: object): Promise<unknown> {
    return request("POST", resource, body);
}

async function request(method: "GET" | "DELETE" | "POST", resource: string, body?: object): Promise<unknown> {
    for (let tries = 0; ; tries++) {
        const answer = await send(method, resource, body);
        if (answer?.status === 404 && method !== "POST") return undefined;
        if (answer?.ok) return answer.status === 204 ? undefined : answer.json();
        const isUnsure = answer === undefined || answer.status >= 500;
        const isWorthIt = answer?.status === 429 || (isUnsure && method !== "POST");
        const seconds = retrySeconds[tries];
        if (!isWorthIt || seconds === undefined) throw await refusal(method, resource, answer);
        // https://docs.digitalocean.com/reference/api/reference/#rate-limit
        const asked = Number(answer?.headers.get("retry-after")) || 0;
        await sleep(1000 * Math.min(60, Math.max(seconds, asked)));
    }
}

export const apiAddress = (): string => process.env.DIGITALOCEAN_API_URL ?? "https://api.digitalocean.com";

/** `undefined`: there is none in the environment. */
export const apiToken = (): string | undefined =>
    process.env.DIGITALOCEAN_TOKEN ?? process.env.DIGITALOCEAN_ACCESS_TOKEN;

/** `undefined` where the connection ended before the answer: worth another try, unlike one that is refused. */
async function send(method: string, resource: string, body?: object): Promise<Response | undefined> {
    const token = apiToken();
    if (!token)
        throw new Error(
            "there is no DIGITALOCEAN_TOKEN in the environment, and no digitalocean:token in the stack's config: set " +
                "one of them to a token of the stack's account",
        );
    try {
        return await fetch(`${apiAddress()}/v2/${resource}`, {
            method,
            headers: {
                authorization: `Bearer ${token}`,
                ...(body && { "content-type": "application/json" }),
            },
            ...(body && { body: JSON.stringify(body) }),
            signal: AbortSignal.timeout(10_000),
        });
    } catch (error) {
        const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
        if (cause?.code === "ECONNRESET" || cause?.code === "UND_ERR_SOCKET") return undefined;
        throw new Error(
            `${apiAddress()} does not answer: ${cause?.message ?? message} (\`make up\` starts the local one)`,
            { cause: error },
        );
    }
}

async function refusal(method: string, resource: string, answer: Response | undefined): Promise<Error> {
    if (answer === undefined) return new Error(`${apiAddress()} does not answer: it cuts every connection`);
    const what = method === "GET" ? resource : `${method} ${resource}`;
    const scope = answer.status === 403 ? `; ${missingScope(method, resource)}` : "";
    const words = `the API answered ${answer.status} for ${what}: ${await answer.text()}${scope}`;
    return new ApiRefusal(answer.status, words);
}
