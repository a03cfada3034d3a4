import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { claimIndex } from "../sandbox/claim-index.ts";
import { prepareHost } from "../sandbox/droplets/prepare.ts";
import { type Instance, instance } from "../sandbox/instance.ts";
import { findEngine } from "../sandbox/offline-engine/engine.ts";
import { purgeSandbox, type RunningSandbox, startSandbox } from "../sandbox/process.ts";
import { stackEnvironment, stateBackend } from "../sandbox/stack.ts";

const root = path.resolve(__dirname, "..");
const program = [
    "Pulumi.yaml",
    "package.json",
    "tsconfig.json",
    "tsconfig.run.json",
    "index.ts",
    "config.ts",
    "account.ts",
    "refusal.ts",
];

/** What a `pulumi` command printed, and how it ended. */
export interface Outcome {
    code: number;
    stdout: string;
    /** stdout and stderr, one after the other. */
    text: string;
}

/** A sandbox of the test's own, with a copy of the program and a stack in it, and the real engine to run it. */
export interface World {
    instance: Instance;
    sandbox: RunningSandbox;
    /** The copy of the program: a test may edit it. */
    folder: string;
    /** Changes the stack's config; `undefined` takes a key out. */
    configure: (changes: Record<string, unknown>) => Promise<void>;
    /** Runs `pulumi` on the stack, without a terminal. */
    pulumi: (args: string[], env?: Record<string, string>) => Promise<Outcome>;
    /** Runs another command of the checkout in the environment of `make env`; its stdout. */
    run: (command: string, args: string[]) => Promise<string>;
    /** The stack's outputs, secrets in plain text. */
    outputs: () => Promise<Outputs>;
    /** GET of the API, its body. */
    api: (path: string) => Promise<Record<string, unknown>>;
    /** Removes all of it. */
    close: () => Promise<void>;
}

export interface Outputs {
    url: string;
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
): Promise<World> {
    const temporary = mkdtempSync(path.join(tmpdir(), "dropscale-world-"));
    const claim = kind === "nspawn" ? await claimIndex() : { index: 0, release: () => Promise.resolve() };
    const where = instance({
        name: "test",
        index: claim.index,
        stateDir: path.join(temporary, "sandbox"),
        kind,
    });
    const close = async () => {
        await purgeSandbox(where);
        rmSync(temporary, { recursive: true, force: true });
        await claim.release();
    };
    try {
        return await worldIn(temporary, where, config, close);
    } catch (error) {
        await close();
        throw error;
    }
}

async function worldIn(
    temporary: string,
    where: Instance,
    config: Record<string, unknown>,
    close: World["close"],
): Promise<World> {
    if (where.kind === "nspawn") await prepareHost({ log: console.error });
    const engine = await findEngine({ home: path.join(temporary, "pulumi"), log: console.error });
    const sandbox = await startSandbox(where, { port: 0 });
    await mkdir(stateBackend(where), { recursive: true });

    const folder = path.join(temporary, "program");
    for (const name of program) cpSync(path.join(root, name), path.join(folder, name));
    for (const name of ["components", "userdata"])
        cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
    symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));

    const environment = { ...process.env, ...stackEnvironment(where, engine, sandbox) };
    const pulumi: World["pulumi"] = (args, env = {}) =>
        new Promise((resolve) => {
            const options = { cwd: folder, env: { ...environment, ...env }, maxBuffer: 64 * 2 ** 20 };
            const child = execFile(
                "pulumi",
                [...args, "--non-interactive", "--stack", "test"],
                options,
                (_, stdout, stderr) => {
                    resolve({ code: child.exitCode ?? 1, stdout, text: stdout + stderr });
                },
            );
            child.stdin?.end();
        });
    const configure: World["configure"] = async (changes) => {
        const file = path.join(folder, "Pulumi.test.yaml");
        const stack = (parse(await readFile(file, "utf8").catch(() => "config: {}")) ?? {}) as {
            config?: object;
        };
        const named = Object.entries(changes).map(([key, value]) => [`dropscale:${key}`, value] as const);
        stack.config = { ...stack.config, ...Object.fromEntries(named) };
        await writeFile(file, stringify(stack, { keepUndefined: false }));
    };
    await promisify(execFile)("pulumi", ["stack", "init", "test"], { cwd: folder, env: environment });
    await configure({ adminCidrs: [`${where.addresses.uplinkHost}/32`], ...config });
    return {
        instance: where,
        sandbox,
        folder,
        configure,
        pulumi,
        run: async (command, args) => {
            const bin = path.join(root, "node_modules/.bin", command);
            return (await promisify(execFile)(bin, args, { cwd: folder, env: environment })).stdout;
        },
        outputs: async () => {
            const { code, stdout, text } = await pulumi(["stack", "output", "--json", "--show-secrets"]);
            if (code !== 0) throw new Error(text);
            return JSON.parse(stdout) as Outputs;
        },
        api: async (resource) => {
            const headers = { authorization: `Bearer ${sandbox.token}` };
            const answer = await fetch(`${sandbox.url}/v2/${resource}`, { headers });
            return (await answer.json()) as Record<string, unknown>;
        },
        close,
    };
}
