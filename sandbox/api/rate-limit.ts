/** Requests allowed for one token; sliding windows. https://docs.digitalocean.com/reference/api/reference/#rate-limit */
export interface Budget {
    perHour: number;
    perMinute: number;
    /** `GET /v2/account/keys`. */
    keyListsPerMinute: number;
}

export const realBudget: Budget = { perHour: 5000, perMinute: 250, keyListsPerMinute: 10 };

/** What the rate-limit headers say. */
export interface Allowance {
    limit: number;
    remaining: number;
    /** When the oldest request that counts expires, seconds since 1970. */
    resetEpochSeconds: number;
    /** Set if the request is refused. */
    retryAfterSeconds?: number;
}

/** Each request counts until its own time is over; one that is refused does not count. */
export class RateLimiter {
    readonly #budget: Budget;
    readonly #hour: Window;
    readonly #minute: Window;
    readonly #keyLists: Window;

    constructor(budget: Budget) {
        this.#budget = budget;
        this.#hour = new Window(budget.perHour, 3600);
        this.#minute = new Window(budget.perMinute, 60);
        this.#keyLists = new Window(budget.keyListsPerMinute, 60);
    }

    /** Counts one request at `now` (seconds since 1970), or refuses it. */
    take(now: number, isKeyList: boolean): Allowance {
        const windows = [this.#hour, this.#minute, ...(isKeyList ? [this.#keyLists] : [])];
        const retryAfterSeconds = Math.max(...windows.map((window) => window.secondsUntilFree(now)));
        const refused = retryAfterSeconds > 0;
        if (!refused) for (const window of windows) window.add(now);
        return {
            limit: this.#budget.perHour,
            remaining: refused ? 0 : this.#budget.perHour - this.#hour.count,
            resetEpochSeconds: Math.ceil(this.#hour.oldest ?? now) + 3600,
            ...(refused ? { retryAfterSeconds: Math.ceil(retryAfterSeconds) } : {}),
        };
    }
}

class Window {
    readonly #limit: number;
    readonly #seconds: number;
    readonly #times: number[] = [];

    constructor(limit: number, seconds: number) {
        this.#limit = limit;
        this.#seconds = seconds;
    }

    get count(): number {
        return this.#times.length;
    }

    get oldest(): number | undefined {
        return this.#times[0];
    }

    add(now: number): void {
        this.#times.push(now);
    }

    secondsUntilFree(now: number): number {
        while (this.#times[0] !== undefined && this.#times[0] + this.#seconds <= now) this.#times.shift();
        return this.#times.length < this.#limit ? 0 : (this.#times[0] ?? now) + this.#seconds - now;
    }
}
