/** What the autoscaler knows, and what it decides: plain values, the same for the live pool and for a replayed trace. */

/** One look at the pool. HAProxy's averages are of its last 1,024 requests, whenever those were: they are not used. */
export interface Sample {
    atMs: number;
    /** Requests that servers which are UP work on. */
    running: number;
    /** Requests that wait for a server. */
    queued: number;
    /** Servers that HAProxy calls UP. */
    up: number;
    /** Of those, servers that have only just come up. */
    young: number;
    /** Servers of haproxy.cfg that are not UP. */
    down: number;
    /** Since the look before; `undefined` for the first one of a worker: its counters start at 0 with each reload. */
    requestsPerSecond: number | undefined;
    /** Answers of 5xx and failed connections, likewise. */
    failuresPerSecond: number | undefined;
    /** Mean share of the servers' CPU that is busy, 0 to 1; `undefined`: not asked, or not known. */
    cpu?: number;
}

/** A look that failed, and why. */
export interface Blind {
    atMs: number;
    problem: string;
    /** Visitors get answers all the same; `undefined`: not asked. */
    siteAnswers?: boolean;
}

export type Look = Sample | Blind;

/** What was wanted at a time, before limits and windows. */
export interface Recommendation {
    atMs: number;
    replicas: number;
}

/** What the autoscaler remembers from one look to the next; `--once` keeps it in a file. */
export interface Past {
    /** Oldest first, the one of just now last; as far back as the longest window. */
    looks: readonly Look[];
    /** Of earlier decisions, oldest first, as far back. */
    recommendations: readonly Recommendation[];
    /** The last change of `replicas`, by whomever. What a person did holds for a window against all that is measured. */
    changed?: {
        /** When it ended. */
        atMs: number;
        from: number;
        to: number;
        byPerson?: boolean;
        /** Requests a second that were answered before its servers served. @default what the looks say, while they reach so far */
        answered?: number;
    };
    /** Changes in a row that did not end well; 0 after one that did, and after a person changed the config. */
    failures: number;
    /** When the last of them ended. */
    failedAtMs?: number;
}

/** How the pool is just now. */
export interface Pool {
    /** In the stack's config. */
    replicas: number;
    /** Why nothing may be changed now: another run, a roll-out (`hold`), something half done; `undefined`: it may. */
    occupied?: string;
}

export interface Decision {
    /** What `replicas` is to be; the same as it is, if nothing is to be done. */
    replicas: number;
    action: "out" | "in" | "none";
    /** One sentence without a full stop: `busy 0.90 of 0.60 (60 s mean): 3 servers bear 2/3 of it`. */
    reason: string;
    /** Something is wrong that a person should know: no metrics, launches that fail. */
    alarming?: boolean;
    /** To be remembered: what the metrics want, whether or not it is done. `undefined`: nobody knows. */
    recommendation?: Recommendation;
}

/** What the autoscaler changes in a stack's config, and nothing else. */
export type ConfigChange = {
    replicas?: number;
    retired?: readonly number[];
    loadBalancerGeneration?: string;
};

/** What a {@link ConfigChange} may change, as the config has it. */
export type WholeConfig = Required<ConfigChange>;
