/** Requests allowed for one token; sliding windows. https://docs.digitalocean.com/reference/api/reference/#rate-limit */
export interface Budget {
    perHour: number;
    perMinute: number;
    /** `GET /v2/account/keys`. */
    keyListsPerMinute: number;
}

export const realBudget: Budget = { perHour: 5000, perMinute: 250, keyListsPerMinute: 10 };

/** So many that nobody waits: for tests that look often, and are about something else. */
export const endlessBudget: Budget = {
    perHour: 1_000_000,
    perMinute: 1_000_000,
    keyListsPerMinute: 1_000_000,
};

/** What the rate-limit headers say. */
export interface Allowance {
    limit: number;
    remaining: number;
    /** When the oldest request that counts expires, seconds since 1970. */
    resetEpochSeconds: number;
    /** Set if the request is refused. */
    retryAfterSeconds?: number;
}

interface Window {
    limit: number;
    seconds: number;
    /** When the requests came that count. */
    times: number[];
}

/** Each request counts until its own time is over; one that is refused does not count. */
export class RateLimiter {
    readonly #hour: Window;
    readonly #minute: Window;
    readonly #keyLists: Window;

    constructor({ perHour, perMinute, keyListsPerMinute }: Budget) {
        this.#hour = { limit: perHour, seconds: 3600, times: [] };
        this.#minute = { limit: perMinute, seconds: 60, times: [] };
        this.#keyLists = { limit: keyListsPerMinute, seconds: 60, times: [] };
    }

    /** Counts one request at `now` (seconds since 1970), or refuses it. */
    take(now: number, isKeyList: boolean): Allowance {
        const windows = [this.#hour, this.#minute, ...(isKeyList ? [this.#keyLists] : [])];
        const waits = windows.map((window) => {
            forget(window, now);
            return window.times.length < window.limit ? 0 : (window.times[0] ?? now) + window.seconds - now;
        });
        const retryAfterSeconds = Math.ceil(Math.max(...waits));
        if (retryAfterSeconds > 0) return { ...this.look(now), remaining: 0, retryAfterSeconds };
        for (const { times } of windows) times.push(now);
        return this.look(now);
    }

    /** What there is at `now`, counting nothing. */
    look(now: number): Allowance {
        forget(this.#hour, now);
        const { limit, times } = this.#hour;
        return {
            limit,
            remaining: limit - times.length,
            resetEpochSeconds: Math.ceil(times[0] ?? now) + 3600,
        };
    }
}

function forget(window: Window, now: number): void {
    window.times = window.times.filter((time) => time + window.seconds > now);
}
