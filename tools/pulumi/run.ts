import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { learnSecret } from "../cli/mask";
import { runOverSsh } from "../live/ssh";

/** A server as the stack's outputs name it. */
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
    /** In USD. */
    monthlyCost: number;
    /** Private key of root on the load balancer. */
    deployKey: string;
    /** Public key of the load balancer's host. */
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

/** The same in another environment. */
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

/** @throws Error where there is no such stack, or no `up` has ended well yet. */
export async function readOutputs(stack: string): Promise<StackOutputs> {
    const json = await readPulumi("stack", "output", "--json", "--show-secrets", "--stack", stack);
    const outputs = JSON.parse(json) as Partial<StackOutputs>;
    if (!outputs.deployKey) throw new Error(`stack ${stack} has no outputs yet: \`pulumi up\` makes them`);
    learnSecret(outputs.deployKey);
    return outputs as StackOutputs;
}

/**
 * Runs a shell command as root on the load balancer; what it printed.
 *
 * @throws Error if it can't be reached, or the command fails.
 */
export function onLoadBalancer(
    { loadBalancerIp, deployKey, hostKey }: Pick<StackOutputs, "loadBalancerIp" | "deployKey" | "hostKey">,
    command: string,
): Promise<string> {
    return runOverSsh(command, { host: loadBalancerIp, privateKey: deployKey, hostKey });
}
