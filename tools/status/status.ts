import Table from "cli-table3";
import type { Colors } from "picocolors/types";
import { isAdminHost } from "../../lib/identity";
import { useAccountOf } from "../live/api";
import { kinds, type ListedDroplet, readDroplets, readTaggedDroplets } from "../live/account";
import { readStack } from "../pulumi/stack";
import { type Live, type LiveDroplet, readLive } from "../live/pool";
import { describeHeartbeat } from "../live/heartbeat";
import type { ServerReading } from "../live/reading";
import { certificateCondition } from "../live/certificate";
import type { Condition } from "../live/condition";
import { contentCondition } from "../live/releases";
import { leftOf, monthlyCostOf, partOf, sayLeft } from "../live/left";
import { mask } from "../cli/mask";
import { dollars } from "../cli/words";
import { readOutputs } from "../pulumi/run";
import { readState, type StackState } from "../pulumi/state";
import { coloursFor } from "../cli/terminal";
import { updatesCondition } from "../live/updates";

/** The servers of a stack, as DigitalOcean and as HAProxy see them. Changes nothing. */
export async function status(name: string): Promise<void> {
    const [outputs, stack, state] = await Promise.all([
        readOutputs(name),
        readStack(name, () => Promise.resolve(false)),
        readState(name),
        useAccountOf(name),
    ]);
    const colours = coloursFor(process.stdout);
    const linesOf = (what: string, condition: Promise<Condition | undefined>): Promise<string[]> =>
        condition.then(
            (found) => (found ? conditionLines(found, colours) : []),
            (error: unknown) => [colours.yellow(`${what}: ${mask((error as Error).message)}`)],
        );
    const [live, ...conditions] = await Promise.all([
        readLive(stack, state, listDroplets(stack.prefix, state)),
        linesOf("certificate", certificateCondition(outputs, name)),
        linesOf("content", contentCondition(outputs, name)),
        linesOf("updates of the load balancer", updatesCondition(outputs, name)),
    ]);
    const table = new Table({ head: columns, style: { head: [], border: [], compact: true } });
    for (const { healthy, cells } of statusRows(live))
        table.push(healthy ? cells : cells.map((cell) => colours.red(cell)));
    const left = leftOf(live);
    const wasted = monthlyCostOf([...left.waiting, ...left.idle]);
    const more = wasted > 0 ? `, and ${dollars(wasted)} for what serves nobody` : "";
    console.log(`${outputs.url}   $${outputs.monthlyCost} a month${more}\n${table.toString()}`);
    const said = sayLeft(left);
    if (said)
        console.log(
            `${said}\nnext: \`make doctor STACK=${name}\` clears what serves nobody, then \`pulumi up\``,
        );
    // An outage is when people look: what the API says is shown all the same.
    const { haproxy } = live;
    if (haproxy instanceof Error) throw haproxy;
    if (haproxy === undefined) throw new Error("no haproxy.cfg has been applied yet: nothing serves");
    if (!haproxy.servers) throw new Error(`HAProxy does not answer: \`make drift STACK=${name}\``);
    for (const line of conditions.flat()) console.log(line);
    const heard = describeHeartbeat(haproxy.heartbeat);
    if (heard) console.log(heard.isAlarming ? colours.yellow(mask(heard.text)) : mask(heard.text));
}

/** What is wrong is yellow. */
export function conditionLines({ said, subject, problems, fix }: Condition, { yellow }: Colors): string[] {
    const wrong = problems.map((problem) => yellow(mask(subject + problem)));
    return [...said, ...wrong, ...(wrong.length > 0 ? [yellow(`  → ${fix}`)] : [])];
}

async function listDroplets(prefix: string, state: StackState): Promise<ListedDroplet[]> {
    const own = [...state.resources, ...state.leftovers].filter(({ type }) => type === kinds.droplet.type);
    if (own.length === 0) return [];
    const tagged = await readTaggedDroplets(prefix, own.some(isAdminHost));
    const isThere = new Set(tagged.map(({ id }) => String(id)));
    // One that somebody took the tag off is not gone.
    return own.every(({ id = "" }) => isThere.has(id)) ? tagged : readDroplets();
}

const columns = [
    "server",
    "droplet",
    "address",
    "size",
    "droplet is",
    "what it does",
    "HAProxy says",
    "requests now",
    "in all",
    "failed",
];

/** The table of `make status`: every droplet of the stack, then servers to which no droplet belongs. */
export function statusRows({ droplets, haproxy }: Live): { healthy: boolean; cells: string[] }[] {
    const servers = haproxy === undefined || haproxy instanceof Error ? [] : (haproxy.servers ?? []);
    const strangers = servers.filter((server) => !droplets.some((droplet) => droplet.haproxy === server));
    return [
        ...droplets.map((droplet) => {
            const { name, id, address, size, status } = droplet;
            const cells = [name, id, address || "-", size, status, partOf(droplet), ...haproxyCells(droplet)];
            return { healthy: isHealthy(droplet), cells };
        }),
        ...strangers.map((server) => ({
            healthy: false,
            cells: [server.name, "?", server.address, "?", "gone", "not in the stack", ...cellsOf(server)],
        })),
    ];
}

function isHealthy({ status, urn, serves, leaves, haproxy, ...of }: LiveDroplet): boolean {
    if (of.isAdminHost) return status === "active" && urn !== undefined && !leaves;
    if (status !== "active" || urn === undefined || leaves || serves !== true) return false;
    return of.isLoadBalancer || haproxy?.isUp === true;
}

function haproxyCells({ haproxy, isLoadBalancer, isAdminHost, serves }: LiveDroplet): string[] {
    if (haproxy) return cellsOf(haproxy);
    if (isLoadBalancer || isAdminHost) return ["-", "-", "-", "-"];
    return serves === undefined ? ["?", "?", "?", "?"] : ["not in service", "-", "-", "-"];
}

function cellsOf({ status, running, requests, failures }: ServerReading): string[] {
    return [status, String(running), String(requests), String(failures)];
}
