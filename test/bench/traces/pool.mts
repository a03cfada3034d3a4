/** A pool of servers in figures: requests come, take slots, wait, give up; servers boot, die, leave. A step is a second. */

/** Load and mishaps by the second. */
export interface Trace {
    name: string;
    seconds: number;
    startMs: number;
    replicas: number;
    max: number;
    /** Requests that come in a second. */
    rate: (second: number) => number;
    /** How long a server works on one. */
    serviceSeconds: (second: number) => number;
    /** Requests a second that what stands behind all servers bears. @default any number */
    behind?: (second: number) => number;
    /** Share of the requests that fail at once. @default 0 */
    failing?: (second: number) => number;
    /** How many servers, the oldest first, die at that second. @default 0 */
    dying?: (second: number) => number;
    /** Nobody gets figures. @default false */
    isBlind?: (second: number) => boolean;
    /** Of ours alone: the others have none. */
    schedule?: { start: string; end: string; timezone: string; min: number }[];
    /** Why ours is not ahead of both, where it is not; or what the figures mean. */
    remark: string;
}

/** Requests that one server works on at the same time. */
export const slots = 8;
/** A visitor who waits longer goes away. */
const patienceSeconds = 30;

interface Server {
    servesFrom: number;
    /** It no longer serves from then on, and is no longer paid from `goneFrom` on. */
    leavesFrom: number;
    goneFrom: number;
    diedAt: number;
}

/** What a pool shows in a second. */
export interface Figures {
    second: number;
    up: number;
    /** In the pool, dead, and not taken out. */
    dead: number;
    /** Requests at the same time, those that wait too. */
    inside: number;
    /** Requests a second. */
    came: number;
    answered: number;
    failed: number;
    /** Mean of all servers that are paid, dead ones too: work that is done over work that could be. */
    cpu: number;
    isBlind: boolean;
}

export class SimulatedPool {
    readonly servers: Server[];
    paidSeconds = 0;
    private waiting = 0;

    constructor(private readonly trace: Trace) {
        this.servers = Array.from({ length: trace.replicas }, () => newServer(0));
    }

    /** @param launchSeconds Until new ones serve. */
    add(count: number, second: number, launchSeconds: number): void {
        for (let i = 0; i < count; i++) this.servers.push(newServer(second + launchSeconds));
    }

    /** The newest first. @param drainSeconds For how long those that leave are still paid. */
    remove(count: number, second: number, drainSeconds: number): void {
        const staying = this.servers.filter(({ leavesFrom }) => leavesFrom > second);
        for (const server of staying.slice(staying.length - count)) {
            server.leavesFrom = second;
            server.goneFrom = second + drainSeconds;
        }
    }

    /** Takes what is dead out. */
    bury(second: number): number {
        const dead = this.servers.filter(({ diedAt, leavesFrom }) => diedAt <= second && leavesFrom > second);
        for (const server of dead) [server.leavesFrom, server.goneFrom] = [second, second];
        return dead.length;
    }

    step(second: number): Figures {
        const { trace } = this;
        this.kill(trace.dying?.(second) ?? 0, second);
        const serving = this.servers.filter(
            ({ servesFrom, leavesFrom }) => servesFrom <= second && leavesFrom > second,
        );
        const up = serving.filter(({ diedAt }) => diedAt > second).length;
        const paid = this.servers.filter(({ goneFrom }) => goneFrom > second).length;
        this.paidSeconds += paid;
        const work = trace.serviceSeconds(second);
        const come = trace.rate(second);
        const failedAtOnce = come * (trace.failing?.(second) ?? 0);
        const there = this.waiting + come - failedAtOnce;
        const answered = Math.min(there, (up * slots) / work, trace.behind?.(second) ?? Infinity);
        const given = (there - answered) / patienceSeconds;
        this.waiting = there - answered - given;
        return {
            ...{ second, up, dead: serving.length - up },
            inside: answered * work + this.waiting,
            ...{ came: come, answered, failed: failedAtOnce + given },
            cpu: serving.length === 0 ? 0 : (answered * work) / (serving.length * slots),
            isBlind: trace.isBlind?.(second) ?? false,
        };
    }

    private kill(count: number, second: number): void {
        const alive = this.servers.filter(
            ({ diedAt, servesFrom, leavesFrom }) =>
                diedAt > second && servesFrom <= second && leavesFrom > second,
        );
        for (const server of alive.slice(0, count)) server.diedAt = second;
    }
}

const newServer = (servesFrom: number): Server => ({
    servesFrom,
    ...{ leavesFrom: Infinity, goneFrom: Infinity, diedAt: Infinity },
});
