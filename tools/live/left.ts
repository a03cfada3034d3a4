/** What is said of the live pool: the same words in every command. */
import { fitsItsMarker } from "./haproxy-check";
import type { Live, LiveDroplet } from "./pool";
import { dollars, some } from "../cli/words";

/** Whether it serves, and what becomes of it: `serves`, `may serve until its successor does`, … */
export function partOf({ serves, leaves, urn, status, isAdminHost }: LiveDroplet): string {
    if (status === "gone") return "gone";
    if (isAdminHost && !leaves) return urn === undefined ? "not in the state, an admin host" : "admin host";
    const word = serves === undefined ? "may serve" : "serves";
    if (urn === undefined) return `not in the state, ${serves === false ? "serves nobody" : word}`;
    if (serves === false) return leaves ? "serves nobody, pending delete" : "waits: gets no request";
    return leaves ? `${word} until its successor does` : word;
}

/** What runs that did not end well left, of droplets that the state knows. */
export interface Left {
    /** They serve, or may, and have a successor: never to be deleted by hand. */
    serving: LiveDroplet[];
    /** They have no successor, and get no request: the next `up` uses them, or replaces them. */
    waiting: LiveDroplet[];
    /** They have a successor, and get no request: nobody will use them again. */
    idle: LiveDroplet[];
}

export function leftOf({ haproxy, droplets }: Pick<Live, "haproxy" | "droplets">): Left {
    const ours = droplets.filter(({ urn }) => urn !== undefined);
    // Who edits haproxy.cfg may have taken a server out; and before anything has served, a droplet waits for nobody.
    const isOurs =
        haproxy !== undefined &&
        !(haproxy instanceof Error) &&
        haproxy.generation !== undefined &&
        fitsItsMarker(haproxy.text);
    const unused = ours.filter(({ serves }) => serves === false);
    return {
        serving: ours.filter(({ leaves, serves }) => leaves && serves !== false),
        waiting: unused.filter((one) => isOurs && !one.leaves && !one.isAdminHost && one.status !== "gone"),
        idle: unused.filter(({ leaves }) => leaves),
    };
}

/** All of it in one sentence, without its full stop; `undefined` where nothing was left. */
export function sayLeft({ serving, waiting, idle }: Left): string | undefined {
    const said = [
        say(serving, (s) => `serve${s} until ${s ? "its successor does" : "their successors do"}`),
        say(waiting, (s) => `wait${s}: ${s ? "it gets" : "they get"} no request`),
        say(idle, (s) => `serve${s} nobody, pending delete`),
    ].filter(Boolean);
    return said.length > 0 ? `a run did not end well: ${said.join("; ")}` : undefined;
}

/** `web-0 (10004) web-1 (10006) wait: they get no request, $12 a month`. */
function say(droplets: readonly LiveDroplet[], what: (s: "s" | "") => string): string {
    if (droplets.length === 0) return "";
    const isSure = droplets.every(({ serves }) => serves !== undefined);
    const names = droplets.map(({ name, id }) => `${name} (${id})`);
    const amount = monthlyCostOf(droplets.filter(({ serves }) => serves === false));
    const cost = amount === 0 ? "" : `, ${dollars(amount)} a month`;
    const verb = what(droplets.length === 1 && isSure ? "s" : "");
    return `${some(names, 10)} ${isSure ? "" : "may "}${verb}${cost}`;
}

/** In USD, of those whose price is known. */
export function monthlyCostOf(droplets: readonly LiveDroplet[]): number {
    return Math.round(droplets.reduce((sum, { monthlyCost = 0 }) => sum + monthlyCost, 0) * 100) / 100;
}

/** What has a successor of the same name. */
export function leftoverName({ name, id }: { name: string; id: string }): string {
    return `the old ${name}${id ? ` (${id})` : ""}`;
}
