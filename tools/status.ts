/**
 * `make status`: the servers of a stack, as DigitalOcean and as HAProxy see them.
 *
 * Reads the stack's outputs with `pulumi`, the droplets from the API (DIGITALOCEAN_TOKEN), and HAProxy's own
 * statistics over SSH with the stack's deploy key. Changes nothing.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import Table from "cli-table3";
import pc from "picocolors";
import {
    type DropletFacts,
    type HaproxyServer,
    parseStatistics,
    type StackServer,
    statusRows,
} from "./status-rows";
import { runOverSsh } from "./ssh";

interface StackOutputs {
    url: string;
    loadBalancerIp: string;
    monthlyCost: number;
    deployKey: string;
    hostKey: string;
    servers: StackServer[];
}

async function main(stack: string): Promise<void> {
    const outputs = await readOutputs(stack);
    const [droplets, haproxy] = await Promise.all([
        Promise.all(outputs.servers.map(({ dropletId }) => readDroplet(dropletId))),
        // An outage is when people look: what the API says is shown all the same.
        readHaproxy(outputs).catch((error: unknown) => error as Error),
    ]);
    const colours = pc.createColors(pc.isColorSupported && process.stdout.isTTY);
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

async function readOutputs(stack: string): Promise<StackOutputs> {
    const options = ["stack", "output", "--json", "--show-secrets", "--non-interactive", "--stack", stack];
    const { stdout } = await promisify(execFile)("pulumi", options).catch((error: unknown) => {
        const { code, stderr } = error as { code?: unknown; stderr?: string };
        if (code === "ENOENT")
            throw new Error("there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/");
        throw stderr ? new Error(stderr.trim().replace(/^error: /, "")) : error;
    });
    const outputs = JSON.parse(stdout) as Partial<StackOutputs>;
    if (!outputs.deployKey) throw new Error(`stack ${stack} has no outputs yet: \`pulumi up\` makes them`);
    return outputs as StackOutputs;
}

/** A droplet's size and state; `undefined` if it is gone. */
async function readDroplet(id: string): Promise<DropletFacts | undefined> {
    const base = process.env.DIGITALOCEAN_API_URL ?? "https://api.digitalocean.com";
    const token = process.env.DIGITALOCEAN_TOKEN ?? process.env.DIGITALOCEAN_ACCESS_TOKEN ?? "";
    const answer = await fetch(`${base}/v2/droplets/${id}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(10_000),
    }).catch((error: unknown) => {
        const { message, cause } = error as Error;
        const reason = cause instanceof Error ? cause.message : message;
        throw new Error(`${base} does not answer: ${reason} (\`make up\` starts the local one)`);
    });
    if (answer.status === 404) return undefined;
    if (!answer.ok)
        throw new Error(`the API answered ${answer.status} for droplet ${id}: ${await answer.text()}`);
    const { droplet } = (await answer.json()) as { droplet: { size_slug: string; status: string } };
    return { size: droplet.size_slug, status: droplet.status };
}

async function readHaproxy(outputs: StackOutputs): Promise<HaproxyServer[]> {
    const json = await runOverSsh("echo 'show stat json' | socat - /run/haproxy/admin.sock", {
        host: outputs.loadBalancerIp,
        privateKey: outputs.deployKey,
        hostKey: outputs.hostKey,
    });
    return parseStatistics(json);
}

main(process.argv[2] ?? "dev").catch((error: unknown) => {
    console.error(`error: ${(error as Error).message}`);
    process.exitCode = 1;
});
