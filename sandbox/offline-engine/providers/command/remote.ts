import type { ClientChannel } from "ssh2";

import type { Call } from "../resource.ts";
import { text, type Properties } from "../values.ts";
import { Output } from "./output.ts";
import { connect, type Connection } from "./ssh.ts";

/**
 * Runs `command` on the host of `state.connection`. The output of the run before is not passed on: a host's sshd
 * takes no variables unless it is told to (AcceptEnv). A cancelled run dials no more, but what runs is let to its end.
 */
export async function runRemote(
    command: string,
    state: Properties,
    _previous: Properties,
    call: Call,
): Promise<Properties> {
    const client = await connect(state.connection as unknown as Connection, call);
    try {
        const channel = await new Promise<ClientChannel>((resolve, reject) => {
            client.exec(command, (error, opened) => {
                if (error) reject(error);
                else resolve(opened);
            });
        });
        const output = new Output({ stdout: channel, stderr: channel.stderr }, state.logging, call.log);
        const end = failureOf(channel);
        // A command that ends without reading its input closes the channel first.
        channel.on("error", () => undefined);
        channel.end(text(state.stdin));
        const failure = await end;
        if (failure !== undefined) throw output.failure(failure, command);
        return output.properties();
    } finally {
        client.end();
    }
}

/** In the words of https://pkg.go.dev/golang.org/x/crypto/ssh#ExitError, or undefined for success. */
function failureOf(channel: ClientChannel): Promise<string | undefined> {
    return new Promise((resolve) => {
        let result: string | undefined = "wait: remote command exited without exit status or exit signal";
        channel.once("exit", (code: number | null, signal = "") => {
            const how = code === null ? `signal ${signal}` : `status ${code}`;
            result = code === 0 ? undefined : `Process exited with ${how}`;
        });
        channel.once("close", () => {
            resolve(result);
        });
    });
}
