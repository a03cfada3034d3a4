import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Command } from "commander";
import { execa, ExecaError } from "execa";
import { authorityOf, openDomain } from "./domain.ts";
import { prepareHost } from "./droplets/prepare.ts";
import { quote, requireLinuxRoot } from "./host.ts";
import { type Instance, instance } from "./instance.ts";
import { findEngine } from "./offline-engine/engine.ts";
import { powerOnDroplets } from "./power-on.ts";
import { purgeSandbox, startSandbox } from "./process.ts";
import { type Progress, progress } from "./progress.ts";
import { projectFolder, pulumi, type Pulumi, stackEnvironment, stateBackend } from "./stack.ts";

/** The stack whose config is committed; the sandbox is its cloud. */
const stack = "dev";
/** The API's port on loopback: fixed, so that `make env` stays right after a restart. */
const port = 18_080;

const dev = instance({
    name: stack,
    index: 0,
    stateDir: path.join(projectFolder, ".sandbox/dev"),
    kind: "nspawn",
});
/** Without machines: for `make preview`. */
const previewOnly = instance({
    name: "preview",
    index: 0,
    stateDir: path.join(projectFolder, ".sandbox/preview"),
    kind: "loopback",
});
/** PULUMI_HOME of both. */
const home = path.join(dev.stateDir, "pulumi-home");
const environmentFile = path.join(dev.stateDir, "environment.json");

async function up(say: Progress, quiet: boolean): Promise<void> {
    requireLinuxRoot();
    const [engine] = await Promise.all([
        say.step("Pulumi engine", () => findEngine({ home, log: say.log })),
        say.step("Debian 12 for droplets, and packages for them", () => prepareHost(say)),
    ]);
    say.log(`engine: ${engine.description}`);
    const sandbox = await say.step("local DigitalOcean", () => startSandbox(dev, { port }));
    const env = stackEnvironment(dev, engine, sandbox);
    await writeFile(environmentFile, JSON.stringify(env), { mode: 0o600 });
    const { run, read } = pulumi(env);
    await selectStack(dev, read);
    await consultDoctor(env, quiet);
    const off = await powerOnDroplets(sandbox);
    if (off.length > 0) say.log(`switched on what was off: ${off.join(", ")}`);
    await say.step("pulumi up", async () => {
        await (quiet ? read : run)("up", "--yes", "--skip-preview", "--stack", stack);
    });
    const outputs = JSON.parse(await read("stack", "output", "--json", "--stack", stack)) as Outputs;
    process.stdout.write(summary(outputs));
}

interface Outputs {
    url: string;
    monthlyCost: number;
    servers: { name: string; dropletId: string; privateIp: string }[];
}

function summary({ url, monthlyCost, servers }: Outputs): string {
    const rows = servers.map(
        ({ name, dropletId, privateIp }) => `  ${name}  droplet ${dropletId}  ${privateIp}`,
    );
    const next = [
        [`curl ${url}`, "a page from one of the servers; again: from another"],
        ["make status", "the servers as HAProxy sees them"],
        [
            'eval "$(make -s env)"',
            "then scale: pulumi config set replicas 5 && pulumi preview --diff && pulumi up",
        ],
    ].map(([command = "", what = ""]) => `  ${command.padEnd(28)}  ${what}`);
    return `
${url}   (would cost $${monthlyCost} a month on DigitalOcean)
${rows.join("\n")}

Next:
${next.join("\n")}
`;
}

/** The real preview of the dev stack, as if nothing had been made yet. */
async function preview(say: Progress): Promise<void> {
    const engine = await findEngine({ home, log: say.log });
    say.log(`engine: ${engine.description}`);
    const sandbox = await startSandbox(previewOnly, { port: 0 });
    try {
        const { run, read } = pulumi(stackEnvironment(previewOnly, engine, sandbox));
        await selectStack(previewOnly, read);
        await run("preview", "--diff", "--stack", stack);
    } finally {
        await purgeSandbox(previewOnly);
    }
}

/** Prints `export` lines for a shell. */
async function environment(): Promise<void> {
    const env = await savedEnvironment();
    // PATH holds what stood before it when `make up` ran; only what we put first is wanted.
    const lines = Object.entries(env).map(([key, value]) =>
        key === "PATH"
            ? `export PATH=${quote(value.split(":")[0] ?? "")}:"$PATH"`
            : `export ${key}=${quote(value)}`,
    );
    process.stdout.write(`${lines.join("\n")}\n`);
}

/** A name for the stack, in the account of the local DigitalOcean. */
async function domain(say: Progress, _quiet: boolean, name = ""): Promise<void> {
    requireLinuxRoot();
    await savedEnvironment();
    const sandbox = await say.step("local DigitalOcean", () => startSandbox(dev, { port }));
    process.stdout.write(await openDomain(dev, sandbox, name.toLowerCase(), () => authorityOf(dev, say)));
}

async function down(say: Progress, quiet: boolean): Promise<void> {
    requireLinuxRoot();
    const env = await savedEnvironment().catch(() => undefined);
    if (env) {
        await say.step("local DigitalOcean", () => startSandbox(dev, { port }));
        const { run, read } = pulumi(env);
        // An `up` that was stopped early may have made none yet.
        await selectStack(dev, read);
        try {
            await consultDoctor(env, quiet);
            await say.step("pulumi destroy", async () => {
                // With --refresh it ends well whatever is gone already.
                await (quiet ? read : run)(
                    "destroy",
                    "--yes",
                    "--skip-preview",
                    "--refresh",
                    "--stack",
                    stack,
                );
            });
        } catch (error) {
            if (!(error instanceof ExecaError)) throw error;
            say.log("pulumi destroy did not end well; what it left goes with the local DigitalOcean");
        }
    }
    await say.step("removing the local DigitalOcean", () => purgeSandbox(dev));
    await rm(path.join(projectFolder, ".sandbox"), { recursive: true, force: true });
}

/**
 * Clears what a killed run left, which would fail the next one: nobody else runs pulumi on this stack. What serves and
 * stays is no reason to stop.
 */
async function consultDoctor(env: Record<string, string>, quiet: boolean): Promise<void> {
    const tsx = ["--import", import.meta.resolve("tsx")];
    const options = [stack, "--yes", "--killed", ...(quiet ? ["--quiet"] : [])];
    try {
        // The result of `make up` alone goes to stdout.
        const output = { stdin: "ignore", stdout: process.stderr } as const;
        await execa(process.execPath, [...tsx, "tools/main.ts", "doctor", ...options], {
            cwd: projectFolder,
            env,
            ...output,
        });
    } catch (error) {
        if (!(error instanceof ExecaError) || error.exitCode !== 2) throw error;
        process.stderr.write(`${String(error.stderr)}\n`);
    }
}

async function savedEnvironment(): Promise<Record<string, string>> {
    try {
        return JSON.parse(await readFile(environmentFile, "utf8")) as Record<string, string>;
    } catch {
        throw new Error("there is no sandbox here yet: `make up` makes one");
    }
}

async function selectStack(where: Instance, read: Pulumi["read"]): Promise<void> {
    await mkdir(stateBackend(where), { recursive: true, mode: 0o700 });
    await read("stack", "select", "--create", stack);
}

/** Runs a command, which may take one argument; what went wrong is said in its own words, without a stack trace. */
function command(
    name: string,
    description: string,
    action: (say: Progress, quiet: boolean, argument?: string) => Promise<void>,
): void {
    program
        .command(name)
        .description(description)
        .option("-q, --quiet", "say nothing but errors and the result", false)
        .action(async (...given: unknown[]) => {
            const [first] = given;
            const { quiet } = given.at(-2) as { quiet: boolean };
            try {
                await action(progress({ quiet }), quiet, typeof first === "string" ? first : undefined);
            } catch (error) {
                // pulumi's own output, unless it went to the terminal, is the whole story.
                const text =
                    error instanceof ExecaError
                        ? [error.stdout, error.stderr].filter(Boolean).join("\n")
                        : "";
                process.stderr.write(`error: ${text.replace(/^error: /, "") || (error as Error).message}\n`);
                process.exitCode = 1;
            }
        });
}

const program = new Command("dropscale").description("The dev stack in a DigitalOcean on this machine");
command("up", "make the local DigitalOcean and deploy the dev stack to it", up);
command("down", "destroy the dev stack and remove the local DigitalOcean", down);
command("preview", "show what a first `pulumi up` would do; no root, no machines", preview);
command("env", "print export lines for one's own pulumi commands", environment);
command("domain <name>", "make a domain in the local DigitalOcean, and say how to reach its names", domain);
await program.parseAsync();
