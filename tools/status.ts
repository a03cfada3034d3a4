/**
 * `make status`: the servers of a stack, as DigitalOcean and as HAProxy see them.
 *
 * Reads the stack's outputs with `pulumi`, the droplets from the API (DIGITALOCEAN_TOKEN), and HAProxy's own
 * statistics and what apt has to install over SSH with the stack's deploy key. Changes nothing.
 */
import Table from "cli-table3";
import type { Colors } from "picocolors/types";
import { useAccountOf } from "./api";
import { readStack } from "./doctor-stack";
import { readDroplets, readTaggedDroplets } from "./inventory";
import { mask } from "./mask";
import { readHaproxy, readOutputs } from "./stack";
import { type DropletFacts, statusRows } from "./status-rows";
import { coloursFor } from "./terminal";
import { describeUpdates, readUpdates, takeUpdates, type Updates } from "./updates";

async function main(name: string): Promise<void> {
    useAccountOf(name);
    const [outputs, { prefix }] = await Promise.all([
        readOutputs(name),
        readStack(name, () => Promise.resolve(false)),
    ]);
    const [droplets, haproxy, updates] = await Promise.all([
        findDroplets(
            prefix,
            outputs.servers.map(({ dropletId }) => dropletId),
        ),
        // An outage is when people look: what the API says is shown all the same.
        readHaproxy(outputs).catch((error: unknown) => error as Error),
        readUpdates(outputs).catch((error: unknown) => error as Error),
    ]);
    const colours = coloursFor(process.stdout);
    const table = new Table({
        head: [
            "server",
            "droplet",
            "address",
            "size",
            "droplet is",
            "HAProxy says",
            "requests now",
            "in all",
            "failed",
        ],
        style: { head: [], border: [], compact: true },
    });
    const seen = haproxy instanceof Error ? undefined : haproxy;
    for (const { healthy, cells } of statusRows(outputs.servers, droplets, seen)) {
        table.push(healthy ? cells : cells.map((cell) => colours.red(cell)));
    }
    console.log(`${outputs.url}   $${outputs.monthlyCost} a month\n${table.toString()}`);
    if (haproxy instanceof Error) throw haproxy;
    console.log(updatesLine(updates, name, colours));
}

function updatesLine(updates: Updates | Error, stack: string, { yellow }: Colors): string {
    if (updates instanceof Error) return yellow(`updates of the load balancer: ${mask(updates.message)}`);
    const says = describeUpdates(updates);
    return says === undefined
        ? "the load balancer has all updates"
        : yellow(`the load balancer ${says}\n  → ${takeUpdates(updates, stack)}`);
}

/** Size and state of each droplet, in the same order; `undefined` for one that is gone. */
async function findDroplets(prefix: string, ids: readonly string[]): Promise<(DropletFacts | undefined)[]> {
    if (ids.length === 0) return [];
    const tagged = await readTaggedDroplets(prefix);
    const isThere = new Set(tagged.map(({ id }) => String(id)));
    // One that somebody took the tag off is not gone.
    const all = ids.every((id) => isThere.has(id)) ? tagged : await readDroplets();
    const facts = new Map(all.map(({ id, size_slug: size, status }) => [String(id), { size, status }]));
    return ids.map((id) => facts.get(id));
}

main(process.argv[2] ?? "dev").catch((error: unknown) => {
    console.error(`error: ${mask((error as Error).message)}`);
    process.exitCode = 1;
});
