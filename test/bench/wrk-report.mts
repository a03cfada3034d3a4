/** What became of some requests. */
export interface Counts {
    sent: number;
    /** Failed requests by what was wrong: `status 503`, `ECONNRESET`, `no answer`, … */
    failed: Record<string, number>;
    /** Connections that ended while no request was under way on them: a client can't tell whether it may ask again. */
    idleClosed: number;
    p50Ms: number;
    p99Ms: number;
    maxMs: number;
}

/** What wrk and wrk.lua say of a run. */
export interface WrkReport extends Counts {
    /** When the first and the last wrong answer came, to the second, in ISO 8601. */
    first?: string;
    last?: string;
}

/** The line that wrk.lua prints. */
interface Printed {
    sent: number;
    answered: number;
    connect: number;
    read: number;
    write: number;
    slow: number;
    statuses: Record<string, number>;
    otherPages: number;
    /** Seconds since 1970; 0: none. */
    firstFailure: number;
    lastFailure: number;
    p50Ms: number;
    p99Ms: number;
    maxMs: number;
}

/**
 * Takes wrk.lua's line out of what wrk printed.
 *
 * `no answer`: cut, or not answered long after the last was sent; of the latter wrk itself says nothing. A connection
 * that is refused is tried again at once, without a pause, and counts each time.
 *
 * @throws Error with wrk's own words if there is no such line: wrk did not even start.
 */
export function parseWrk(output: string): WrkReport {
    const line = output.split("\n").find((text) => text.startsWith("{"));
    if (line === undefined) throw new Error(`wrk counted nothing: ${output.trim()}`);
    const said = JSON.parse(line) as Printed;
    const lost = said.sent - said.answered;
    const failed: Record<string, number> = {
        ...Object.fromEntries(
            Object.entries(said.statuses).map(([code, count]) => [`status ${code}`, count]),
        ),
        "another page": said.otherPages,
        "over 10 s": said.slow,
        "no answer": lost,
    };
    const time = (seconds: number) => new Date(seconds * 1000).toISOString();
    return {
        sent: said.sent,
        idleClosed: Math.max(0, said.connect + said.read + said.write - lost),
        failed: Object.fromEntries(Object.entries(failed).filter(([, count]) => count > 0)),
        p50Ms: said.p50Ms,
        p99Ms: said.p99Ms,
        maxMs: said.maxMs,
        ...(said.firstFailure > 0 && { first: time(said.firstFailure), last: time(said.lastFailure) }),
    };
}
