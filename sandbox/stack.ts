import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import type { Instance } from "./instance.ts";
import type { Engine } from "./offline-engine/engine.ts";
import { isAlive, type RunningSandbox } from "./process.ts";

/** The checkout: Pulumi.yaml lies there. */
export const projectFolder = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/**
 * The environment in which a person's own `pulumi` runs against a sandbox: engine, API, and a state backend in
 * the sandbox's state folder. The passphrase is public: what it protects is worth nothing and lives on one machine.
 */
export function stackEnvironment(
    instance: Instance,
    engine: Engine,
    { url, token }: RunningSandbox,
): Record<string, string> {
    return {
        ...engine.env,
        PULUMI_BACKEND_URL: `file://${stateBackend(instance)}`,
        PULUMI_CONFIG_PASSPHRASE: "dropscale",
        DIGITALOCEAN_API_URL: url,
        DIGITALOCEAN_TOKEN: token,
        // The default, 4 a core, would make a pool in batches.
        PULUMI_PARALLEL: "64",
    };
}

/** Where the engine's state of a sandbox's stacks lies. */
export function stateBackend({ stateDir }: Instance): string {
    return path.join(stateDir, "pulumi-state");
}

/** How `pulumi` is called by our own commands. */
export interface Pulumi {
    /** Its output goes to the terminal as it comes. */
    run: (...args: string[]) => Promise<void>;
    /** Its output is returned; nothing is shown. */
    read: (...args: string[]) => Promise<string>;
}

/**
 * @param env What {@link stackEnvironment} returned.
 * @param cwd Folder of the program. @default this checkout
 */
export function pulumi(env: Readonly<Record<string, string>>, cwd = projectFolder): Pulumi {
    const options = { cwd, env, stdin: "ignore" } satisfies Options;
    return {
        run: async (...args) => {
            // The terminal sends Ctrl-C to pulumi as well: it ends in order, and we after it.
            const wait = () => undefined;
            process.on("SIGINT", wait);
            try {
                await execa("pulumi", args, { ...options, stdout: "inherit", stderr: "inherit" });
            } finally {
                process.off("SIGINT", wait);
            }
        },
        read: async (...args) => {
            const { stdout } = await execa("pulumi", [...args, "--non-interactive"], options);
            return stdout;
        },
    };
}

/**
 * Takes away the lock that a killed run left on a stack. One that lives keeps it.
 * https://www.pulumi.com/docs/iac/concepts/state-and-backends/#state-locking
 *
 * @returns Whether there was one.
 */
export async function clearStaleLock(instance: Instance, stack: string, { read }: Pulumi): Promise<boolean> {
    const folder = path.join(stateBackend(instance), ".pulumi/locks/organization/dropscale", stack);
    const files = await readdir(folder).catch(() => []);
    for (const file of files) {
        const lock = JSON.parse(await readFile(path.join(folder, file), "utf8")) as {
            pid: number;
            hostname: string;
        };
        if (lock.hostname !== os.hostname() || (isAlive(lock.pid) && (await mayBePulumi(lock.pid))))
            return false;
    }
    if (files.length > 0) await read("cancel", "--yes", "--stack", stack);
    return files.length > 0;
}

/** After a reboot a lock's pid is soon another program's. Where there is no /proc to tell, it may be pulumi. */
async function mayBePulumi(pid: number): Promise<boolean> {
    const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "pulumi");
    return name.startsWith("pulumi");
}
