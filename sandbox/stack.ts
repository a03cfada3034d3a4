import path from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import type { Instance } from "./instance.ts";
import type { Engine } from "./offline-engine/engine.ts";
import type { RunningSandbox } from "./process.ts";

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
        // Without droplets there is no region, and nobody to ask.
        ...(instance.kind === "nspawn" && { DROPSCALE_RESOLVER: instance.addresses.uplinkRouter }),
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
