/**
 * `make drift`: what of the real world is not as Pulumi last made it. Changes nothing, the state neither.
 *
 * Asks the provider (`pulumi refresh --preview-only`: deleted, edited), the API (switched off; not in the state), and
 * the load balancer over SSH (haproxy.cfg edited by hand). The program does not run: a change of the config that is
 * not applied yet is no drift.
 *
 * Exit 0: no drift. 2: drift. 1: it could not be told.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { configInStdin } from "../components/haproxy-apply";
import { askApi } from "./api";
import { readDeadLocks, readStack, type Stack } from "./doctor-stack";
import {
    type Drift,
    type DriftReport,
    dropletsOf,
    engineDrift,
    exitCode,
    haproxyDrift,
    type LiveDroplet,
    type LiveHaproxy,
    loadBalancerIsAway,
    offDrift,
    orphanDrift,
} from "./drift-model";
import { driftJson, driftMarkdown, driftText } from "./drift-text";
import { readInventory } from "./inventory";
import { judge, knownTo } from "./orphans";
import { readPreviewDocument } from "./preview-json";
import { runOverSsh } from "./ssh";
import { readOutputs } from "./stack";
import { readState, type StackState } from "./state";
import { coloursFor } from "./terminal";

const usage = "make drift STACK=NAME ARGS='[--markdown FILE] [--json FILE] [--quiet]' (FILE - is stdout)";

interface Options {
    stack: string;
    markdown?: string;
    json?: string;
    /** Print nothing for people. */
    quiet: boolean;
}

async function main({ stack: name, markdown, json, quiet }: Options): Promise<number> {
    const stack = await readStack(name, () => Promise.resolve(false));
    // What a run is just making would look like drift.
    await readDeadLocks(stack);
    const report = await examine(stack);
    const write = (file: string | undefined, text: string) => {
        if (file === "-") process.stdout.write(text);
        else if (file !== undefined) writeFileSync(file, text);
    };
    write(markdown, driftMarkdown(report));
    write(json, driftJson(report));
    const colours = coloursFor(process.stdout);
    if (!quiet && markdown !== "-" && json !== "-") process.stdout.write(driftText(report, colours));
    return exitCode(report);
}

/** Each part on its own: one that can't be looked at does not hide what the others find. */
async function examine(stack: Stack): Promise<DriftReport> {
    const state = await readState(stack.name);
    const untold: string[] = [];
    const part = async (what: string, look: () => Promise<Drift[]>): Promise<Drift[]> => {
        try {
            return await look();
        } catch (error) {
            untold.push(`${what}: ${(error as Error).message}`);
            return [];
        }
    };
    const differences = (
        await Promise.all([
            part("what Pulumi made", () => engine(stack.name)),
            part("the account's droplets", async () =>
                offDrift(state, await liveDroplets(state), stack.name),
            ),
            part("what the state does not know", () => orphans(stack, state)),
        ])
    ).flat();
    // Last: where the load balancer is away, nobody needs to hear that it does not answer.
    if (!loadBalancerIsAway(differences))
        differences.push(...(await part("haproxy.cfg", () => haproxy(stack.name, state))));
    return { stack: stack.name, differences, untold };
}

/** https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/ */
async function engine(stack: string): Promise<Drift[]> {
    const { errors, steps } = await readPreviewDocument(["--preview-only", "--stack", stack], "refresh");
    if (errors.length > 0) throw new Error(errors.join("\n"));
    return engineDrift(steps, stack);
}

async function liveDroplets(state: StackState): Promise<LiveDroplet[]> {
    const ids = dropletsOf(state).map(({ id = "" }) => id);
    const answers = await Promise.all(ids.map((id) => askApi(`droplets/${id}`)));
    return answers.flatMap((answer) => (answer ? [(answer as { droplet: LiveDroplet }).droplet] : []));
}

async function orphans({ name, prefix }: Stack, state: StackState): Promise<Drift[]> {
    const inventory = await readInventory(prefix);
    const known = knownTo({ resources: [...state.resources, ...state.leftovers] });
    return orphanDrift(judge({ prefix, inventory, known, inService: new Set(), giveUp: false }), name);
}

async function haproxy(stack: string, state: StackState): Promise<Drift[]> {
    const command = state.resources.find(({ urn }) => urn.endsWith("command:remote:Command::haproxy"));
    if (!command) return [];
    const applied = configInStdin(command.inputs?.stdin);
    if (applied === undefined) throw new Error("the text in the state can't be read");
    return haproxyDrift(applied, await liveHaproxy(stack), stack);
}

/** The file, and what the worker that serves says of itself, as apply-haproxy.sh asks it. */
async function liveHaproxy(stack: string): Promise<LiveHaproxy> {
    const separator = "-- what runs:";
    const ask =
        `cat /etc/haproxy/haproxy.cfg; echo '${separator}'; ` +
        "echo '@1 show info' | socat -t 5 - UNIX-CONNECT:/run/haproxy-master.sock || true";
    const { loadBalancerIp: host, deployKey: privateKey, hostKey } = await readOutputs(stack);
    const [text = "", running = ""] = (await runOverSsh(ask, { host, privateKey, hostKey })).split(
        `${separator}\n`,
    );
    return { text, generation: /^description: gen=([0-9a-f]{16})$/im.exec(running)?.[1] };
}

function readOptions(): Options {
    const { values, positionals } = parseArgs({
        allowPositionals: true,
        options: {
            markdown: { type: "string" },
            json: { type: "string" },
            quiet: { type: "boolean", default: false },
        },
    });
    return { ...values, stack: positionals[0] ?? "dev" };
}

async function run(): Promise<void> {
    process.exitCode = await main(readOptions());
}

run().catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    console.error(`error: ${message}${code?.startsWith("ERR_PARSE_ARGS") ? `\nallowed: ${usage}` : ""}`);
    process.exitCode = 1;
});
