/** An answer that is an error: status code, `id` and `message` as the real API words them. */
export class ApiError extends Error {
    readonly statusCode: number;
    readonly id: string;
    /** Set if the real service has this, and only the sandbox lacks it. */
    readonly lacks: string | undefined;

    constructor(statusCode: number, id: string, message: string, lacks?: string) {
        super(message);
        this.statusCode = statusCode;
        this.id = id;
        this.lacks = lacks;
    }
}

/** 400: what was sent can't be read. */
export function badRequest(message: string): ApiError {
    return new ApiError(400, "bad_request", message);
}

/** 422: the request is well formed, but what it asks for cannot be. */
export function unprocessable(message: string): ApiError {
    return new ApiError(422, "unprocessable_entity", message);
}

/** 422 for what the real service would do: refused, rather than left out unsaid. */
export function lacking(what: string, message = `The sandbox has no ${what}.`): ApiError {
    return new ApiError(422, "unprocessable_entity", message, what);
}

/** 404, also for ids that are malformed. */
export function notFound(lacks?: string): ApiError {
    return new ApiError(404, "not_found", "The resource you were accessing could not be found.", lacks);
}

/** `value`, or a 404 if there is none. */
export function found<T>(value: T | undefined): T {
    if (value === undefined) throw notFound();
    return value;
}
