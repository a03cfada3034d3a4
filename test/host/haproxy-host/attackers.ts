/**
 * Clients that want to hurt, and one beside them that must not notice. Used inside a test host's network namespace
 * (town.ts), and against the load balancer of a stack.
 */
import * as http from "node:http";
import * as net from "node:net";

/** Where a client connects to, and the source address from which it does. */
export interface Route {
    host: string;
    from: string;
}

/** How an {@link Attack} goes about it. */
export interface Method {
    /** Connections held at the same time: one that is closed is opened again. */
    connections: number;
    /** What is sent first. Default: nothing. */
    first?: string;
    /** What follows every second. Default: nothing. */
    drip?: string;
    /** Never reads what comes back. */
    deaf?: boolean;
    /** What is closed is not opened again. */
    once?: boolean;
}

/** What became of an attack's connections. */
export interface Damage {
    /** Connections that were opened, all in all. */
    opened: number;
    /** Most that were open at the same time. */
    most: number;
    /** Answers by status. */
    answers: Record<string, number>;
    /** Connections that were ended without an answer. */
    unanswered: number;
}

/** 5,000 a second; the kernel queues no more than 4,096. */
const openAtOnce = 100;
const openEveryMs = 20;

/** Holds connections from its construction until {@link stop}. */
export class Attack {
    readonly damage: Damage = { opened: 0, most: 0, answers: {}, unanswered: 0 };
    /** Connections that are open now. */
    open = 0;
    private readonly sockets = new Set<net.Socket>();
    private readonly opening: NodeJS.Timeout;
    private readonly dripping: NodeJS.Timeout;

    constructor(
        private readonly route: Route,
        private readonly method: Method,
    ) {
        const { connections, drip, once } = method;
        let begun = 0;
        const wanted = (): boolean => (once ? begun : this.sockets.size) < connections;
        this.opening = setInterval(() => {
            for (let count = 0; count < openAtOnce && wanted(); count++, begun++) this.connect();
        }, openEveryMs);
        this.dripping = setInterval(() => {
            if (drip) for (const socket of this.sockets) if (!socket.pending) socket.write(drip, "latin1");
        }, 1000);
    }

    stop(): Damage {
        clearInterval(this.opening);
        clearInterval(this.dripping);
        for (const socket of this.sockets) socket.removeAllListeners("close").destroy();
        return this.damage;
    }

    private connect(): void {
        const { first, deaf } = this.method;
        const { host, from } = this.route;
        const socket = net.connect({ host, port: 80, localAddress: from });
        let status: string | undefined;
        this.sockets.add(socket);
        socket.once("connect", () => {
            this.damage.opened++;
            this.damage.most = Math.max(this.damage.most, ++this.open);
            socket.once("close", () => this.open--);
            if (first) socket.write(first, "latin1");
        });
        if (!deaf)
            socket.on("data", (data: Buffer) => {
                status ??= /^HTTP\/1\.1 (\d+)/.exec(data.toString("latin1"))?.[1];
            });
        socket.on("error", () => undefined); // 'close' follows
        socket.on("close", () => {
            this.sockets.delete(socket);
            if (status === undefined) this.damage.unanswered++;
            else this.damage.answers[status] = (this.damage.answers[status] ?? 0) + 1;
        });
    }
}

/** What a second client got. */
export interface Service {
    requests: number;
    /** What was wrong with each answer that was not a 200. */
    failures: string[];
    slowestMs: number;
}

/** Somebody else, who asks all the time: over two kept-alive connections, and over two that are new each time. */
export class SecondClient {
    private readonly service: Service = { requests: 0, failures: [], slowestMs: 0 };
    private readonly loops: Promise<void>[];
    private stopped = false;

    constructor(private readonly route: Route) {
        const kept = (): http.Agent => new http.Agent({ keepAlive: true, maxSockets: 1 });
        this.loops = [kept(), kept(), false as const, false as const].map((agent) => this.ask(agent));
    }

    /** Resolves when the last answer is in. */
    async stop(): Promise<Service> {
        this.stopped = true;
        await Promise.all(this.loops);
        return this.service;
    }

    private async ask(agent: http.Agent | false): Promise<void> {
        const { host, from: localAddress } = this.route;
        while (!this.stopped) {
            const began = performance.now();
            const wrong = await new Promise<string | undefined>((resolve) => {
                const call = http.get({ host, port: 80, localAddress, agent, timeout: 10_000 }, (answer) => {
                    answer.resume();
                    answer.once("error", ({ message }) => {
                        resolve(message);
                    });
                    answer.once("end", () => {
                        resolve(answer.statusCode === 200 ? undefined : `HTTP ${answer.statusCode}`);
                    });
                });
                call.once("timeout", () => call.destroy(new Error("no answer in 10 s")));
                call.once("error", ({ message }) => {
                    resolve(message);
                });
            });
            this.service.requests++;
            this.service.slowestMs = Math.max(this.service.slowestMs, performance.now() - began);
            if (wrong !== undefined) this.service.failures.push(wrong);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        if (agent) agent.destroy();
    }
}
