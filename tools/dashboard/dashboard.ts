import { mask, maskAll } from "../cli/mask";
import { clock, coloursFor, stopOn } from "../cli/terminal";
import { plain } from "../cli/words";
import { eventLine } from "../history/events";
import { FollowedHistory } from "../history/follow";
import type { PoolEvent } from "../live/events";
import { follow, type FollowedLook } from "../live/follow";
import { readOutputs, type StackOutputs } from "../pulumi/run";
import { autoscaleOf } from "../pulumi/stack-config";
import { type About, Board } from "./board";
import { pageFiles } from "./page";
import { message, PageServer } from "./server";

export interface DashboardOptions {
    /** 0: any that is free. */
    port: number;
    /** Print nothing but where the page is. @default false */
    quiet?: boolean;
}

/** How often HAProxy is asked, in seconds: half as often as by `make top`, for it may be open all day. */
const everySeconds = 2;

/**
 * Serves a page on loopback that shows a stack's pool over time, live, until it is stopped.
 *
 * @throws Error where there is no such stack, or the port is taken.
 */
export async function dashboard(stack: string, { port, quiet = false }: DashboardOptions): Promise<void> {
    const [outputs, files] = await Promise.all([readOutputs(stack), pageFiles()]);
    const board = new Board(aboutOf(stack, outputs));
    const server = new PageServer(files, () => greeting(board));
    const stop = stopOn("SIGINT", "SIGTERM", "SIGHUP");
    console.log(`${stack}: ${await server.listen(port)}   (Ctrl-C ends it)`);
    const history = new FollowedHistory(stack);
    const teller = new Teller(board, server, quiet);
    try {
        const told = history.follow((entries) => {
            board.story.history(entries);
            teller.tell();
        }, stop.signal);
        let known = outputs;
        for await (const followed of follow(stack, outputs, everySeconds, stop.signal)) {
            const about = followed.outputs === known ? undefined : aboutOf(stack, followed.outputs);
            known = followed.outputs;
            const before = board.newest();
            take(board, followed, server, about);
            if ("reading" in followed.look) history.saw(followed.look.reading, before);
            teller.tell();
        }
        await told;
    } finally {
        await server.close();
    }
}

function take(board: Board, { look }: FollowedLook, server: PageServer, about: About | undefined): void {
    if ("problem" in look) board.story.blind(look);
    else server.tell(message("point", JSON.stringify(board.look(look, about))));
}

/** Tells pages, and the terminal, what is new. */
class Teller {
    private told: readonly PoolEvent[] | undefined;
    private readonly printed = new Map<string, string>();

    constructor(
        private readonly board: Board,
        private readonly server: PageServer,
        private readonly isQuiet: boolean,
    ) {}

    tell(): void {
        const events = this.board.story.events;
        if (events !== this.told) {
            this.server.tell(message("events", json(events)));
            if (!this.isQuiet) this.print(events);
            this.told = events;
        }
        this.server.tell(message("view", json(this.board.view())));
    }

    /** A line for each that is new, and for each that is over; of what was before, the newest few. */
    private print(events: readonly PoolEvent[]): void {
        const { red } = coloursFor(process.stdout);
        const isFirst = this.printed.size === 0;
        const fresh = events
            .map((event) => ({ event, line: plain(mask(eventLine(event))) }))
            .filter(({ event, line }) => this.printed.get(keyOf(event)) !== line);
        for (const { event, line } of fresh) this.printed.set(keyOf(event), line);
        for (const { event, line } of (isFirst ? fresh.slice(0, shownAtFirst) : fresh).reverse()) {
            const isBad = event.hasFailed ?? (event.kind === "down" && event.endMs === undefined);
            const at = event.endMs ?? event.atMs;
            console.log(`${isFirst ? clockAt(at) : clock()}  ${isBad ? red(line) : line}`);
        }
    }
}

/** How many of the events of before are printed. */
const shownAtFirst = 3;

/** Of one event while it goes on, and when it is over. */
const keyOf = ({ id, endMs }: PoolEvent): string => `${id} ${endMs === undefined}`;

const clockAt = (atMs: number): string => new Date(atMs).toTimeString().slice(0, 8);

const json = (value: object): string => JSON.stringify(maskAll(value));

function greeting(board: Board): string {
    return (
        message("points", JSON.stringify(board.allPoints())) +
        message("events", json(board.story.events)) +
        message("view", json(board.view()))
    );
}

function aboutOf(stack: string, { url, monthlyCost, servers }: StackOutputs): About {
    return { stack, url, monthlyCost, servers: servers.length, autoscale: autoscaleOf(stack) };
}
