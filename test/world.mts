import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { undocumented } from "../sandbox/api/answer-check.ts";
import { bundle } from "../sandbox/bundle.ts";
import { claimIndex } from "../sandbox/claim-index.ts";
import { prepareHost } from "../sandbox/droplets/prepare.ts";
import { type Instance, instance } from "../sandbox/instance.ts";
import { findEngine } from "../sandbox/offline-engine/engine.ts";
import { type AccountOptions, purgeSandbox, type RunningSandbox, startSandbox } from "../sandbox/process.ts";
import { stackEnvironment, stateBackend } from "../sandbox/stack.ts";

const root = path.resolve(import.meta.dirname, "..");
const program = ["Pulumi.yaml", "package.json", "tsconfig.json", "index.ts"];

/** What a command printed, and how it ended. */
export interface Outcome {
    code: number;
    stdout: string;
    /** stdout and stderr, one after the other. */
    text: string;
}

/** A command that is under way. */
export interface Running {
    pid: number;
    /** stdout until now. */
    printed: () => string;
    isRunning: () => boolean;
    /** Nobody reads any more, as when its terminal is closed. */
    hangUp: () => void;
    ended: Promise<Outcome>;
}

/** A stack of the program. */
export interface Stack {
    /** Changes the stack's config; `undefined` takes a key out. */
    configure: (changes: Record<string, unknown>) => Promise<void>;
    /** Sets a key to a secret; it is on no command line. */
    configureSecret: (key: string, value: string) => Promise<void>;
    /** Runs `pulumi` on the stack, without a terminal. */
    pulumi: (args: string[], env?: Record<string, string>) => Promise<Outcome>;
    /** The same, but as a process that the caller may kill. */
    startPulumi: (args: string[], env?: Record<string, string>) => Running;
    /** The stack's outputs, secrets in plain text. */
    outputs: () => Promise<Outputs>;
}

/** A sandbox of the test's own, with a copy of the program, its stack `test`, and the real engine to run it. */
export interface World extends Stack {
    instance: Instance;
    sandbox: RunningSandbox;
    /** The copy of the program: a test may edit it. */
    folder: string;
    /** Makes another stack of the program in the same account. */
    addStack: (name: string, config?: Record<string, unknown>) => Promise<Stack>;
    /** What {@link pulumi} runs in: `make env`'s, and this process's own. */
    env: NodeJS.ProcessEnv;
    /** Runs one of the commands of tools/main.ts in the environment of `make env`. */
    tool: (name: string, args: string[], env?: Record<string, string>) => Promise<Outcome>;
    /** GET of the API, its body; waits where the rate limit says so. */
    api: (path: string) => Promise<Record<string, unknown>>;
    /** Removes all of it; rejects if an answer of the sandbox was not as documented. */
    close: () => Promise<void>;
}

export interface Outputs {
    url: string;
    certificate?: { names: string[]; issuer: string; fingerprint: string };
    loadBalancerIp: string;
    servers: { name: string; slot: number; dropletId: string; privateIp: string }[];
    monthlyCost: number;
    deployKey: string;
    hostKey: string;
}

/**
 * @param kind `nspawn` boots droplets and needs root on Linux; `loopback` has none.
 * @param config The stack's config; `adminCidrs` is this machine's, unless given.
 */
export async function makeWorld(
    kind: Instance["kind"],
    config: Record<string, unknown> = {},
    options: AccountOptions = {},
): Promise<World> {
    const temporary = freeFolder("world");
    const claim = kind === "nspawn" ? await claimIndex() : { index: 0, release: () => Promise.resolve() };
    const where = instance({
        name: "test",
        index: claim.index,
        stateDir: path.join(temporary, "sandbox"),
        kind,
    });
    const close = async () => {
        const log = await readFile(path.join(where.stateDir, "sandbox.log"), "utf8").catch(() => "");
        await purgeSandbox(where);
        rmSync(temporary, { recursive: true, force: true });
        await claim.release();
        const wrong = log.split("\n").filter((line) => line.includes(undocumented));
        if (wrong.length > 0) throw new Error(wrong.join("\n"));
    };
    try {
        return await worldIn(temporary, where, config, options, close);
    } catch (error) {
        await close();
        throw error;
    }
}

/**
 * A new folder, named by the lowest free number, so that names are reused: the SDK caches the compiled program by its path,
 * and compiling it afresh is more than half of a first preview.
 */
export function freeFolder(what: "world" | "runner"): string {
    for (let number = 0; ; number++)
        try {
            const folder = path.join(tmpdir(), `dropscale-${what}-${number}`);
            mkdirSync(folder, { mode: 0o700 });
            return folder;
        } catch (error) {
            if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        }
}

async function worldIn(
    temporary: string,
    where: Instance,
    config: Record<string, unknown>,
    options: AccountOptions,
    close: World["close"],
): Promise<World> {
    if (where.kind === "nspawn") await prepareHost({ log: console.error });
    const engine = await findEngine({ home: path.join(temporary, "pulumi"), log: console.error });
    const sandbox = await startSandbox(where, { port: 0, ...options });
    await mkdir(stateBackend(where), { recursive: true });

    const folder = path.join(temporary, "program");
    for (const name of program) cpSync(path.join(root, name), path.join(folder, name));
    for (const name of ["account", "components", "config", "lib", "userdata"])
        cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));

    const env = { ...process.env, ...stackEnvironment(where, engine, sandbox) };
    // What the autoscaler remembers: of this world alone.
    env.XDG_STATE_HOME = path.join(temporary, "memory");
    env.PATH = `${path.join(root, "node_modules/.bin")}:${env.PATH}`;
    const adminCidrs = [`${where.addresses.uplinkHost}/32`];
    const addStack: World["addStack"] = (name, more) =>
        initStack(name, { folder, env, backend: stateBackend(where) }, { adminCidrs, ...more });
    return {
        instance: where,
        sandbox,
        folder,
        ...(await addStack("test", config)),
        addStack,
        env,
        tool: async (name, args, more = {}) => {
            // Some tests lead its SSH elsewhere: lead-ssh.cjs.
            const command = [await bundle(path.join(root, "tools/main.ts"), ["ssh2"]), name, ...args];
            return start(process.execPath, command, { cwd: folder, env: { ...env, ...more } }).ended;
        },
        api: async (resource) => {
            const headers = { authorization: `Bearer ${sandbox.token}` };
            for (;;) {
                const answer = await fetch(`${sandbox.url}/v2/${resource}`, { headers });
                if (answer.ok) return (await answer.json()) as Record<string, unknown>;
                if (answer.status !== 429) throw new Error(`${resource}: ${await answer.text()}`);
                await sleep(Number(answer.headers.get("retry-after")) * 1000);
            }
        },
        close,
    };
}

async function initStack(
    name: string,
    { folder, env, backend }: Pick<World, "folder" | "env"> & { backend: string },
    config: Record<string, unknown>,
): Promise<Stack> {
    const startPulumi: Stack["startPulumi"] = (args, more = {}) => {
        const command = [...args, "--non-interactive", "--stack", name];
        return start("pulumi", command, { cwd: folder, env: { ...env, ...more } });
    };
    const pulumi: Stack["pulumi"] = (...args) => startPulumi(...args).ended;
    const configure: Stack["configure"] = async (changes) => {
        const file = path.join(folder, `Pulumi.${name}.yaml`);
        const stack = (parse(await readFile(file, "utf8").catch(() => "config: {}")) ?? {}) as {
            config?: object;
        };
        const named = Object.entries(changes).map(([key, value]) => [`dropscale:${key}`, value] as const);
        stack.config = { ...stack.config, ...Object.fromEntries(named) };
        await writeFile(file, stringify(stack, { keepUndefined: false }));
    };
    const configureSecret: Stack["configureSecret"] = async (key, value) => {
        const set = promisify(execFile)("pulumi", ["config", "set", "--secret", key, "--stack", name], {
            cwd: folder,
            env,
        });
        set.child.stdin?.end(value);
        await set;
    };
    await promisify(execFile)("pulumi", ["stack", "init", name], { cwd: folder, env });
    await configure(config);
    /** The engine takes half a second of CPU to decrypt them: asked again only when the state was written since. */
    let known: { written: number; outputs: Outputs } | undefined;
    const outputs = async (): Promise<Outputs> => {
        const { mtimeMs: written } = await stat(path.join(backend, `.pulumi/stacks/dropscale/${name}.json`));
        if (known?.written === written) return known.outputs;
        const { code, stdout, text } = await pulumi(["stack", "output", "--json", "--show-secrets"]);
        if (code !== 0) throw new Error(text);
        known = { written, outputs: JSON.parse(stdout) as Outputs };
        return known.outputs;
    };
    return {
        configure,
        configureSecret,
        pulumi,
        startPulumi,
        outputs,
    };
}

/** `pulumi up` of the config as it is. */
export function up(stack: Stack, ...more: string[]): Promise<Outcome> {
    return stack.pulumi(["up", "--yes", "--skip-preview", ...more]);
}

/** The same, where anything but success fails the test. Returns what was printed. */
export async function upEndsWell(stack: Stack, ...more: string[]): Promise<string> {
    const { code, text } = await up(stack, ...more);
    if (code !== 0) throw new Error(text);
    return text;
}

/** A process without a terminal whose output is kept. */
export function start(
    command: string,
    args: string[],
    options: { cwd: string; env: NodeJS.ProcessEnv },
): Running {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    const closed = once(child, "close");
    const ended = once(child, "exit").then(async ([code]: (number | null)[]) => {
        // Plugins that outlive a killed run hold its output open.
        await Promise.race([closed, sleep(1000)]);
        return { code: code ?? 1, stdout, text: stdout + stderr };
    });
    return {
        pid: child.pid ?? 0,
        printed: () => stdout,
        isRunning: () => child.exitCode === null && child.signalCode === null,
        hangUp: () => {
            child.stdout.destroy();
            child.stderr.destroy();
        },
        ended,
    };
}
