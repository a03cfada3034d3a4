import { readPulumi } from "./run";
import { isLocked } from "../deploy/up";

/**
 * Looks what of the state is still there, and clears what killed runs were doing.
 *
 * Never `--import-pending-creates`: it can't adopt a droplet, for the API does not return user data, and drops it.
 * https://www.pulumi.com/docs/iac/cli/commands/pulumi_refresh/
 *
 * @throws Error with what to do where another run holds the stack.
 */
export async function refreshState(stack: string): Promise<void> {
    await refresh(stack, ["--clear-pending-creates"]);
}

/**
 * The same of these resources alone: those that are gone leave the state, those marked for deletion too.
 *
 * @param urns At least one.
 * @throws as {@link refreshState}
 */
export async function refreshResources(stack: string, urns: readonly string[]): Promise<void> {
    await refresh(
        stack,
        urns.flatMap((urn) => ["--target", urn]),
    );
}

async function refresh(stack: string, options: readonly string[]): Promise<void> {
    const args = ["refresh", "--yes", "--skip-preview", ...options, "--stack", stack];
    await readPulumi(...args).catch((error: unknown) => {
        const { message, cause } = error as Error & { cause?: { stdout?: string } };
        const words = `${message}\n${cause?.stdout ?? ""}`;
        const help = `wait for that run or, if you are sure that it is dead, \`pulumi cancel --stack ${stack}\` and then this again`;
        throw new Error(isLocked(words) ? `${message}\n${help}` : words.trim(), { cause: error });
    });
}
