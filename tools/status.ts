/**
 * `make status`: the servers of a stack, as DigitalOcean and as HAProxy see them.
 *
 * Reads the stack's outputs with `pulumi`, the droplets from the API (DIGITALOCEAN_TOKEN), and HAProxy's own
 * statistics over SSH with the stack's deploy key. Changes nothing.
 */
import Table from "cli-table3";
import { askApi } from "./api";
import { readHaproxy, readOutputs } from "./stack";
import { type DropletFacts, statusRows } from "./status-rows";
import { coloursFor } from "./terminal";

async function main(stack: string): Promise<void> {
    const outputs = await readOutputs(stack);
    const [droplets, haproxy] = await Promise.all([
        Promise.all(outputs.servers.map(({ dropletId }) => readDroplet(dropletId))),
        // An outage is when people look: what the API says is shown all the same.
        readHaproxy(outputs).catch((error: unknown) => error as Error),
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
}

/** A droplet's size and state; `undefined` if it is gone. */
async function readDroplet(id: string): Promise<DropletFacts | undefined> {
    const answer = (await askApi(`droplets/${id}`)) as
        { droplet: { size_slug: string; status: string } } | undefined;
    return answer && { size: answer.droplet.size_slug, status: answer.droplet.status };
}

main(process.argv[2] ?? "dev").catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
