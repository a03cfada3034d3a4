import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { runOverSsh } from "./ssh";
import { type HaproxyServer, parseStatistics, type StackServer } from "./status-rows";

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
export async function readPulumi(...args: string[]): Promise<string> {
    // The preview of a thousand servers is megabytes of JSON.
    const options = { maxBuffer: Infinity };
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
    return outputs as StackOutputs;
}

/**
 * A GET of DigitalOcean's API (DIGITALOCEAN_API_URL for another one) with DIGITALOCEAN_TOKEN.
 *
 * @param resource Path behind /v2/, and query.
 * @returns The body; `undefined` if there is no such thing (404).
 * @throws Error if it does not answer within 10 s, or refuses.
 */
export async function askApi(resource: string): Promise<unknown> {
    const base = process.env.DIGITALOCEAN_API_URL ?? "https://api.digitalocean.com";
    const token = process.env.DIGITALOCEAN_TOKEN ?? process.env.DIGITALOCEAN_ACCESS_TOKEN ?? "";
    const answer = await fetch(`${base}/v2/${resource}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(10_000),
    }).catch((error: unknown) => {
        const { message, cause } = error as Error;
        const reason = cause instanceof Error ? cause.message : message;
        throw new Error(`${base} does not answer: ${reason} (\`make up\` starts the local one)`);
    });
    if (answer.status === 404) return undefined;
    if (!answer.ok)
        throw new Error(`the API answered ${answer.status} for ${resource}: ${await answer.text()}`);
    return answer.json();
}

/**
 * HAProxy's own statistics, asked for over SSH.
 *
 * @throws Error if the load balancer can't be reached.
 */
export async function readHaproxy(outputs: StackOutputs): Promise<HaproxyServer[]> {
    const json = await runOverSsh("echo 'show stat json' | socat - /run/haproxy/admin.sock", {
        host: outputs.loadBalancerIp,
        privateKey: outputs.deployKey,
        hostKey: outputs.hostKey,
    });
    return parseStatistics(json);
}
