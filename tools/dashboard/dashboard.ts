import { mask, maskAll } from "../cli/mask";
import { clock, coloursFor, stopOn } from "../cli/terminal";
import { plain } from "../cli/words";
import { eventLine } from "../history/events";
import { FollowedHistory } from "../history/follow";
import type { PoolEvent } from "../live/events";
import { follow } from "../live/follow";
import { readOutputs, type StackOutputs } from "../pulumi/run";
import { autoscaleOf } from "../pulumi/stack-config";
import { Board } from "./board";
import { pageFiles } from "./page";
import { PageServer } from "./server";
import type { About, Messages } from "./view";

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
    const print = quiet ? () => undefined : eventPrinter();
    let told: readonly PoolEvent[] | undefined;
    const tell = () => {
        const { events } = board.story;
        if (events !== told) {
            server.tell(message("events", events));
            print(events);
            told = events;
        }
        server.tell(message("view", board.view()));
    };
    try {
        const ended = history.follow((entries) => {
            board.story.history(entries);
            tell();
        }, stop.signal);
        let known = outputs;
        for await (const { outputs: newest, look } of follow(stack, outputs, everySeconds, stop.signal)) {
            if (newest !== known) board.about = aboutOf(stack, newest);
            known = newest;
            if ("problem" in look) board.story.blind(look);
            else {
                server.tell(message("point", board.look(look)));
                history.saw(look.reading);
            }
            tell();
        }
        await ended;
    } finally {
        await server.close();
    }
}

/** Prints a line for each event that is new, and for each that is over; of what was before, the newest few. */
function eventPrinter(): (events: readonly PoolEvent[]) => void {
    const printed = new Map<string, string>();
    const { red } = coloursFor(process.stdout);
    return (events) => {
        const isFirst = printed.size === 0;
        const fresh = events
            .map((event) => ({ event, line: plain(mask(eventLine(event))) }))
            .filter(({ event, line }) => printed.get(keyOf(event)) !== line);
        for (const { event, line } of fresh) printed.set(keyOf(event), line);
        for (const { event, line } of (isFirst ? fresh.slice(0, shownAtFirst) : fresh).reverse()) {
            const isBad = event.hasFailed ?? (event.kind === "down" && event.endMs === undefined);
            const at = event.endMs ?? event.atMs;
            console.log(`${isFirst ? clockAt(at) : clock()}  ${isBad ? red(line) : line}`);
        }
    };
}

/** How many of the events of before are printed. */
const shownAtFirst = 3;

/** Of one event while it goes on, and when it is over. */
const keyOf = ({ id, endMs }: PoolEvent): string => `${id} ${endMs === undefined}`;

const clockAt = (atMs: number): string => new Date(atMs).toTimeString().slice(0, 8);

function greeting(board: Board): string {
    const { points, story } = board;
    return message("points", points.all()) + message("events", story.events) + message("view", board.view());
}

/** A message of the stream, without secrets. A JSON text has no line break in it. */
function message<Name extends keyof Messages>(name: Name, data: Messages[Name]): string {
    return `event: ${name}\ndata: ${JSON.stringify(maskAll(data))}\n\n`;
}

function aboutOf(stack: string, { url, monthlyCost, servers }: StackOutputs): About {
    return { stack, url, monthlyCost, made: servers.length, autoscale: autoscaleOf(stack) };
}
