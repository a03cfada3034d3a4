import { execFile } from "node:child_process";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { learnSecret } from "../cli/mask";

export interface StackServer {
    name: string;
    slot: number;
    dropletId: string;
    privateIp: string;
}

/** The outputs of a stack, secrets in plain text. */
export interface StackOutputs {
    url: string;
    loadBalancerIp: string;
    monthlyCost: number;
    deployKey: string;
    hostKey: string;
    servers: StackServer[];
}

/**
 * What `pulumi` prints to stdout, without a terminal and in the environment of this process.
 *
 * @throws Error in pulumi's own words; `stdout` of its `cause` holds what was printed all the same.
 */
export function readPulumi(...args: string[]): Promise<string> {
    return readPulumiIn(process.env, ...args);
}

export async function readPulumiIn(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
    // The preview of a thousand servers is megabytes of JSON.
    const options = { env, maxBuffer: Infinity };
    const command = promisify(execFile)("pulumi", [...args, "--non-interactive"], options);
    const { stdout } = await command.catch((error: unknown) => {
        const { code, stderr } = error as { code?: unknown; stderr?: string };
        if (code === "ENOENT")
            throw new Error("there is no `pulumi` on PATH: https://www.pulumi.com/docs/install/");
        throw new Error((stderr ?? "").trim().replace(/^error: /, "") || (error as Error).message, {
            cause: error,
        });
    });
    return stdout;
}

/**
 * The environment of an `up` that history is to know: outside of a git repository, pulumi records this as its author.
 * https://github.com/pulumi/pulumi/blob/v3.253.0/pkg/cmd/pulumi/metadata/metadata.go (addGitMetadataFromEnvironment)
 */
export function withAuthor(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    const user = env.USER ?? env.LOGNAME ?? (process.getuid?.() === 0 ? "root" : "somebody");
    return { PULUMI_GIT_AUTHOR: `${user}@${hostname()}`, ...env };
}

/** @throws Error where there is no such stack, or no `up` has ended well yet. */
export async function readOutputs(stack: string): Promise<StackOutputs> {
    const json = await readPulumi("stack", "output", "--json", "--show-secrets", "--stack", stack);
    const outputs = JSON.parse(json) as Partial<StackOutputs>;
    if (!outputs.deployKey) throw new Error(`stack ${stack} has no outputs yet: \`pulumi up\` makes them`);
    learnSecret(outputs.deployKey);
    return outputs as StackOutputs;
}

/**
 * The engine's words for a stack that another run holds, and `doctor`'s own: of a backend in files or a bucket, and of
 * Pulumi Cloud. https://www.pulumi.com/docs/iac/operations/troubleshooting/common-issues/update-conflicts/
 */
const lockWords = /is currently locked|is locked by|update is currently in progress/;

export function isLocked(words: string): boolean {
    return lockWords.test(words);
}

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

/** The same of these resources alone: those that are gone leave the state, those marked for deletion too. */
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
