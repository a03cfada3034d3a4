import type { Client, ClientChannel } from "ssh2";

import type { Call } from "../resource.ts";
import { isEmpty, text, type Properties } from "../values.ts";
import { Output } from "./output.ts";
import { connect, type Connection } from "./ssh.ts";

/** Runs `command` on the host of `state.connection`; `previous` holds the outputs of the run before. */
export async function runRemote(
    command: string,
    state: Properties,
    previous: Properties,
    call: Call,
): Promise<Properties> {
    const client = await connect(state.connection as unknown as Connection, call);
    const stop = (): void => {
        client.destroy();
    };
    call.signal.addEventListener("abort", stop);
    try {
        const env = {
            ...(await previousOutput(client, state, previous, call)),
            ...(await environment(client, state)),
        };
        return await execute(client, command, state, env, call);
    } finally {
        call.signal.removeEventListener("abort", stop);
        client.end();
    }
}

type Environment = Record<string, string>;

const ACCEPT_ENV =
    "the host's sshd does not take it (AcceptEnv). Put it before the command instead: VAR=value command";

async function environment(client: Client, { environment: given }: Properties): Promise<Environment> {
    const env = (given ?? {}) as Environment;
    const refused = await refusedVariables(client, env);
    if (refused.length > 0)
        throw new Error(`could not set environment variable ${refused.join(", ")}: ${ACCEPT_ENV}`);
    return env;
}

async function previousOutput(
    client: Client,
    state: Properties,
    previous: Properties,
    call: Call,
): Promise<Environment> {
    if (state.addPreviousOutputInEnv === false) return {};
    const env = outputEnvironment(previous);
    for (const name of await refusedVariables(client, env)) {
        call.log("warning", `Unable to set '${name}': ${ACCEPT_ENV}, or set addPreviousOutputInEnv to false`);
        Reflect.deleteProperty(env, name);
    }
    return env;
}

/** What the run before wrote, for the next one. */
export function outputEnvironment({ stdout, stderr }: Properties): Environment {
    return {
        ...(!isEmpty(stdout) && { PULUMI_COMMAND_STDOUT: text(stdout) }),
        ...(!isEmpty(stderr) && { PULUMI_COMMAND_STDERR: text(stderr) }),
    };
}

/** SSH's answer to a variable does not reach us, so the host is asked which of them arrive. */
async function refusedVariables(client: Client, env: Environment): Promise<string[]> {
    const names = Object.keys(env);
    if (names.length === 0) return [];
    const channel = await open(client, "env", env);
    let seen = "";
    channel.on("data", (chunk: Buffer) => (seen += chunk.toString()));
    channel.stderr.resume();
    await closed(channel);
    return names.filter((name) => !seen.split("\n").some((line) => line.startsWith(`${name}=`)));
}

function open(client: Client, command: string, env: Environment): Promise<ClientChannel> {
    return new Promise((resolve, reject) => {
        client.exec(command, { env }, (error, channel) => {
            if (error) reject(error);
            else resolve(channel);
        });
    });
}

/** In the words of https://pkg.go.dev/golang.org/x/crypto/ssh#ExitError, or undefined for success. */
function closed(channel: ClientChannel): Promise<string | undefined> {
    return new Promise((resolve) => {
        let result: string | undefined = "wait: remote command exited without exit status or exit signal";
        channel.once("exit", (code: number | null, signal?: string) => {
            if (code === 0) result = undefined;
            else
                result =
                    code === null
                        ? `Process exited with signal ${signal ?? ""}`
                        : `Process exited with status ${code}`;
        });
        channel.once("close", () => {
            resolve(result);
        });
    });
}

async function execute(
    client: Client,
    command: string,
    state: Properties,
    env: Environment,
    call: Call,
): Promise<Properties> {
    const channel = await open(client, command, env);
    const output = new Output({ stdout: channel, stderr: channel.stderr }, state.logging, call.log);
    const end = closed(channel);
    // A command that ends without reading its input closes the channel first.
    channel.on("error", () => undefined);
    channel.end(text(state.stdin));
    const failure = await end;
    call.signal.throwIfAborted();
    if (failure !== undefined) throw output.failure(failure, command);
    return output.properties();
}
